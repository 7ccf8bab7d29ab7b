"""What trains the cells of a command: once through, in rounds until they are precise enough, or in a race."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np

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
    packed: bool = False,
    study: Study | None = None,
    done: Mapping[int, Mapping[str, np.ndarray]] = MappingProxyType({}),
) -> Trainer:
    """What trains the specs as the settings say: with ``replicates=auto`` until the claims of the ``study``, if there
    is one, are decided. ``packed`` says that they are filed together, ``keep`` that the caller keeps their arrays;
    ``done`` has the outcomes of the cells that need no training, by their places."""
    files, sweep = settings.tracking.enabled, settings.sweep
    if sweep.race:
        race = partial(RaceTraining, most=sweep.budget, within=sweep.within, done=done)
        return race(specs, settings.runtime, files, carry, keep, None, packed)
    cells = [cell for cell in range(len(specs)) if cell not in done]
    missing = [specs[cell] for cell in cells]
    if settings.auto:
        return AdaptiveTraining(missing, settings.runtime, files, carry, keep, cells, packed, study=study)
    return Training(missing, settings.runtime, files, carry, keep, cells, packed)
