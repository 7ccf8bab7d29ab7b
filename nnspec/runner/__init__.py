"""Cells in, filed and diagnosed results out."""

from nnspec.runner.run import Outcome as Outcome
from nnspec.runner.run import run as run
