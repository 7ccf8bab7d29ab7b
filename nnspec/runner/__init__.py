"""One command from cells to filed results: the room where plan, train, diagnose and tracking meet."""

from nnspec.results.outcome import Outcome
from nnspec.runner.plans import Planned, planned
from nnspec.runner.sweep import run

__all__ = ["Outcome", "Planned", "planned", "run"]
