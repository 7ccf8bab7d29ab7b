"""What the terminal shows: the plan in a line, a progress bar, the result."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from nnspec.architecture import architecture, rows
from nnspec.diagnostics import VERDICTS, estimates
from nnspec.duration import batch_size, tolerance, updates_a_pass
from nnspec.explaining import explained_result
from nnspec.explaining import lines as why_lines
from nnspec.problem import own_rows, rows_of
from nnspec.results.arrays import (
    LOOKS,
    WILSON,
    Interval,
    Results,
    quantity,
    solved_text,
    stopped_text,
    unit_of,
    verdict_text,
)
from nnspec.results.events import Advance, Notice, TrainedCell, TrainingEvent
from nnspec.specs import RunSpec, text
from nnspec.terminal import complain, progress_options, table_text
from nnspec.training.layout import is_module, on_card, why_separate, why_single
from nnspec.training.plan import Plan, differences

STACKS = 12  # of a plan that are listed
ROWS, INPUTS = 16, 8  # of the table of outputs; data with more are told by how many rows are right


def plan_line(plan: Plan, workers: int) -> str:
    """The plan in one line."""
    chunks = sum(len(stack.chunks) for stack in plan.stacks)
    processes = count(min(workers, chunks), "process", "processes")
    counts = (
        f"{count(plan.networks, 'network')} in {count(len(plan.stacks), 'stack')}, {count(chunks, 'chunk')} on "
        f"{processes}"
    )
    if len(plan.specs) == 1:
        return f"{summary(plan.specs[0])}: {counts}"
    return f"{count(len(plan.specs), 'cell')}: {counts}"


def summary(spec: RunSpec) -> str:
    """A spec in a line: sizes, activation, initialisation, optimizer, loss, data, length."""
    shape = architecture(spec)
    widths = [dense.fan_out for dense in shape.dense] or [shape.outputs]
    sizes = "-".join(str(width) for width in (shape.inputs, *widths))
    lr = f" lr {text(spec.optimizer['lr'])}" if "lr" in spec.optimizer else ""
    problem = f"{spec.loss.name} on {spec.data.name}, {spec.train.epochs} epochs"
    return f"{spec.model.name} {sizes} {spec.activation.name}, {spec.init.name}, {spec.optimizer.name}{lr}, {problem}"


def plan_report(plan: Plan, workers: int, memory: float, seconds: float | None) -> str:
    """The whole plan: cells, stacks, why they are several, the bytes that it holds, and about how long it trains; None:
    unknown."""
    lines = [plan_line(plan, workers)]
    for number, stack in enumerate(plan.stacks[:STACKS]):
        largest = max(chunk.networks for chunk in stack.chunks)
        counts = [count(len(stack.cells), "cell"), count(stack.networks, "network"), count(len(stack.chunks), "chunk")]
        first = summary(plan.specs[stack.cells[0]]) + (" ..." if len(stack.cells) > 1 else "")
        lines.append(f"  stack {number + 1}: {first}: {', '.join(counts)} of up to {largest:,}")
        lines.append(f"    {way(plan.specs[stack.cells[0]])}")
    if len(plan.stacks) > STACKS:
        lines.append(f"  ... and {count(len(plan.stacks) - STACKS, 'stack')} more")
    if len(plan.stacks) > 1:
        lines.append(f"cells share a stack where all of these agree; here these differ: {', '.join(differences(plan))}")
    lines.append(f"about {max(1, round(memory / 2**20)):,} MiB of memory for training and results")
    lines.append("time unknown: not tried out" if seconds is None else f"about {duration(seconds)} of training")
    return "\n".join(lines)


def way(spec: RunSpec) -> str:
    """How the networks of a spec train, and why."""
    if is_module(spec):
        single = why_single(spec)
        how = f"one by one: {single}" if single else "many at a time, or one by one where torch.vmap cannot carry it"
        return f"networks train by torch, through their module {how}"
    why = why_separate(spec)
    if on_card(spec):
        return "networks train on the graphics card, all of a chunk at once"
    if not why:
        return "networks train side by side in lanes: full batch, few rows and weights"
    batches = f" of {batch_size(spec):,} rows" if updates_a_pass(spec) > 1 else ""
    return f"networks train one after another, by machine code for one ({why}{batches})"


def duration(seconds: float) -> str:
    """'2.4 s', '12 min', '3 h', '5 days'."""
    if seconds < 0.1:
        return "0.1 s"
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def count(number: int, thing: str, things: str | None = None) -> str:
    """'1 cell', '2 cells'."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


class ProgressBar:
    """A bar over networks trained, with those solved so far; it shows on terminals only."""

    def __init__(self, networks: int):
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TaskProgressColumn(),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} networks, {task.fields[solved]:,} solved"),
            TimeRemainingColumn(elapsed_when_finished=True),
            **progress_options(),
        )
        self._task = self._bar.add_task("training", total=networks, solved=0)
        self._bar.start()

    def update(self, trained: float, solved: int) -> None:
        """Show how many networks' worth of updates are made, and how many networks solve their problem."""
        self._bar.update(self._task, completed=trained, solved=solved)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def shown_on_bar(events: Iterable[TrainingEvent], networks: int, show: bool) -> Generator[TrainingEvent, None, None]:
    """The events of training apart from those that only say how it goes: a bar over so many networks shows these if
    ``show`` says so, and notices are told. Close it (``contextlib.closing``), so that the bar goes."""
    following = iter(events)
    first = list(islice(following, 1))  # by then workers train: what the bar imports they need not wait for
    bar = ProgressBar(networks) if show else None
    try:
        for event in chain(first, following):
            if isinstance(event, Notice):
                complain(event.text)
            elif not isinstance(event, Advance):
                yield event
            elif bar is not None:
                bar.update(event.networks, event.right)
    finally:
        if bar is not None:
            bar.close()


def single_result(cell: TrainedCell, interval: Interval | None = None) -> str:
    """The result of one cell: outputs by row where they are few, final loss, how many rows are right where they are
    many or some are kept for a test, how many networks solved (Wilson's interval unless another is given) and stopped
    and when, verdicts."""
    result, spec = cell.result, cell.result.spec
    unit = unit_of(spec)
    limits = interval(int(result.solved.sum()), len(result.solved)) if interval else None
    how = LOOKS if interval else WILSON
    table = outputs_table(result)
    lines = [*([table, ""] if table else []), f"final loss  {quantity(result.final_loss)}"]
    if result.final_test_loss is not None:
        lines.append(f"  on test   {quantity(result.final_test_loss)}")
    none_right = not result.final_accuracy.any() and bool(np.isfinite(result.outputs).all())
    if none_right:
        lines.append(f"accuracy    0: no output is within {tolerance(spec):g} of its target (outputs are not rounded)")
    elif not table or result.final_test_accuracy is not None:
        lines.append(f"accuracy    {quantity(result.final_accuracy)}")
    if result.final_test_accuracy is not None:
        lines.append(f"  on test   {quantity(result.final_test_accuracy)}")
    lines.append(f"solved      {solved_text(result.solved, result.solved_at, unit, limits, how)}")
    if result.stopped_at is not None:
        lines.append(f"stopped     {stopped_text(result.stopped_at, unit)}")
    if result.spec.replicates > 1 or not result.solved.all():
        lines.append(f"verdict     {verdict_text(result.verdict)}")
        lines += [note] if (note := estimated_text(result.spec)) else []
        lines += [why] if (why := why_lines(explained_result(result))) else []
    return "\n".join(lines)


def estimated_text(spec: RunSpec) -> str:
    """The verdicts that are estimated at this size, in a line; nothing where all are exact."""
    names = [name for name in estimates(spec) if name in VERDICTS]
    return f"{'':12}estimated at this size: {', '.join(names)}; the report says how" if names else ""


def outputs_table(result: Results) -> str:
    """Inputs, targets and outputs (medians over replicates) of the rows; nothing where there are too many to read, or
    where each network has rows of its own."""
    spec = result.spec
    if rows(spec.data) > ROWS or architecture(spec).inputs > INPUTS or own_rows(spec):
        return ""
    inputs, targets = rows_of(spec.data, spec.loss.name)
    outputs = np.median(result.outputs, axis=0)
    head = ("inputs", "target", "output" if len(result.seeds) == 1 else "output (median)")
    lines = [
        (" ".join(f"{v:g}" for v in x), " ".join(f"{v:g}" for v in y), " ".join(f"{v:.3f}" for v in p))
        for x, y, p in zip(inputs, targets, outputs, strict=True)
    ]
    return table_text(None, [head, *lines], left=3)


def timings_text(seconds: Mapping[str, float], updaters: Mapping[str, int]) -> str:
    """Where the time went, and what trained how many networks, by why it was not compiled code ('': it was). Times
    overlap, for training and filing go on at once."""
    lines = ["timings     " + ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())]
    for why, networks in sorted(updaters.items()):
        how = f"eagerly: {why}" if why else "by compiled code"
        lines.append(f"{'updaters' if len(lines) == 1 else '':12}{count(networks, 'network')} {how}")
    return "\n".join(lines)


def failures_text(reasons: Mapping[int, str], names: Sequence[str], most: int = 10) -> str:
    """The cells that failed, each with its reason."""
    lines = [f"{count(len(reasons), 'cell')} failed:"]
    lines += [f"  {names[index]}: {reason}" for index, reason in list(reasons.items())[:most]]
    return "\n".join(lines + ([f"  ... and {len(reasons) - most} more"] if len(reasons) > most else []))


def cell_name(cell: Any) -> str:
    """A cell as its choices, or as its spec where it has none."""
    return " ".join(f"{axis}={value}" for axis, value in cell.choices) or summary(cell.spec)
