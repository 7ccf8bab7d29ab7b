"""Why a network ended as it did: arrays in, one verdict and its numbers a network out; pure.

Torch loads when a network is first diagnosed: what verdicts mean can be told without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nnspec.diagnostics.group import Group as Group
from nnspec.diagnostics.group import Snapshots as Snapshots
from nnspec.diagnostics.room import at_a_time as at_a_time
from nnspec.diagnostics.room import diagnosis_bytes as diagnosis_bytes
from nnspec.diagnostics.room import estimate_notes as estimate_notes
from nnspec.diagnostics.room import estimates as estimates
from nnspec.diagnostics.room import probe_bytes as probe_bytes
from nnspec.diagnostics.thresholds import THRESHOLDS as THRESHOLDS
from nnspec.diagnostics.thresholds import Thresholds as Thresholds
from nnspec.diagnostics.verdicts import NEED_LAYERS as NEED_LAYERS
from nnspec.diagnostics.verdicts import VERDICT_ENTRIES as VERDICT_ENTRIES
from nnspec.diagnostics.verdicts import VERDICTS as VERDICTS
from nnspec.diagnostics.verdicts import metric_names as metric_names
from nnspec.diagnostics.verdicts import verdict_entry as verdict_entry

if TYPE_CHECKING:
    from nnspec.diagnostics.outcome import diagnose as diagnose


def __getattr__(name: str) -> object:
    if name == "diagnose":
        return import_module("nnspec.diagnostics.outcome").diagnose
    raise AttributeError(f"module 'nnspec.diagnostics' has no attribute '{name}'")
