"""What is written down while networks train, against a direct computation from weights kept after every update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nnspec.architecture import architecture
from nnspec.builder import with_weights
from nnspec.catalog import DATA, LOSSES
from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec, Train
from nnspec.training.loop import Progress, train_chunk
from nnspec.training.plan import plan

SpecOf = Callable[..., RunSpec]
TrainOf = Callable[[RunSpec], Results]
EXACT = 1e-12  # float64: some twenty roundings (1e-16) of numbers up to a few hundred

LOSS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {  # outputs p and targets y, [n, k] -> [n]
    "bce": lambda p, y: -(y * np.log(p) + (1 - y) * np.log1p(-p))[:, 0],
    "mse": lambda p, y: ((p - y) ** 2).mean(1),
    "cross_entropy": lambda p, y: -np.log(p[np.arange(len(p)), y.argmax(1)]),
    "hinge": lambda p, y: np.maximum(0, 1 - y * p).mean(1),
    "huber": lambda p, y: np.where(np.abs(p - y) < 1, (p - y) ** 2 / 2, np.abs(p - y) - 0.5).mean(1),
}


def distances(loss: str, p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far each row is from its target, [n]: beyond hinge's margin is on target, and -1 for +1 is a distance of
    1."""
    gap = np.maximum(0, 1 - y * p) / 2 if loss == "hinge" else np.abs(p - y)
    return gap.max(1)


def outputs(spec: RunSpec, weights: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    data = DATA[spec.data.name].make(dict(spec.data.params))
    with torch.no_grad():
        p = with_weights(spec, weights)(torch.from_numpy(data.inputs)).numpy()
    return p, LOSSES[spec.loss.name].targets(data.labels, data.classes)


def far(spec: RunSpec, trained: Results) -> np.ndarray:
    """The distance of each row, [j, updates made, n], from the weights kept after every update."""
    networks = range(len(trained.seeds))
    steps = sorted(trained.snapshots)
    assert steps == list(range(spec.train.epochs + 1))
    one = [{step: {k: w[j] for k, w in trained.snapshots[step].items()} for step in steps} for j in networks]
    return np.array([[distances(spec.loss.name, *outputs(spec, one[j][step])) for step in steps] for j in networks])


@pytest.fixture(scope="module")
def watched(spec_of: SpecOf) -> SpecOf:
    base: dict[str, Any] = {
        "dtype": "float64",
        "train": {"epochs": 40, "log_every": 7, "snapshot_every": 1},
        "activation": "tanh",
    }
    return lambda **fields: spec_of(**{**base, **fields})


@pytest.mark.parametrize(("epochs", "every"), [(20, 7), (21, 7), (5, 9), (1, 1), (3, 1)])
def test_the_first_and_the_last_row_are_always_there(spec_of: SpecOf, train: TrainOf, epochs: int, every: int) -> None:
    trained = train(spec_of(train={"epochs": epochs, "log_every": every}, replicates=2))
    expected = sorted({0, epochs, *range(0, epochs, every)})
    assert trained.steps.tolist() == expected
    for array in (trained.loss, trained.accuracy, trained.right, *trained.weight_norm.values()):
        assert array.shape == (2, len(expected))


@pytest.mark.parametrize("loss", LOSSES.names())
def test_each_row_is_what_the_weights_of_then_give(watched: SpecOf, train: TrainOf, loss: str) -> None:
    spec = watched(loss=loss, replicates=4, model={"name": "mlp", "hidden": [4, 3]})
    trained = train(spec)
    names = [dense.name for dense in architecture(spec).dense]
    for t, step in enumerate(trained.steps):
        for j in range(4):
            weights = {name: w[j] for name, w in trained.snapshots[int(step)].items()}
            p, y = outputs(spec, weights)
            far_off = distances(loss, p, y)
            assert trained.loss[j, t] == pytest.approx(LOSS[loss](p, y).mean(), rel=EXACT, abs=EXACT)
            assert trained.accuracy[j, t] == (far_off < 0.4).mean()
            assert trained.right[j, t] == (far_off < 0.4).all()
            for layer, name in enumerate(names):
                assert trained.weight_norm[str(2 * layer)][j, t] == pytest.approx(
                    np.linalg.norm(weights[f"{name}.weight"]), rel=EXACT
                )
    for j in range(4):
        np.testing.assert_allclose(
            trained.outputs[j], outputs(spec, {n: w[j] for n, w in trained.final.items()})[0], rtol=EXACT, atol=EXACT
        )
    assert trained.accuracy[:, -1].max() > 0


@pytest.mark.parametrize("loss", LOSSES.names())
def test_solved_at_is_the_first_time_of_those_right_at_the_end(watched: SpecOf, train: TrainOf, loss: str) -> None:
    # rows of 25 networks at 51 moments come no nearer to the tolerance than 1e-9, so rounding decides none of them
    spec = watched(
        loss=loss,
        replicates=25,
        optimizer={"name": "adam", "lr": 0.4},
        solved={"tolerance": 0.25},
        train={**SHORT, "epochs": 50},
    )
    trained = train(spec)
    far_off = far(spec, trained)
    assert np.abs(far_off - 0.25).min() > 1e-9
    right = (far_off < 0.25).all(2)
    first = np.where(right.any(1), right.argmax(1), NEVER)
    np.testing.assert_array_equal(trained.solved_at, np.where(right[:, -1], first, NEVER))
    assert (trained.solved_at != NEVER).any()
    assert (trained.solved_at == NEVER).any()
    np.testing.assert_array_equal(trained.right[:, -1], right[:, -1])


SHORT = {"log_every": 7, "snapshot_every": 1}


def test_a_network_that_was_right_once_but_not_at_the_end_is_not_solved(watched: SpecOf, train: TrainOf) -> None:
    spec = watched(
        replicates=40, optimizer={"name": "sgd", "lr": 30.0}, train={**SHORT, "epochs": 40}, activation="sine"
    )
    trained = train(spec)
    right = (far(spec, trained) < 0.4).all(2)
    lost_again = right.any(1) & ~right[:, -1]
    assert lost_again.any()
    assert (trained.solved_at[lost_again] == NEVER).all()


def test_a_network_that_is_right_from_the_start_is_solved_at_0(spec_of: SpecOf, train: TrainOf) -> None:
    spec = spec_of(init="zeros", solved={"tolerance": 0.6}, train={"epochs": 1})  # zero weights put 1/2 out
    assert train(spec).solved_at.tolist() == [0]


def test_the_last_update_counts(spec_of: SpecOf, train: TrainOf) -> None:
    long = spec_of(seed=1, train={"epochs": 400})
    at = int(train(long).solved_at[0])
    assert at > 1
    assert train(replace(long, train=Train(epochs=at))).solved_at.tolist() == [at]
    assert train(replace(long, train=Train(epochs=at - 1))).solved_at.tolist() == [NEVER]


def test_the_tolerance_is_each_network_s_own(spec_of: SpecOf, train: TrainOf) -> None:
    specs = [spec_of(seed=1, solved={"tolerance": tolerance}, train={"epochs": 200}) for tolerance in (0.49, 0.2, 0.05)]
    (stack,) = plan(specs).stacks
    *_, together = train_chunk(specs, stack.chunks[0])
    assert isinstance(together, Results)
    alone = [train(spec) for spec in specs]
    assert together.solved_at.tolist() == [int(one.solved_at[0]) for one in alone]
    for j, one in enumerate(alone):
        np.testing.assert_array_equal(together.right[j], one.right[0])
        np.testing.assert_array_equal(together.accuracy[j], one.accuracy[0])
    assert 0 <= together.solved_at[0] < together.solved_at[1] < together.solved_at[2]
    np.testing.assert_array_equal(together.final["0.weight"][0], together.final["0.weight"][2])


@pytest.mark.parametrize("optimizer", ["adam", {"name": "sgd", "momentum": 0.9}, "rprop"], ids=str)
def test_snapshots_are_the_final_weights_of_a_shorter_training(spec_of: SpecOf, train: TrainOf, optimizer: Any) -> None:
    spec = spec_of(
        optimizer=optimizer,
        activation="prelu",
        replicates=3,
        train={"epochs": 150, "log_every": 10, "snapshot_every": 65},
    )
    trained = train(spec)
    assert sorted(trained.snapshots) == [0, 65, 130]
    assert_same(trained.snapshots[0], trained.initial)
    for step in (65, 130):  # on both sides of where coefficients are computed ahead
        shorter = train(replace(spec, train=Train(step, 10, 0)))
        assert shorter.snapshots == {}
        assert_same(trained.snapshots[step], shorter.final)
        np.testing.assert_array_equal(trained.loss[:, : step // 10 + 1], shorter.loss[:, : step // 10 + 1])


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.tobytes() == theirs[name].tobytes(), name


@pytest.mark.parametrize("lr", [0.1, 1e25], ids=["training", "diverging"])
def test_progress_shows_the_rows_that_the_end_has(spec_of: SpecOf, lr: float) -> None:
    spec = spec_of(
        replicates=5,
        optimizer={"name": "sgd", "lr": lr},
        loss="mse",
        model={"name": "mlp", "output": "identity"},
        train={"epochs": 30},
    )
    (stack,) = plan([spec]).stacks
    *on_the_way, trained = train_chunk([spec], stack.chunks[0], pulse=0, restraint=0)  # after every row
    assert isinstance(trained, Results)
    assert [event.step for event in on_the_way if isinstance(event, Progress)] == [0, 10, 20]
    assert ((trained.nonfinite_at != NEVER).all(), lr) in ((False, 0.1), (True, 1e25))
    for event in on_the_way:
        assert isinstance(event, Progress)
        upto = len(event.history.steps)
        assert event.history.steps.tolist() == trained.steps[:upto].tolist()
        for name in ("loss", "accuracy", "right"):
            np.testing.assert_array_equal(getattr(event.history, name), getattr(trained, name)[:, :upto])
        assert list(event.history.weight_norm) == list(trained.weight_norm)
        for layer, norm in trained.weight_norm.items():
            np.testing.assert_array_equal(event.history.weight_norm[layer], norm[:, :upto])
        assert event.history.final == {}
        assert event.history.outputs is None
        assert event.right == trained.right[:, upto - 1].sum()
