"""Sweeps: overrides in, checked cells out. Pure: nothing is trained or filed here."""

from nnspec.sweep.cells import Cell as Cell
from nnspec.sweep.cells import SweepPlan as SweepPlan
from nnspec.sweep.expand import expand as expand
from nnspec.sweep.expand import plan as plan
from nnspec.sweep.expand import unwatched as unwatched
