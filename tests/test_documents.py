"""JSON documents hold what they were given, and null where JSON has no number."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from nnspec.documents import document
from nnspec.terminal import printable_lines


@dataclass(frozen=True)
class Pair:
    left: float
    right: str


def test_what_has_a_form_keeps_it() -> None:
    frame = pd.DataFrame({"rate": [0.5, np.nan], "at": pd.array([3, None], dtype="Int64"), "name": ["a", "ü"]})
    value = {1: frame, "array": np.arange(3), "pair": Pair(np.inf, "x"), "flag": np.bool_(True), "none": None}
    rows = [{"rate": 0.5, "at": 3, "name": "a"}, {"rate": None, "at": None, "name": "ü"}]
    wanted = {"1": rows, "array": [0, 1, 2], "pair": {"left": None, "right": "x"}, "flag": True, "none": None}
    assert json.loads(document(value)) == wanted
    assert list(json.loads(document({"b": 1, "a": 2}))) == ["b", "a"]


def test_every_character_survives_the_way_to_a_terminal() -> None:
    value = "y\xa0z \x7f \x1b ü \U000e0001 \ufeff"
    assert json.loads(printable_lines(document([value]))) == [value]


def test_what_has_none_is_refused() -> None:
    with pytest.raises(TypeError, match="set has no form in JSON"):
        document({"a": {1}})
