"""When replicates=auto has networks enough for the claims of a study, by networks that are made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnspec.errors import Fault
from nnspec.execute.stopping import Decided
from nnspec.results.arrays import Results
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.study import Study, examine

SpecOf = Callable[..., RunSpec]
NAMES = ("relu", "tanh", "gelu")


def study_of(*claims: dict[str, Any]) -> Study:
    faults: list[Fault] = []
    stated = [{"says": f"claim {number}", **claim} for number, claim in enumerate(claims)]
    study = examine({"question": "Why?", "source": "made up", "claims": stated}, faults)
    assert study is not None, faults
    return study


def about(name: str, **relation: object) -> dict[str, Any]:
    return {"where": {"activation": name}, **relation}


@pytest.fixture
def cell(spec_of: SpecOf) -> Callable[[str, int, float], Results]:
    def made(name: str, networks: int, rate: float) -> Results:
        solved, column = np.arange(networks) < round(rate * networks), np.zeros((networks, 1))
        return Results(
            spec_of(activation=name, replicates=networks),
            seeds=np.arange(networks),
            steps=np.zeros(1, np.int64),
            loss=column,
            accuracy=column,
            weight_norm={},
            right=solved[:, None],
            verdict=np.full(networks, "unknown"),
        )

    return made


def test_looks_double_up_to_the_most_and_share_the_error_out() -> None:
    looks = Decided(study_of({"above": 0.5}), Runtime(most_replicates=300)).looks
    assert looks.sizes == (20, 40, 80, 160, 300)
    assert looks.each == pytest.approx(1 - 0.05 / 5)


def test_only_cells_of_undecided_claims_go_on(cell: Callable[[str, int, float], Results]) -> None:
    study = study_of(about("relu", above=0.5), about("tanh", above=0.5), about("gelu", below=0.5))
    rule = Decided(study, Runtime())
    first = {0: cell("relu", 20, 1.0), 1: cell("tanh", 20, 0.6), 2: cell("gelu", 20, 0.7)}
    assert rule.unfinished(first) == {1, 2}
    assert rule.unfinished({1: cell("tanh", 40, 0.6), 2: cell("gelu", 40, 1.0)}) == {1}
    assert rule.unfinished({1: cell("tanh", 10_000, 0.6)}) == set()


def test_both_sides_of_a_comparison_go_on(cell: Callable[[str, int, float], Results]) -> None:
    study = study_of(about("relu", larger_than={"activation": "tanh"}), about("gelu", above=0.5))
    rule = Decided(study, Runtime())
    first = {0: cell("relu", 20, 0.6), 1: cell("tanh", 20, 0.5), 2: cell("gelu", 20, 1.0)}
    assert rule.unfinished(first) == {0, 1}
    assert rule.unfinished({0: cell("relu", 40, 1.0), 1: cell("tanh", 40, 0.2)}) == set()


def test_what_no_number_of_networks_lets_be_judged_does_not_go_on(cell: Callable[[str, int, float], Results]) -> None:
    rule = Decided(study_of(about("relu", measure="final_los", above=0.5)), Runtime())
    assert rule.unfinished({0: cell("relu", 20, 0.5)}) == set()


def test_the_looks_make_the_intervals_wider(cell: Callable[[str, int, float], Results]) -> None:
    """15 of 20 above 0.5: decided at a single look (its 95% interval begins at 0.509), not at one of ten."""
    few, many = (Decided(study_of(about("relu", above=0.5)), Runtime(most_replicates=most)) for most in (20, 10_000))
    assert few.unfinished({0: cell("relu", 20, 0.75)}) == set()
    assert many.unfinished({0: cell("relu", 20, 0.75)}) == {0}
