"""What a worker does with a chunk once it is trained: diagnose it, and make the artifacts of the cells that lie in it
whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnspec.execute.gather import Gatherer
from nnspec.execute.judge import Judged, judge
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.tracking.artifacts import cell_artifacts
from nnspec.training.memory import makes_files
from nnspec.training.plan import Chunk


def after_training(specs: Sequence[RunSpec], chunk: Chunk, trained: Results, files: bool = False) -> Judged:
    """The diagnosis of a trained chunk, with the files of its whole small cells if asked: they keep a core busy for
    longer than their diagnosis, so the workers share them."""
    judged = judge(specs, chunk, trained)
    if not files:
        return judged
    whole = [cell for cell in Gatherer(specs).add(chunk, trained, judged) if makes_files(cell.spec)]
    return replace(
        judged, files={cell.index: dict(cell_artifacts(cell.result, cell.result.diagnosis)) for cell in whole}
    )
