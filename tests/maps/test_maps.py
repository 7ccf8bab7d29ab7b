"""Maps: a pixel is a run alone, to the last bit; what is kept of it; pieces that are cut, carried, lost, broken off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nnspec
from nnspec.cli import main
from nnspec.diagnostics import VERDICTS
from nnspec.errors import SpecError, TrackingError
from nnspec.execute.pool import Event, Extra, Finished, Lost, train_chunks
from nnspec.execute.shards import Shards
from nnspec.maps.axes import Axis, along, axes_of
from nnspec.maps.command import MapOutcome, run_map
from nnspec.maps.filing import MapRun, read_map
from nnspec.maps.pixels import Pieces, Pixels, cut
from nnspec.maps.reducing import UNTRAINED, convergence
from nnspec.maps.result import Map
from nnspec.maps.training import MapTraining
from nnspec.settings import Runtime, Settings, Sweep, Tracking
from nnspec.specs import RunSpec
from nnspec.tracking import CellStore, RunQuery, opened
from nnspec.training.plan import Chunk, stack_key

SGD = ["model.hidden=[4]", "activation=tanh", "loss=mse", "optimizer=sgd", "train.epochs=40"]
LR = ("optimizer.lr", 0.05, 500.0, "log", 6)
GAIN = ("init.gain", 0.2, 5.0, "log", 5)


def mapped(spec: RunSpec, x: tuple[str, float, float, str, int], y: tuple[str, float, float, str, int]) -> Map:
    axes = Axis(*x), Axis(*y)
    training = MapTraining(spec, *axes, Runtime(workers=1))
    list(training)
    return Map(spec, *axes, training.arrays)


def with_values(words: list[str], values: dict[str, float]) -> RunSpec:
    """The spec of a run alone, as one would type it."""
    return nnspec.spec([*words, *(f"{key}={float(value)}" for key, value in values.items())])


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("words", "x", "y"),
    [
        (SGD, LR, GAIN),
        ([*SGD, "model.output=identity"], LR, GAIN),  # whose networks overflow
        (SGD, LR, ("optimizer.momentum", 0.0, 0.9, "linear", 3)),  # both of one section; 0 is no momentum at all
        ([*SGD, "activation=leaky_relu"], ("activation.negative_slope", 0.0, 1.0, "linear", 3), LR),
        ([*SGD, "init=normal", "dtype=float64"], ("init.std", 0.1, 3.0, "log", 3), LR),
        ([*SGD, "train.batch_size=2"], LR, GAIN),  # one network after another
        ([*SGD, "train.stop=solved"], LR, ("train.clip_norm", 0.1, 10.0, "log", 3)),  # of a stack each
    ],
)
def test_a_pixel_is_a_run_alone_to_the_last_bit(words: list[str], x, y) -> None:
    found = mapped(nnspec.spec(words), x, y)
    for row, column in ((0, x[4] - 1), (y[4] - 1, 0), (1, 2)):
        alone = nnspec.train(with_values(words, {x[0]: found.x[column], y[0]: found.y[row]}), workers=1)
        loss = alone.result.final_loss
        assert found.final_loss[row, column].tobytes() == loss[0].tobytes()
        assert found.solved_at[row, column] == alone.result.solved_at[0]
        assert found.verdict[row, column] == alone.verdicts[0][0]
        assert found.rate()[0][row, column] == alone.result.solved[0]


def test_rates_by_layer_can_be_axes() -> None:
    """Those of arXiv 2402.06184. Such networks are torch modules, whose last bits depend on how many train together."""
    x, y = (f"optimizer.lr_per_layer.{layer}" for layer in (0, 1))
    found = mapped(
        nnspec.spec([*SGD, "optimizer.lr_per_layer=[1,1]"]), (x, 0.1, 9.0, "log", 3), (y, 0.2, 8.0, "log", 2)
    )
    typed = [f"optimizer.lr_per_layer=[{float(a)},{float(b)}]" for b in found.y for a in found.x]
    together = nnspec.train([nnspec.spec([*SGD, said]) for said in typed], workers=1)
    losses = [result.final_loss[0] for result in together.results]
    assert len(set(losses)) == 6
    np.testing.assert_array_equal(found.final_loss.ravel(), losses)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("optimizer.lr_per_layer.2", "must have axes that are parameters of the spec"),
        ("model.hidden.0", "must have continuous axes, of real-valued parameters, .* which is a whole number"),
    ],
)
def test_a_place_that_a_list_does_not_have_is_no_axis(key: str, why: str) -> None:
    spec = nnspec.spec([*SGD, "optimizer.lr_per_layer=[1,1]"])
    with pytest.raises(SpecError, match=why):
        axes_of(spec, Sweep(map=((key, 1.0, 2.0, "log", 2), GAIN)))


def test_pixels_know_what_replicates_say_together() -> None:
    words = [*SGD, "replicates=7", "seed=3"]
    found = mapped(nnspec.spec(words), LR, GAIN)
    rate, low, high = found.rate()
    assert set(rate.ravel()) - {0.0, 1.0}, "no pixel tells replicates apart"
    for row, column in np.argwhere((rate > 0) & (rate < 1))[:3]:
        alone = nnspec.train(
            nnspec.spec([*words, f"optimizer.lr={float(found.x[column])}", f"init.gain={float(found.y[row])}"])
        )
        result, at = alone.result, alone.result.solved_at
        assert found.final_loss[row, column] == np.float32(np.median(result.final_loss.astype(float)))
        assert found.solved_at[row, column] == np.quantile(at[at >= 0], 0.5, method="lower")
        counts = Counter(alone.verdicts[0].tolist())
        assert found.verdict[row, column] == max(VERDICTS, key=lambda name: counts[name])
        share = alone.rates(()).iloc[0]
        assert (rate[row, column], low[row, column], high[row, column]) == pytest.approx(
            (share["rate"], share["low"], share["high"])
        )


def test_workers_and_launchers_give_the_map_of_one_process(tmp_path: Path) -> None:
    spec, axes = nnspec.spec(SGD), (Axis(*LR[:4], 48), Axis(*GAIN[:4], 40))

    def launch(task, count: int, first: int) -> list[object]:
        class Config:
            def __init__(self, index: int):
                self.shard = f"{index}/{count}"

        class Job:
            def __init__(self, value: object):
                self.return_value = value

        return [Job(task(Config(index))) for index in range(count)]

    maps = []
    for workers, carry in ((1, None), (2, None), (2, Shards(launch, tmp_path))):
        training = MapTraining(spec, *axes, Runtime(workers=workers), carry)
        list(training)
        maps.append(training.arrays)
    assert len(training.pieces) > 1
    for other in maps[1:]:
        assert all(array.tobytes() == other[name].tobytes() for name, array in maps[0].items())


def test_no_weights_leave_a_worker() -> None:
    training = MapTraining(nnspec.spec(SGD), Axis(*LR), Axis(*GAIN), Runtime(workers=1))
    seen: list[Event] = []

    def carry(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Iterator[Event]:
        for event in train_chunks(specs, chunks, workers, extra):
            seen.append(event)
            yield event

    training.carry = carry
    list(training)
    (done,) = [event for event in seen if isinstance(event, Finished)]
    assert len(done.trained.seeds) == 0
    assert all(tensor.size == 0 for tensor in (*done.trained.initial.values(), *done.trained.final.values()))


@pytest.mark.parametrize("count", [1, 4, 7, 1000])
def test_pieces_have_each_pixel_once_and_only_networks_of_one_stack(count: int) -> None:
    x, y = Axis("optimizer.momentum", 0, 0.9, "linear", 5), Axis("optimizer.weight_decay", 0, 1, "linear", 4)
    pixels = Pixels(x.key, y.key, *along(nnspec.spec(SGD), (x, y)))
    pieces = Pieces(cut(pixels, count), pixels.width, 2, True)
    numbers = [pieces.pixels(number) for number in range(len(pieces))]
    assert sorted(n for some in numbers for n in some) == list(range(20))
    assert max(map(len, numbers)) <= count
    assert all(len({stack_key(pixels[n]) for n in some}) == 1 for some in numbers)
    assert len({stack_key(pixel) for pixel in pixels}) > 1, "nothing here begins a stack of its own"
    assert [share.cell for share in pieces[0].shares] == numbers[0]
    assert pieces[0].networks == 2 * len(numbers[0])


def test_convergence_is_measured_as_in_the_paper() -> None:
    """Against the measure of the notebook of arXiv 2402.06184, whose sums over all updates are means here."""
    random = np.random.default_rng(0)
    losses = np.exp(np.cumsum(random.normal(0, 0.7, (60, 100)), axis=1))
    losses[:5, 50:], losses[5:8, 70] = np.nan, np.inf
    losses[8:12, 60:] = 1e30
    losses[40:] = 1.0
    losses[40:, 1:] = np.linspace(0.5, 2.0, 20)[:, None]  # on both sides of where they began

    def published(v: np.ndarray, most: float = 1e6) -> float:
        v = np.where(np.isfinite(v), v, most * v[0])
        v = np.minimum(v / v[0], most)
        return -v.sum() if v[-20:].mean() < 1 else (1 / v).sum()

    converged, score = convergence(losses)
    expected = np.array([published(line) for line in losses])
    assert converged.any()
    assert not converged.all()
    np.testing.assert_array_equal(converged, expected < 0)
    np.testing.assert_allclose(score * 100, expected, rtol=1e-5)  # float32 holds seven digits


def outcome_of(folder: Path, words: list[str], carry=None, uri: str | None = None) -> MapOutcome:
    spec = nnspec.spec(words)
    settings = Settings(
        Tracking(uri=uri or f"sqlite:///{folder}/mlflow.db"), Runtime(workers=1), Sweep(map=(LR, (*GAIN[:4], 5)))
    )
    return run_map(spec, axes_of(spec, settings.sweep), settings, "nnspec run", quiet=True, carry=carry)


def test_a_map_is_one_run_and_comes_back_whole(folder: Path) -> None:
    outcome = outcome_of(folder, [*SGD, "replicates=3"])
    assert outcome.exit_status == 0
    assert outcome.map is not None
    with opened(None) as store:
        (run,) = store.search(RunQuery())
        assert run.run_id == outcome.map.run_id
        facts = store.get(run.run_id)
        assert facts.status == "FINISHED"
        assert facts.metrics["pixels"] == 30
        assert facts.metrics["solved_share"] == pytest.approx(outcome.map.rate()[0].mean())
        for picture in ("convergence", "final_loss", "verdict", "solved_at", "solve_rate"):
            assert store.artifact(run.run_id, f"map/{picture}.png").startswith(b"\x89PNG")
    back = nnspec.load_map("last")
    assert repr(back) == repr(outcome.map)
    assert all(array.tobytes() == back.arrays[name].tobytes() for name, array in outcome.map.arrays.items())
    assert back.spec == outcome.map.spec


def broken_off(after: int):
    """A carrier that is interrupted after so many pieces of three pixels."""

    def carry(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Iterator[Event]:
        assert isinstance(chunks, Pieces)
        for event in train_chunks(specs, chunks, workers, extra):
            yield event
            if isinstance(event, Finished) and event.chunk == after - 1:
                raise KeyboardInterrupt

    return carry


def test_what_is_done_when_it_is_interrupted_is_filed(folder: Path) -> None:
    words = [*SGD, "train.batch_size=2", "replicates=100"]  # of which few fit into a piece
    outcome = outcome_of(folder, words, broken_off(1))
    assert outcome.exit_status == 130
    back = nnspec.load_map("last")
    assert 0 < back.trained.sum() < back.trained.size
    assert "not trained" in repr(back)
    assert np.isnan(back.final_loss[~back.trained]).all()
    assert (back.arrays["verdict"][~back.trained.ravel()] == UNTRAINED).all()
    with opened(None) as store:
        assert store.get(back.run_id).status == "KILLED"


def test_a_piece_that_is_lost_leaves_its_pixels_untrained(folder: Path) -> None:
    def carry(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Iterator[Event]:
        yield Lost(0, "out of memory")

    outcome = outcome_of(folder, SGD, carry)
    assert (outcome.exit_status, outcome.lost) == (1, ["out of memory"])
    back = nnspec.load_map("last")
    assert not back.trained.any()
    with opened(None) as store:
        assert store.get(back.run_id).status == "FAILED"


def test_a_zoom_is_the_map_of_its_own_ends() -> None:
    spec = nnspec.spec(SGD)
    zoomed = axes_of(spec, Sweep(map=(LR, GAIN), zoom=((0.1, 2.0), (0.5, 5.0))))
    assert zoomed == (Axis("optimizer.lr", 0.1, 2.0, "log", 6), Axis("init.gain", 0.5, 5.0, "log", 5))
    with pytest.raises(
        SpecError, match=r"sweep.zoom must be a part low:high of init.gain, .* from 0.2 to 5, but got 1:6"
    ):
        axes_of(spec, Sweep(map=(LR, GAIN), zoom=((0.1, 2.0), (1.0, 6.0))))


@pytest.mark.parametrize("axis", [Axis(*LR), Axis("optimizer.momentum", 0.0, 0.9, "linear", 4)])
def test_an_axis_begins_and_ends_where_it_says(axis: Axis) -> None:
    assert (axis.values[0], axis.values[-1], len(axis.values)) == (axis.low, axis.high, axis.count)
    steps = np.diff(np.log(axis.values) if axis.log else axis.values)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)  # rounding of values of some size


def test_memory_that_does_not_hold_a_map_is_said_before_anything_trains() -> None:
    with pytest.raises(SpecError, match=r"train.memory must be above [\d,]+ MiB for this map, but got 30"):
        MapTraining(nnspec.spec(SGD), Axis(*LR[:4], 2000), Axis(*GAIN[:4], 2000), Runtime(memory=30))


def test_more_replicates_than_fit_are_refused() -> None:
    spec = replace(nnspec.spec(SGD), replicates=5_000_000)
    with pytest.raises(SpecError, match=r"train\.memory must be above"):
        MapTraining(spec, Axis(*LR), Axis(*GAIN), Runtime(memory=200))


def test_a_run_that_is_no_map_is_not_read_as_one(folder: Path) -> None:
    run = nnspec.train(nnspec.spec([*SGD, "train.epochs=2"]), tracking=True).run_id
    assert run is not None
    with opened(None) as store, pytest.raises(TrackingError, match="must be a map, but got another run"):
        read_map(store, run)


def test_arrays_of_another_shape_are_refused(folder: Path) -> None:
    outcome = outcome_of(folder, SGD)
    assert outcome.map is not None
    with opened(None) as store:
        store.set_tags(outcome.map.run_id, {"nnspec.map": '[["optimizer.lr",1,2,"log",9],["init.gain",1,2,"log",5]]'})
        with pytest.raises(TrackingError, match=r"must have an array 'final_loss' of float32 \[5, 9\], but got"):
            read_map(store, outcome.map.run_id)
        store.set_tags(outcome.map.run_id, {"nnspec.map": "[[1]]"})
        with pytest.raises(TrackingError, match=r"the tag nnspec.map of run \w+ must hold the axes of a map"):
            read_map(store, outcome.map.run_id)


def test_a_map_that_its_store_does_not_take_is_kept_and_filed_later(folder: Path) -> None:
    class Full:
        def __init__(self, store: CellStore):
            self.location = store.location

        def finish(self, ends: object) -> None:
            raise TrackingError("the disk is full")

    spec, axes = nnspec.spec(SGD), (Axis(*LR), Axis(*GAIN))
    found = mapped(spec, LR, GAIN)
    run = MapRun.begin(spec, axes, Tracking(), "nnspec run")
    run.store = Full(run.store)  # type: ignore[assignment]
    run.end(found, "FINISHED", {"pixels": 30.0})
    assert run.unfiled
    with opened(None) as store:
        assert store.get(run.run_id).status == "RUNNING"
    assert main(["file", "nnspec-unfiled"]) == 0
    back = nnspec.load_map("last")
    assert back.run_id == run.run_id
    assert all(array.tobytes() == back.arrays[name].tobytes() for name, array in found.arrays.items())
