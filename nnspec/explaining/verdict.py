"""What a verdict means, as one value: with the thresholds it turns on, as they are, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from nnspec.diagnostics.thresholds import THRESHOLDS, reason
from nnspec.diagnostics.verdicts import verdict_entry

WIDTH, INDENT = 100, 12  # of the text in a terminal


@dataclass(frozen=True)
class Threshold:
    """A number that a verdict turns on."""

    name: str
    value: float
    reason: str


@dataclass(frozen=True)
class VerdictExplanation:
    """A verdict's entry in plain values. It prints as text for a terminal."""

    verdict: str
    summary: str
    meaning: str
    condition: str
    thresholds: tuple[Threshold, ...]
    remedies: tuple[str, ...]
    source: str

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.verdict}: {self.summary}"
        yield from ("", *textwrap.wrap(self.meaning, WIDTH), "")
        yield part("condition", self.condition)
        for threshold in self.thresholds:
            yield part(threshold.name, f"{threshold.value:g}. {threshold.reason}")
        if self.remedies:
            yield part("remedies", f"{', '.join(self.remedies)}; nnspec remedy RUN measures them")
        yield part("source", self.source)


def explain_verdict(name: str) -> VerdictExplanation:
    """What a verdict means.

    Raises:
        SpecError: there is no such verdict; with the nearest name and all of them.
    """
    entry = verdict_entry(name)
    thresholds = tuple(Threshold(each, getattr(THRESHOLDS, each), reason(each)) for each in entry.thresholds)
    return VerdictExplanation(
        entry.name, entry.summary, entry.meaning, entry.condition, thresholds, entry.remedies, entry.source
    )


def part(label: str, text: str) -> str:
    """A label with its text, wrapped beside it: below it where the label is long."""
    head = f"{label:<{INDENT}}"
    if len(label) >= INDENT:
        head = f"{label}\n{'':{INDENT}}"
    body = textwrap.wrap(text, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False)
    return head + f"\n{'':{INDENT}}".join(body)
