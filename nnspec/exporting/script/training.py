"""The lines of a script that train the network: what an update is, how they follow each other, when they end."""

from __future__ import annotations

import math

import torch

from nnspec.architecture import rows, test_rows
from nnspec.catalog import OPTIMIZERS
from nnspec.catalog.in_torch import RATES
from nnspec.duration import batch_size, log_every, rate_factor, tolerance, updates, updates_a_pass
from nnspec.exporting.script.network import loss_script, made, output_of, refused
from nnspec.specs import STOPS, RunSpec
from nnspec.training.separate.batches import ORDER

NEVER, SOLVED, PLATEAU = STOPS


def optimizer_lines(spec: RunSpec) -> list[str]:
    """The optimizer and the schedule of its learning rate.

    Raises:
        ExportError: torch has no such optimizer.
    """
    entry, params = OPTIMIZERS[spec.optimizer.name], dict(spec.optimizer.params)
    if entry.by_rows:
        return []
    kind = getattr(torch.optim, entry.module, None) if entry.module else None
    if kind is None:
        raise refused("must be given an optimizer of torch's", f"optimizer={spec.optimizer.name}")
    # lr first, and always: it is what a reader looks for
    rest = {name: value for name, value in params.items() if name != "lr"}
    text = made("torch.optim", kind, rest, f"net.parameters(), lr={params['lr']!r}")
    return ["# The optimizer.", f"optimizer = {text}", *_schedule_lines(spec)]


def _schedule_lines(spec: RunSpec) -> list[str]:
    if rate_factor(spec) is None:
        return []
    if spec.schedule.name not in RATES:
        raise refused("must be given a schedule of nnspec's own", f"schedule={spec.schedule.name}")
    params = dict(spec.schedule.params)
    warmup = int(str(params["warmup"]))
    lines = ["", "", "def share_of_lr(made):", '    """What lr is multiplied by after so many updates."""']
    if warmup:
        lines += [f"    if made < {warmup}:  # the warm-up", f"        return (made + 1) / {warmup + 1}"]
    share = RATES[spec.schedule.name](params, updates(spec) - warmup)
    if "behind" in share:
        lines.append(f"    behind = made - {warmup}" if warmup else "    behind = made")
    schedule = "schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share_of_lr)"
    return [*lines, f"    return {share}", "", "", schedule]


def right_lines(spec: RunSpec) -> list[str]:
    """Functions that tell which rows are right and, where that may end the training, whether the network is solved."""
    output = output_of(spec)
    outputs = f"{output}(net(x))" if output and loss_script(spec).logits else "net(x)"
    lines = [
        "def right(x, y):",
        '    """Which rows have an output near enough to the target."""',
        "    with torch.no_grad():",
        f"        p = {outputs}",
        f"    return {loss_script(spec).distance} < {tolerance(spec)!r}",
    ]
    in_test = spec.solved.measure == "test_accuracy"
    data, count = ("x_test, y_test", test_rows(spec.data)) if in_test else ("x, y", rows(spec.data))
    need = math.ceil(spec.solved.at_least * count - 1e-9)
    return [
        *lines,
        "",
        "",
        "def solved():",
        f'    """Whether enough rows are right: {need} of the {count}{" of the test part" if in_test else ""}."""',
        f"    return right({data}).sum() >= {need}",
    ]


def training_lines(spec: RunSpec, diverged: bool) -> list[str]:
    """The loop; ``diverged`` says that the outputs are no numbers some day, which ends it."""
    batches = updates_a_pass(spec) > 1
    lines = _order_lines(spec) if batches else []
    if spec.train.stop == PLATEAU:
        lines += ["best, best_at = math.inf, 0  # the lowest loss, and after how many updates"]
    by_rows = OPTIMIZERS[spec.optimizer.name].by_rows
    of = "passes, an update after each row" if by_rows else "updates, each"
    of += f" on {batch_size(spec)} rows{_rest(spec)}" if batches else "" if by_rows else " on all rows"
    lines += [f"# Training: {updates(spec)} {of}.", *_head(spec, batches), *_stop_lines(spec)]
    return [*lines, *(_by_rows_lines(spec) if by_rows else _update_lines(spec, batches, diverged))]


def _head(spec: RunSpec, batches: bool) -> list[str]:
    """The head of the loop, which counts updates where that may end it."""
    if spec.train.stop == NEVER:
        return ["for rows in batches():" if batches else f"for epoch in range({spec.train.epochs}):"]
    head = "for made, rows in enumerate(batches()):" if batches else f"for made in range({updates(spec)}):"
    return [f"{head}  # made: those before this one"]


def _rest(spec: RunSpec) -> str:
    """What the last batch of a pass has, where that is less."""
    rest = rows(spec.data) % batch_size(spec)
    return f", the last of a pass on {rest}" if rest else ""


def _order_lines(spec: RunSpec) -> list[str]:
    count, size = rows(spec.data), batch_size(spec)
    return [
        "def batches():",
        '    """The rows of each update: in every pass another order, drawn for this network and pass."""',
        f"    for epoch in range({spec.train.epochs}):",
        f'        seed = zlib.crc32(struct.pack("<QQ", SEED, epoch), {ORDER})',
        "        drawn = torch.Generator().manual_seed(seed)",
        f"        yield from torch.randperm({count}, generator=drawn, dtype=torch.int32).split({size})",
        "",
        "",
    ]


def _stop_lines(spec: RunSpec) -> list[str]:
    """What ends the training before its last update."""
    every = log_every(spec)
    if spec.train.stop == NEVER:
        return []
    if spec.train.stop == SOLVED:
        each_update = (
            updates_a_pass(spec) == 1
            and not OPTIMIZERS[spec.optimizer.name].by_rows
            and spec.solved.measure == "accuracy"
        )
        looks = "" if each_update or every == 1 else f"made % {every} == 0 and "
        return [f"    if {looks}solved():", "        break"]
    return [
        f"    if made % {every} == 0:",
        "        with torch.no_grad():",
        "            loss = loss_function(net(x), y).item()",
        "        if loss < best:",
        "            best, best_at = loss, made",
        f"        elif made - best_at >= {spec.train.patience}:",
        "            break",
    ]


def _update_lines(spec: RunSpec, batches: bool, diverged: bool) -> list[str]:
    part = "[rows]" if batches else ""
    lines = [f"outputs = net(x{part})", f"loss = loss_function(outputs, y{part})"]
    if diverged:
        lines += ["if not outputs.isfinite().all():  # it diverges", "    break"]
    lines += ["optimizer.zero_grad()", "loss.backward()"]
    if spec.train.clip_norm:
        lines.append(f"nn.utils.clip_grad_norm_(net.parameters(), {spec.train.clip_norm!r})")
    lines.append("optimizer.step()")
    if rate_factor(spec) is not None:
        lines.append("schedule.step()")
    return [f"    {line}" for line in lines]


def _by_rows_lines(spec: RunSpec) -> list[str]:
    """The perceptron's rule: after each row, by its error times its inputs."""
    return [
        "    for row, target in zip(x, y):",
        "        with torch.no_grad():",
        f"            step = {spec.optimizer['lr']!r} * (target - net(row))",
        "            net[0].weight += step[:, None] * row",
        "            net[0].bias += step",
    ]
