"""Sentences written down for the page say what they say in Python, whatever the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

import nnspec
from nnspec.diagnostics import VERDICT_ENTRIES
from nnspec.diagnostics.sentences import facts, since_text
from nnspec.play.phrases import phrase
from nnspec.training.codegen.graph import Untraceable

OPERATIONS: Mapping[str, Any] = {
    "neg": lambda a: -a,
    "abs": abs,
    "and": lambda a, b: bool(a) and bool(b),
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "==": lambda a, b: a == b,
}
MEASURES = sorted({name for entry in VERDICT_ENTRIES.values() for name in entry.measures})
MEASURES += ["init_loss", "loss_jitter", "margin", "solved_at", "since"]
SPECS = [
    nnspec.spec(words)
    for words in (
        [],
        ["model.hidden=[4,4]", "train.snapshot_every=1", "train.epochs=7"],
        ["model.hidden=[3,4]", "train.batch_size=2", "train.snapshot_every=50"],
        ["model.hidden=[6]", "model.output=relu", "loss=mse", "train.stop=plateau"],
        ["data=digits", "loss=cross_entropy", "train.epochs=5"],
    )
]


def filled(written: Mapping[str, Any], numbers: Mapping[str, float]) -> str:
    """A phrase with its numbers, by Python's own format."""
    values: list[Any] = []
    for op, *args in written["nodes"]:
        if op in ("number", "leaf"):
            values.append(args[0] if op == "number" else numbers.get(args[0], math.nan))
        else:
            values.append(OPERATIONS[op](*(values[place] for place in args)))

    def text(pieces: list[Any]) -> str:
        return "".join(piece if isinstance(piece, str) else said(*piece) for piece in pieces)

    def said(place: int, *how: Any) -> str:
        return format(values[place], how[0]) if len(how) == 1 else text(how[0] if values[place] else how[1])

    return text(written["text"])


def numbers() -> Iterator[dict[str, float]]:
    """Numbers of all sizes, whole ones among them, some of which were not measured."""
    draw = np.random.default_rng(0)
    for spec in SPECS * 40:
        sizes = {name: float(draw.normal() * 10.0 ** draw.integers(-6, 4)) for name in MEASURES}
        whole = {name: float(draw.integers(0, 4)) for name in MEASURES}
        odd = {name: float(draw.choice([math.nan, math.inf, -math.inf, 0.0])) for name in MEASURES}
        chosen = {name: (sizes, whole, odd)[draw.integers(3)][name] for name in MEASURES}
        yield {**chosen, **facts(spec)}


@pytest.mark.parametrize("entry", VERDICT_ENTRIES.values(), ids=lambda entry: entry.name)
def test_a_phrase_says_what_the_sentence_says(entry: Any) -> None:
    since = partial(since_text, entry.name)
    written = phrase(entry.sentence), phrase(since)
    said = set()
    for each in numbers():
        texts = filled(written[0], each), filled(written[1], each)
        assert texts == (entry.sentence(each), since(each))
        said.add(texts)
    assert len(said) > 10


def test_a_sentence_that_asks_by_if_is_refused() -> None:
    with pytest.raises(Untraceable, match="choose by either"):
        phrase(lambda numbers: "more" if numbers["final_loss"] > 1 else "less")
    with pytest.raises(Untraceable):
        phrase(lambda numbers: f"{math.floor(numbers['final_loss'])}")
