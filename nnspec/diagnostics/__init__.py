"""Why a network ended as it did: arrays in, one verdict and its numbers a network out; pure."""

from nnspec.diagnostics.group import Diagnosis as Diagnosis
from nnspec.diagnostics.group import Group as Group
from nnspec.diagnostics.outcome import VERDICTS as VERDICTS
from nnspec.diagnostics.outcome import diagnose as diagnose
from nnspec.diagnostics.room import at_a_time as at_a_time
from nnspec.diagnostics.room import diagnosis_bytes as diagnosis_bytes
from nnspec.diagnostics.room import estimate_notes as estimate_notes
from nnspec.diagnostics.room import estimates as estimates
from nnspec.diagnostics.room import probe_bytes as probe_bytes
from nnspec.diagnostics.thresholds import THRESHOLDS as THRESHOLDS
from nnspec.diagnostics.thresholds import Thresholds as Thresholds
