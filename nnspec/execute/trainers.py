"""What trains the cells of a command: once through, in rounds until they are precise enough, or in a race."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.execute.adaptive import AdaptiveTraining
from nnspec.execute.engine import Carry, Trainer, Training
from nnspec.execute.racing import RaceTraining
from nnspec.settings import Settings
from nnspec.specs import RunSpec
from nnspec.study import Study


def trainer(
    specs: Sequence[RunSpec],
    settings: Settings,
    carry: Carry | None = None,
    keep: bool = False,
    cells: Sequence[int] | None = None,
    packed: bool = False,
    study: Study | None = None,
) -> Trainer:
    """What trains the specs as the settings say: with ``replicates=auto`` until the claims of the ``study``, if there
    is one, are decided. ``packed`` says that they are filed together, ``keep`` that the caller keeps their arrays;
    ``cells`` are their numbers in events (their places unless said)."""
    files = settings.tracking.enabled
    if settings.sweep.race:
        most, within = settings.sweep.budget, settings.sweep.within
        return RaceTraining(specs, settings.runtime, files, carry, keep, cells, packed, most=most, within=within)
    if settings.auto:
        return AdaptiveTraining(specs, settings.runtime, files, carry, keep, cells, packed, study=study)
    return Training(specs, settings.runtime, files, carry, keep, cells, packed)
