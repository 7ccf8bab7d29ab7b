"""``nnspec export``: what was filed, as a file that others can use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nnspec.cli.filed import Parser, UsageError, find_run, opened
from nnspec.errors import Fault
from nnspec.terminal import complain

if TYPE_CHECKING:
    from nnspec.tracking import Store


def export(arguments: Sequence[str]) -> int:
    """Print the file that a run is exported as."""
    parser = Parser("export", "A run as a file: nnspec export last --format experiment > experiments/mine.yaml")
    parser.run()
    listed = "; ".join(f"{name}: {about}" for name, (_, about) in FORMATS.items())
    parser.add_argument("--format", required=True, choices=FORMATS, help=listed)
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        make, _ = FORMATS[asked.format]
        print(make(store, find_run(store, asked.run)), end="")
    return 0


def experiment(store: Store, run_id: str) -> str:
    """The named sweep that trains a sweep's cells again.

    Raises:
        UsageError: the run is no sweep, or nothing of it has begun.
        SpecError: no named sweep can state its cells.
        TrackingError: the sweep's tag that names its axes is broken.
    """
    from nnspec.readback import is_sweep, typed_axes
    from nnspec.sweep.written import experiment_text
    from nnspec.tracking.read import read_checked_spec

    if not is_sweep(store, run_id):
        raise UsageError(
            Fault("--format experiment", "must be given a sweep", f"the run {run_id}", "try --format spec")
        )
    facts, cells = store.get(run_id), store.find_children(run_id)
    if not cells:
        raise UsageError(Fault("the sweep", "must have cells", f"none below {run_id}", "train it again"))
    if facts.params.get("cells") not in (None, str(len(cells))):
        complain(f"the sweep {facts.name} has {facts.params['cells']} cells, of which {len(cells)} are filed below it")
    specs = [read_checked_spec(cell.run_id, store) for cell in cells]
    return experiment_text(specs, typed_axes(store, run_id), f"the cells of {facts.name}")


def spec(store: Store, run_id: str) -> str:
    """The spec of a single run or of a cell, which ``spec=FILE`` trains again.

    Raises:
        UsageError: the run is a sweep.
    """
    from nnspec.readback import is_sweep
    from nnspec.tracking.read import read_checked_spec

    if is_sweep(store, run_id):
        remedy = "try --format experiment, or name one of its cells"
        raise UsageError(Fault("--format spec", "must be given a single run or a cell", f"the sweep {run_id}", remedy))
    return read_checked_spec(run_id, store).yaml()


FORMATS: dict[str, tuple[Callable[[Store, str], str], str]] = {
    "experiment": (experiment, "the file of a named sweep that trains the same cells (experiment=FILE)"),
    "spec": (spec, "the spec of a single run or of a cell (spec=FILE)"),
}
