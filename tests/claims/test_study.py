"""What a study states is read strictly, and every fault is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.errors import Fault
from nnspec.study import Along, Bounds, Computed, Than, examine


def stated(*claims: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"question": "Why?", "source": "textbook", "claims": list(claims), **more}


def faults_of(value: object) -> str:
    faults: list[Fault] = []
    assert examine(value, faults) is None
    return "\n".join(map(str, faults))


def test_relations_are_read() -> None:
    study = examine(
        stated(
            {"says": "a", "above": 0.5},
            {"says": "b", "equals": 2, "within": 0.5, "measure": "final_loss"},
            {"says": "c", "where": {"init": "zeros"}, "smaller_than": {"init": "he"}},
            {"says": "d", "falling_along": "model.depth"},
            {"says": "e", "formula": "2 * lr", "within": 0.1, "expected": "refuted"},
            {"says": "f", "measure": "final_loss", "counts": {"below": 0.1}, "inside": [0.2, 0.3]},
            {"says": "g", "measure": "final_loss", "among": "solved", "equal_to": {"init": "he"}, "within": 0.1},
        ),
        faults := [],
    )
    assert not faults
    assert study is not None
    one, two, three, four, five, six, seven = (claim.relation for claim in study.claims)
    assert one == Bounds(low=0.5)
    assert two == Bounds(1.5, 2.5)
    assert three == Than("smaller_than", {"init": "he"})
    assert four == Along("model.depth", rising=False)
    assert isinstance(five, Computed)
    assert (six, study.claims[5].counts) == (Bounds(0.2, 0.3), Bounds(high=0.1))
    assert (seven, study.claims[6].among) == (Than("equal_to", {"init": "he"}, 0.1), "solved")
    assert study.confidence == 0.95


CLAIM = {"says": "a", "above": 0.5}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "study must be a mapping, but got 3"),
        ({"claims": [CLAIM]}, "must have the key question"),
        ({"question": "Why?", "source": "textbook"}, "study.claims must be a list of claims, but got null"),
        (stated(3), "study.claims[0] must be a mapping, but got 3"),
        (stated(), "study.claims must be a list of claims"),
        (stated({**CLAIM, "below": 1}), "must state one relation"),
        (stated({"says": "a"}), "but got none"),
        (stated({"above": 0.5}), "study.claims[0] must have the key says"),
        (stated({**CLAIM, "wher": {}}), "did you mean 'where'?"),
        (stated({**CLAIM, "within": 1}), "study.claims[0].within goes with equals, equal_to and formula"),
        (stated({"says": "a", "equals": 1}), "must have the key within beside equals"),
        (stated({"says": "a", "equal_to": {"init": "he"}}), "must have the key within beside equal_to"),
        (stated({"says": "a", "equal_to": 0.5, "within": 1}), "equal_to must be a mapping of keys to values"),
        (stated({**CLAIM, "among": "dead"}), "among must be one of solved, but got dead"),
        (stated({**CLAIM, "among": "solved"}), "among must not go with solved"),
        (stated({**CLAIM, "among": "solved", "measure": "verdict.solved"}), "must not go with verdict.solved"),
        (stated({"says": "a", "equals": 1, "within": 0}), "within must be a finite number above 0"),
        (stated({"says": "a", "inside": [2, 1]}), "must be two rising numbers"),
        (stated({"says": "a", "above": "much"}), "above must be a finite number, but got much"),
        (stated({"says": "a", "formula": "a.b", "within": 1}), "formula may have numbers, names"),
        (stated({**CLAIM, "counts": {"about": 1}}), "counts.about is not a known key"),
        (stated({**CLAIM, "counts": {"inside": [0, 1], "above": 1}}), "counts must say above, below, inside or equals"),
        (stated({**CLAIM, "counts": {"within": 1}}), "counts must say above, below, inside or equals"),
        (stated({**CLAIM, "expected": "maybe"}), "must be one of holds, refuted, undecided"),
        (stated({**CLAIM, "where": {}}), "where must be a mapping of keys"),
        (stated(CLAIM, confidence=1.0), "confidence must be a finite number above 0 and below 1"),
        (stated(CLAIM, questions="x"), "study.questions is not a known key"),
    ],
    ids=str,
)
def test_a_fault_says_rule_and_value(value: object, words: str) -> None:
    assert words in faults_of(value)


def test_faults_of_all_claims_come_at_once() -> None:
    text = faults_of(stated({"says": "a"}, {"says": "b", "above": True}))
    assert "study.claims[0]" in text
    assert "study.claims[1]" in text
