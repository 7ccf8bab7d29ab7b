"""A search's book in Optuna: the same seed proposes the same, one that is read back goes on, and it is a file of
Optuna's."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nnspec.compose import Composer
from nnspec.errors import TrackingError
from nnspec.search.space import Space
from nnspec.search.study import Asked, Study
from nnspec.settings import SAMPLERS, Settings, Sweep

WHERE = ({"activation": "elu", "activation.alpha": "interval(0.1,3)"}, {"activation": ["relu", "tanh"]})


@pytest.fixture(scope="module")
def space() -> Space:
    said = ["optimizer.lr=tag(log,interval(0.001,10))", "model.width=range(2,9)"]
    return Space(said, Settings(sweep=Sweep(where=WHERE)), Composer())


def value(trial: Asked) -> float:
    """A smooth objective with its best at lr = 0.1, block 0."""
    return -abs(math.log10(float(trial.values["optimizer.lr"])) + 1) - trial.block


def go_on(study: Study, batches: int, batch: int = 3) -> None:
    for _ in range(batches):
        trials = [study.ask() for _ in range(batch)]
        for trial in trials:
            study.take(trial, trial.number)
        for trial in trials:
            study.tell(trial, [value(trial)])


def proposed(study: Study) -> list[tuple[int, dict]]:
    return [(trial.block, dict(trial.values)) for trial in study.trials]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_proposes_the_same_also_after_reading_back(sampler: str, space: Space) -> None:
    def study(seed: int, journal: bytes | None = None) -> Study:
        return Study(space, ["solve_rate"], sampler, seed=seed, journal=journal)

    whole, again = study(3), study(3)
    go_on(whole, 5)
    go_on(again, 4)
    later = study(3, again.journal())
    assert proposed(later) == proposed(again)
    go_on(later, 1)
    assert proposed(later) == proposed(whole)
    other = study(4)
    go_on(other, 1)
    assert proposed(other) != proposed(whole)[:3]


def test_tpe_learns_where_it_is_good(space: Space) -> None:
    """The mean of its later trials is above that of its first ten, which are drawn at random, for each of five seeds:
    by chance in one of 32 runs, were there nothing to it."""

    def later_and_first(seed: int) -> tuple[float, float]:
        study = Study(space, ["solve_rate"], "tpe", seed=seed)
        go_on(study, 12)
        values = [value(trial) for trial in study.trials]
        return float(np.mean(values[20:])), float(np.mean(values[:10]))

    assert all(later > first for later, first in map(later_and_first, range(5)))


def test_it_is_a_journal_of_optunas(space: Space, tmp_path: Path) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    study = Study(space, ["solve_rate", "updates_to_solve"], "tpe")
    trials = [study.ask() for _ in range(5)]
    for number, trial in enumerate(trials[:3]):
        study.take(trial, number)
        study.tell(trial, [0.25 * number, 10.0 - number])
    study.refuse(trials[3])
    (tmp_path / "study.journal").write_bytes(study.journal())
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    read = optuna.load_study(study_name=None, storage=storage)
    assert [trial.state.name for trial in read.trials] == ["COMPLETE"] * 3 + ["FAIL", "RUNNING"]
    assert [trial.values for trial in read.trials[:3]] == [[0.0, 10.0], [0.25, 9.0], [0.5, 8.0]]
    assert [direction.name for direction in read.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.user_attrs.get("cell") for trial in read.trials] == [0, 1, 2, None, None]


@pytest.mark.parametrize(
    "journal", [b"{", b"[]", b"\xff\xfe", b'{"op_code": 99}\n', b'{"op_code": 4, "study_id": 7}\n']
)
def test_what_is_no_journal_is_one_line(journal: bytes, space: Space) -> None:
    with pytest.raises(TrackingError, match="must be a journal of Optuna's with the trials of this space"):
        Study(space, ["solve_rate"], "tpe", journal=journal)


def test_the_journal_of_another_space_is_refused(space: Space) -> None:
    other = Space(["init.gain=interval(1,2)"], Settings(), Composer())
    study = Study(other, ["solve_rate"], "random")
    study.take(study.ask(), 0)
    with pytest.raises(TrackingError, match="trials of this space"):
        Study(space, ["solve_rate"], "tpe", journal=study.journal())


def test_a_journal_names_no_code(space: Space) -> None:
    """Distributions are JSON by the names of Optuna's classes: another name is refused, and nothing is imported."""
    study = Study(space, ["solve_rate"], "random")
    study.take(study.ask(), 0)
    lines = [json.loads(line) for line in study.journal().splitlines()]
    for line in lines:
        if "distribution" in line:
            line["distribution"] = json.dumps({"name": "os.system", "attributes": {"command": "touch ran"}})
    journal = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    with pytest.raises(TrackingError, match="trials of this space"):
        Study(space, ["solve_rate"], "tpe", journal=journal)
    assert not Path("ran").exists()
