"""Measuring remedies: on which seeds, on how many, and that what is said is what training gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnspec.compose import spec
from nnspec.errors import NnspecError, SpecError
from nnspec.remedies import Remedies, remedies
from nnspec.remedies.found import ANOTHER_SEED
from nnspec.remedies.seeds import affordable, fitting
from nnspec.settings import Runtime
from nnspec.specs import SEEDS, fresh_seed

ALONE = Runtime(workers=1)


@pytest.fixture(scope="module")
def found() -> Remedies:
    return remedies(spec(["init=zeros", "train.epochs=60"]), "symmetric", 20, runtime=ALONE)


def test_each_rate_is_that_of_the_changed_spec_on_the_seeds(found: Remedies, trained_cells) -> None:
    """Trained again from the words of the change, which Hydra composes."""
    assert found.seeds == range(1, 21)
    assert {one.change for one in found.measured} > {"init=mirror", ANOTHER_SEED}
    for one in found.measured:
        words = [] if one.change == ANOTHER_SEED else one.change.split()
        said = [word for word in ("init=zeros",) if not words]
        cell = trained_cells([spec([*said, "train.epochs=60", *words, "seed=1", "replicates=20"])])[0]
        assert one.worth.solve_rate == cell.result.solved.mean(), one.change


def test_the_best_come_first_and_only_sure_gains_are_remedies(found: Remedies) -> None:
    differences = [one.worth.difference for one in found.measured]
    assert differences == sorted(differences, reverse=True)
    assert found.found
    assert all(one.worth.p < 0.05 and one.worth.difference > 0 for one in found.found)
    assert ANOTHER_SEED not in [one.change for one in found.found]


def test_the_same_question_has_the_same_answer(found: Remedies) -> None:
    assert remedies(found.spec, "symmetric", 20, runtime=Runtime(workers=2)) == found


def test_a_table_of_it(found: Remedies) -> None:
    frame = found.frame()
    assert list(frame) == [
        "change",
        "solve_rate",
        "low",
        "high",
        "difference",
        "difference_low",
        "difference_high",
        "p",
        "remedy",
        "seeds",
    ]
    assert frame["change"].tolist() == [one.change for one in found.measured]
    assert (frame["seeds"] == 20).all()
    plain = frame[frame["change"] == ANOTHER_SEED].iloc[0]
    assert (plain["solve_rate"], plain["difference"], plain["p"], plain["remedy"]) == (0.0, 0.0, 1.0, False)
    assert np.allclose(frame["solve_rate"] - frame["difference"], plain["solve_rate"])


def test_without_a_verdict_all_kinds_are_tried() -> None:
    short = spec(["train.epochs=1"])
    assert len(remedies(short, None, 2, runtime=ALONE).tried) > len(
        remedies(short, "symmetric", 2, runtime=ALONE).tried
    )
    assert remedies(short, "solved", 2, runtime=ALONE).tried == remedies(short, None, 2, runtime=ALONE).tried


@pytest.mark.parametrize(("seed", "replicates"), [(0, 1), (7, 100), (SEEDS - 1, 1), (SEEDS - 300, 200)])
def test_the_seeds_are_not_those_of_the_run(seed: int, replicates: int) -> None:
    own, other = range(seed, seed + replicates), fresh_seed(replace(spec([]), seed=seed, replicates=replicates), 200)
    assert other >= 0
    assert other + 200 <= SEEDS
    assert not set(own) & set(range(other, other + 200))


@pytest.mark.parametrize(
    ("seconds", "affordable"),
    [
        (0.1, (18, 200)),
        (3.0, (18, 200)),
        (3.1, (18, 100)),
        (12.0, (18, 50)),
        (30.0, (18, 20)),
        (31.0, (17, 20)),
        (250.0, (1, 20)),
        (300.0, None),
        (float("inf"), None),
    ],
)
def test_as_many_seeds_and_then_changes_as_fit(seconds: float, affordable: tuple[int, int] | None) -> None:
    assert fitting(seconds, 19, 30.0) == affordable


def test_what_a_large_spec_costs_is_tried() -> None:
    large = [spec(["data=digits", "loss=cross_entropy"])] * 3
    assert affordable(large, ALONE, budget=1e9) == (2, 200)
    with pytest.raises(NnspecError, match=r"remedies must be measured within about 1e-09 s, but got about .* for one"):
        affordable(large, ALONE, budget=1e-9)


def test_xor_needs_no_trial() -> None:
    assert affordable([spec([])] * 19, ALONE, budget=0.0) == (18, 200)


@pytest.mark.parametrize("seeds", [-1, 0, 1, 100_001])
def test_seeds_have_bounds(seeds: int) -> None:
    with pytest.raises(SpecError, match=rf"seeds must be 2 to 100,000, but got {seeds}; try 200"):
        remedies(spec([]), None, seeds)


def test_weights_that_are_not_drawn_have_no_seeds() -> None:
    stored = replace(spec([]), init=replace(spec([]).init, name="from_file", params=()))
    with pytest.raises(SpecError, match="init must draw weights, for a change is measured over seeds"):
        remedies(stored)


def test_a_verdict_that_there_is_not() -> None:
    with pytest.raises(SpecError, match="must be a known verdict, but got 'ded_units'; did you mean 'dead_units'"):
        remedies(spec([]), "ded_units")
