"""How long a plan says that training takes: arithmetic on a trial whose figures are given, and what is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from nnspec.duration import Pace, pace
from nnspec.execute.cost import (
    COMPILING,
    COMPILING_ROW,
    FASTER,
    LOOK,
    SHARED,
    compiled_seconds,
    eager_seconds,
    plan_seconds,
)
from nnspec.report.console import duration
from nnspec.specs import RunSpec
from nnspec.training.loop import probe
from nnspec.training.memory import Room, hot_bytes
from nnspec.training.plan import Chunk, Plan, plan

SpecOf = Callable[..., RunSpec]


class Tried:
    """A probe that takes a millisecond to set up a network and a microsecond to update it, and notes what it was
    given."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[RunSpec], Chunk, float, int]] = []

    def __call__(self, specs: Sequence[RunSpec], chunk: Chunk, patience: float, threads: int) -> tuple[float, float]:
        self.calls.append((list(specs), chunk, patience, threads))
        return 1e-3 * chunk.networks, 1e-6 * chunk.networks


def planned(specs: list[RunSpec], workers: int = 1, compiled: bool = True) -> Plan:
    return plan(specs, Room(None, workers, False, compiled))


def test_an_eager_training_by_hand(spec_of: SpecOf) -> None:
    spec = spec_of(
        replicates=100, train={"epochs": 50, "log_every": 10}
    )  # too little to compile; 6 rows of the history
    assert eager_seconds(pace(spec), 1e-6) == pytest.approx(1e-6 * (50 + LOOK * 6))
    assert plan_seconds(planned([spec]), 1, Tried()) == pytest.approx(100 * (1e-3 + 1e-6 * (50 + LOOK * 6)))


def test_a_compiled_training_by_hand(spec_of: SpecOf) -> None:
    train = Pace(updates=1000, log_every=10)  # the first ten updates are made both ways
    assert compiled_seconds(train, 1e-6) == pytest.approx(10e-6 + 1e-6 / FASTER * (1000 + LOOK * 101))
    planned_ = planned([spec_of(replicates=4000, train={"epochs": 1000, "log_every": 10})])
    (chunk,) = planned_.stacks[0].chunks
    assert chunk.networks == 4000
    expected = 4000 * (1e-3 + compiled_seconds(train, 1e-6)) + COMPILING + COMPILING_ROW * 4 * 17
    assert plan_seconds(planned_, 1, Tried()) == pytest.approx(expected)


def test_two_processes_share_the_work_and_the_memory_bus(spec_of: SpecOf) -> None:
    specs = [spec_of(replicates=600, train={"epochs": 50})]
    one, two = (plan_seconds(planned(specs, workers), workers, Tried()) for workers in (1, 2))
    assert one is not None
    assert two == pytest.approx(one / 2 * SHARED)


def test_the_largest_stacks_are_tried_and_the_others_go_by_their_size(spec_of: SpecOf) -> None:
    specs = [
        spec_of(model={"name": "mlp", "hidden": [units]}, replicates=10, train={"epochs": 20}) for units in range(1, 20)
    ]
    tried = Tried()
    seconds = plan_seconds(planned(specs), 1, tried, patience=1.0)
    assert [call[0][0].model["hidden"] for call in tried.calls] == [(19,), (18,), (17,), (16,)]
    assert sum(call[2] for call in tried.calls) == pytest.approx(1.0)
    known, every = sum(hot_bytes(spec) for spec in specs[-4:]), sum(map(hot_bytes, specs))
    assert seconds == pytest.approx(40 * (1e-3 + eager_seconds(pace(specs[0]), 1e-6)) * every / known)


@pytest.mark.parametrize(
    ("fields", "narrow"),
    [
        ({"model": {"name": "mlp", "hidden": [2000, 2000]}}, True),
        ({"data": {"name": "parity", "bits": 14}, "replicates": 64}, False),
        ({"model": {"name": "mlp", "hidden": [30000, 30000]}}, True),
        ({"replicates": 3000}, False),
        # the most that lanes hold: many weights, and many rows
        ({"model": {"name": "mlp", "hidden": [22, 22]}, "optimizer": "rprop", "dtype": "float64"}, False),
        ({"data": {"name": "moons", "rows": 800}, "model": {"name": "perceptron"}, "replicates": 3000}, False),
    ],
    ids=str,
)
def test_what_is_tried_is_small(spec_of: SpecOf, fields: dict[str, object], narrow: bool) -> None:
    from nnspec.execute.cost import ROOM
    from nnspec.training.layout import is_separate
    from nnspec.training.memory import chunk_bytes, own_bytes

    spec, tried = spec_of(**fields), Tried()
    assert plan_seconds(planned([spec]), 1, tried)
    ((specs, chunk, _, _),) = tried.calls
    assert (specs[0].model != spec.model) == narrow
    assert (
        own_bytes(specs[0]) if is_separate(spec) else chunk_bytes(specs[0], chunk.networks, Room(compiled=False))
    ) <= ROOM


def test_threads_that_train_a_large_network_try_it_too(spec_of: SpecOf) -> None:
    spec = spec_of(data="digits", loss="cross_entropy", model={"name": "mlp", "hidden": [90]})
    for workers in (1, 3):
        tried = Tried()
        plan_seconds(planned([spec], workers), workers, tried)
        assert [call[3] for call in tried.calls] == [workers]


def test_stored_weights_that_are_too_large_to_try_have_no_time(spec_of: SpecOf) -> None:
    from dataclasses import replace

    spec = spec_of(model={"name": "mlp", "hidden": [2000, 2000]})
    stored = replace(spec, init=replace(spec.init, name="from_file"))
    assert plan_seconds(planned([stored]), 1, Tried()) is None


def test_a_real_trial_measures_something(spec_of: SpecOf) -> None:
    endless = spec_of(replicates=64, train={"epochs": 10**8, "log_every": 10**8})
    (chunk,) = planned([endless]).stacks[0].chunks
    setup, update = probe([endless], chunk, 0.01)
    assert setup > 0
    assert update > 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0.1 s"), (0.23, "0.2 s"), (42.2, "42 s"), (150.0, "2 min"), (8000.0, "2 h"), (1e6, "12 days")],
)
def test_durations_are_never_nothing(seconds: float, words: str) -> None:
    assert duration(seconds) == words
