"""Training that is broken off: what is known of cells that are not whole, and how it is filed."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from nnspec.execute.engine import Training
from nnspec.execute.interrupts import Interrupts
from nnspec.execute.pool import Advanced, Event, Extra, Finished
from nnspec.journal.recording import joined_histories, longest
from nnspec.processes import Requests
from nnspec.results.arrays import Results
from nnspec.runner import run
from nnspec.settings import Runtime, Settings, Sweep, Tracking
from nnspec.specs import RunSpec
from nnspec.sweep import Cell
from nnspec.tracking import open_store
from nnspec.training.loop import Progress, train_chunk
from nnspec.training.plan import Chunk

SpecOf = Callable[..., RunSpec]
ROWS = 3  # of the history that are known of the chunk in training


def broken_off(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Iterator[Event]:
    """All chunks but the last are trained, the last one has come so far, and then somebody wants no more."""
    for number, chunk in enumerate(chunks):
        (*_, trained) = train_chunk(specs, chunk)
        assert isinstance(trained, Results)
        if number < len(chunks) - 1:
            yield Finished(number, trained, extra(specs, chunk, trained))
            continue
        yield Advanced(number, Progress(trained.history().select(step=slice(ROWS))))
    raise KeyboardInterrupt


def stopped_training(spec: RunSpec) -> Training:
    training = Training([spec], Runtime(workers=2), carry=broken_off)
    with pytest.raises(KeyboardInterrupt):
        list(training)
    return training


def test_a_cell_in_one_chunk(spec_of: SpecOf) -> None:
    (stopped,) = stopped_training(spec_of(seed=7, replicates=3, train={"epochs": 100})).stopped()
    (history,) = stopped.histories
    assert history.seeds.tolist() == [7, 8, 9]
    assert history.steps.tolist() == [0, 10, 20]
    assert history.loss.shape == (3, 3)


def test_a_cell_in_two_chunks_of_which_one_is_trained(spec_of: SpecOf) -> None:
    training = stopped_training(spec_of(seed=7, replicates=1100, train={"epochs": 30}))
    assert len(list(training.plan.chunks())) == 2
    (stopped,) = training.stopped()
    whole, part = stopped.histories
    assert sorted([*whole.seeds, *part.seeds]) == list(range(7, 1107))
    assert (whole.steps.tolist(), part.steps.tolist()) == ([0, 10, 20, 30], [0, 10, 20])
    assert longest(stopped.histories).seeds.tolist() == whole.seeds.tolist()
    table = pq.read_table(io.BytesIO(joined_histories(stopped.histories))).to_pandas()
    steps = table.groupby("seed")["step"].max()
    assert steps.loc[whole.seeds].eq(30).all()
    assert steps.loc[part.seeds].eq(20).all()
    assert table["seed"].nunique() == 1100


def test_what_is_known_is_filed_and_the_run_is_killed(spec_of: SpecOf, folder: Path) -> None:
    spec = spec_of(replicates=3, train={"epochs": 100})
    outcome = run([Cell(spec)], Settings(sweep=Sweep(report=False)), quiet=True, carry=broken_off)
    assert outcome.exit_status == 130
    store = open_store(Tracking())
    facts = store.get(outcome.run_ids[0])
    assert facts.status == "KILLED"
    assert facts.end_time is not None
    assert np.isfinite(facts.metrics["loss"])
    table = pq.read_table(io.BytesIO(store.artifact(facts.run_id, "history.parquet"))).to_pandas()
    assert table["step"].max() == 20
    assert store.artifact(facts.run_id, "spec.yaml")


def test_whatever_ends_a_command_nothing_stays_running(spec_of: SpecOf, folder: Path) -> None:
    def fails(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Iterator[Event]:
        (*_, trained) = train_chunk(specs, chunks[0])
        assert isinstance(trained, Results)
        yield Advanced(0, Progress(trained.history()))
        raise RuntimeError("a bug")

    cells = [Cell(spec_of(seed=seed, train={"epochs": 20}), (("seed", str(seed)),)) for seed in (0, 1)]
    with pytest.raises(RuntimeError, match="a bug"):
        run(cells, Settings(sweep=Sweep(report=False)), ["seed"], True, "nnspec run -m", quiet=True, carry=fails)
    store = open_store(Tracking())
    sweep = store.latest_sweep(store.experiment("nnspec-xor"))
    assert sweep is not None
    assert store.get(sweep).status == "KILLED"
    assert {child.status for child in store.find_children(sweep)} == {"KILLED"}


class Every(Requests):
    """Each signal is a request of its own."""

    def is_new(self) -> bool:
        return True


@contextmanager
def handlers_counted(numbers: Sequence[int], calls: list[int]) -> Iterator[None]:
    before = {number: signal.signal(number, lambda number, frame: calls.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_requests_one_after_the_other(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    number = getattr(signal, name)
    calls: list[int] = []
    with handlers_counted([number], calls), Interrupts(Every()) as interrupts:
        with pytest.raises(KeyboardInterrupt):
            for _ in interrupts.each(iter(lambda: signal.raise_signal(number), 0)):  # type: ignore[arg-type,return-value]
                pass
        signal.raise_signal(number)  # while filing: told of
        assert "once more stops at once" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert calls == []
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert calls == [number]  # who handled it before ends the process


def test_a_burst_is_one_request_and_taking_an_event_is_not_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[Any] = []

    def take_all(interrupts: Interrupts) -> None:
        for event in interrupts.each([1, 2, 3]):
            for _ in range(6):
                signal.raise_signal(signal.SIGTERM)
            taken.append(event)

    with Interrupts(Requests(apart=1e9)) as interrupts, pytest.raises(KeyboardInterrupt):
        take_all(interrupts)
    assert taken == [1]
    assert capsys.readouterr().err.count("\n") == 1


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
