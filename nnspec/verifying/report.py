"""What a comparison found, as a value that prints as text."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN_CAUSES = 3  # of one finding: what is more is said by its number


@dataclass(frozen=True)
class Finding:
    """Where a network parts from nnspec's. ``causes`` are the faults that give the network's very numbers, the most
    likely first; none if no known one does."""

    stage: str  # outputs, loss, gradients or updates
    where: str  # in words: which layer or tensor, and by how much
    causes: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"The {self.stage} part from nnspec's."
        if self.causes:
            text += f"\nMost likely {self.causes[0]}."
        else:
            text += "\nNo known fault gives the same numbers."
        others = self.causes[1:SHOWN_CAUSES]
        if others:
            text += f"\nThe same numbers would come of: {'; or '.join(others)}."
        more = len(self.causes) - SHOWN_CAUSES
        if more > 0:
            text += f" And of {more} other faults."
        return f"{text}\n{self.where}"


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of ``nnspec.verify``. Stages are compared in their order, up to the first one that parts.

    ``agreed`` are the stages that agree, ``notes`` what else a reader should know, as what could not be compared.
    """

    findings: tuple[Finding, ...]
    agreed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing parts."""
        return not self.findings

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings]
        if self.ok:
            whole = "gradients" in self.agreed or "updates" in self.agreed
            lines.append("The network is nnspec's." if whole else "As far as it was compared, it is nnspec's.")
        if self.agreed:
            lines.append(f"Agree: {', '.join(self.agreed)}.")
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__
