"""What was tried of parts and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from nnspec.errors import Fault, NnspecError
from nnspec.terminal import printable


@dataclass(frozen=True)
class Check:
    """One thing that must hold of a part, ``what``; ``problem`` says how it does not, and is empty where it holds."""

    part: str
    what: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.problem

    def __str__(self) -> str:
        why = f": {self.problem}" if self.problem else ""
        return printable(f"{'ok' if self.ok else 'FAILED':<6}  {self.part}: {self.what}{why}")


@dataclass(frozen=True)
class PartsReport:
    """All checks of the parts of a file, in their order: ``assert report.ok, report`` makes a test of them."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all hold."""
        return all(check.ok for check in self.checks)

    def __str__(self) -> str:
        failed = sum(not check.ok for check in self.checks)
        return "\n".join([*map(str, self.checks), f"{len(self.checks)} checks, {failed} failed"])


class NoParts(NnspecError):
    """A file that declares no part."""

    exit_status = 2

    @classmethod
    def of(cls, file: str) -> NoParts:
        """The error of a file."""
        remedy = "decorate a function with @nnspec.activation(NAME) or one of its kind"
        return cls(Fault("a file of parts", "must declare at least one", f"none in {file}", remedy))
