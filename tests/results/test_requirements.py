"""What is required of a cell: judged at the bound, told in a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from nnspec.results.requirements import REQUIRE_TAG, SHOWN, Check, checks, required_tag, unmet_lines
from nnspec.settings import Require


def outcome(solved: int = 525, networks: int = 1000, **columns: Any) -> dict[str, np.ndarray]:
    rows = {"solved": np.arange(networks) < solved, "final_loss": np.linspace(0.0, 1.0, networks)}
    return rows | {name: np.asarray(values) for name, values in columns.items()}


def judged(require: Require, rows: dict[str, np.ndarray], **more: Any) -> list[bool]:
    return [check.holds for check in checks(require, 0, rows, **more)]


def test_nothing_is_required_unless_said() -> None:
    assert judged(Require(), outcome()) == []
    assert required_tag([]) == {}


@pytest.mark.parametrize(("required", "holds"), [(0.525, True), (0.526, False), (0.0, True), (1.0, False)])
def test_a_solve_rate_is_at_least_what_is_required(required: float, holds: bool) -> None:
    assert judged(Require(solve_rate=required), outcome()) == [holds]


def test_the_lower_bound_is_wilsons() -> None:
    low, high = proportion_confint(525, 1000, method="wilson")
    assert judged(Require(solve_rate_low=low - 1e-6), outcome()) == [True]
    assert judged(Require(solve_rate_low=low + 1e-6), outcome()) == [False]
    (check,) = checks(Require(solve_rate=0.9), 3, outcome())
    assert (check.rate, check.limits) == (0.525, pytest.approx((low, high)))


def test_other_limits_take_the_place_of_wilsons() -> None:
    (check,) = checks(Require(solve_rate_low=0.5), 0, outcome(), interval=lambda solved, networks: (0.5, 0.6))
    assert (check.got, check.holds) == (0.5, True)


@pytest.mark.parametrize(("required", "holds"), [(0.2, True), (0.1999, False)])
def test_the_median_loss_is_at_most_what_is_required(required: float, holds: bool) -> None:
    assert judged(Require(final_loss=required), outcome(3, 3, final_loss=[0.1, 0.2, 9.0])) == [holds]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_median_that_is_not_finite_is_never_small_enough(broken: float) -> None:
    assert judged(Require(final_loss=1e300), outcome(1, 3, final_loss=[0.1, broken, broken])) == [False]
    assert judged(Require(final_loss=0.1), outcome(2, 3, final_loss=[0.1, 0.1, broken])) == [True]


def test_accuracy_on_the_test_part() -> None:
    rows = outcome(3, 3, final_test_accuracy=[0.8, 0.9, 1.0])
    assert judged(Require(test_accuracy=0.9), rows) == [True]
    assert judged(Require(test_accuracy=0.91), rows) == [False]
    (unmeasured,) = checks(Require(test_accuracy=0.0), 0, outcome())
    assert not unmeasured.holds
    assert str(unmeasured) == "require.test_accuracy 0, but got nothing"


def test_a_requirement_in_words() -> None:
    require = Require(solve_rate=0.9, solve_rate_low=0.9, final_loss=0.25)
    assert list(map(str, checks(require, 3, outcome()))) == [
        "require.solve_rate 0.9, but got 0.525 [0.494, 0.556]",
        "require.solve_rate_low 0.9, but got 0.494 of 0.525 [0.494, 0.556]",
        "require.final_loss 0.25, but got 0.5",
    ]


def test_a_near_miss_is_told_with_the_digits_that_tell_it() -> None:
    (check,) = checks(Require(final_loss=0.5), 0, outcome(1, 1, final_loss=[0.5000001]))
    assert not check.holds
    assert str(check) == "require.final_loss 0.5, but got 0.5000001"


def test_many_failures_are_cut() -> None:
    unmet = [Check(cell, "final_loss", 0.1, 0.2, False) for cell in range(SHOWN + 5)]
    names = [f"seed={cell}" for cell in range(SHOWN + 5)]
    lines = list(unmet_lines(unmet, names))
    assert lines[3] == "cell 3 (seed=3): require.final_loss 0.1, but got 0.2"
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "... and 5 more requirements that did not hold"
    assert list(unmet_lines(unmet[:1], None)) == ["require.final_loss 0.1, but got 0.2"]


def test_the_tag_of_a_run() -> None:
    held, missed = Check(0, "final_loss", 0.1, 0.1, True), Check(1, "solve_rate", 0.9, 0.5, False)
    assert required_tag([held]) == {REQUIRE_TAG: "held"}
    assert required_tag([missed]) == {REQUIRE_TAG: "not held: solve_rate"}
    assert required_tag([held, missed]) == {REQUIRE_TAG: "not held in 1 of 2 cells: solve_rate"}
