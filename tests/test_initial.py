"""Initial weights as a whole: order of the draws, stored weights, gains. The schemes themselves are in contracts."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import nnspec
from nnspec.architecture import architecture
from nnspec.errors import WeightsError
from nnspec.initial import activation_gain, initial_weights
from nnspec.specs import Member, RunSpec

SpecOf = Callable[..., RunSpec]
SEEDS = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "seeds.py"))


def test_tensors_are_drawn_in_state_dict_order_from_one_generator(spec_of: SpecOf) -> None:
    spec = spec_of(init={"name": "normal", "bias": "same"}, dtype="float64")
    generator = torch.Generator().manual_seed(9)
    for name, w in initial_weights(spec, [9]).items():
        expected = torch.empty(architecture(spec).tensors()[name], dtype=torch.float64).normal_(generator=generator)
        np.testing.assert_array_equal(w[0], expected.numpy())


def test_the_gain_is_the_hidden_activation_s() -> None:
    assert activation_gain(Member("relu")) == np.sqrt(2)
    assert activation_gain(Member("leaky_relu", (("negative_slope", 1.0),))) == 1.0
    assert activation_gain(Member("softmax")) == 1.0
    assert activation_gain(Member("heaviside")) == pytest.approx(
        np.sqrt(2), rel=1e-9
    )  # E[f^2] = 1/2; midpoints of a grid split at 0


def test_a_seed_is_read_to_its_last_bit(spec_of: SpecOf) -> None:
    spec = spec_of(init="normal")
    first = {initial_weights(spec, [seed])["0.weight"].tobytes() for seed in (0, 1, 2**31, 2**32 - 1)}
    assert len(first) == 4


@pytest.fixture
def sets() -> dict[str, np.ndarray]:
    """Three sets of weights for the textbook network, every number another."""
    shapes, rng = {"0.weight": (4, 2), "0.bias": (4,), "2.weight": (1, 4), "2.bias": (1,)}, np.random.default_rng(0)
    return {name: rng.normal(size=(3, *shape)).astype(np.float32) for name, shape in shapes.items()}


def stored_spec(spec_of: SpecOf, path: Path, **fields: Any) -> RunSpec:
    return spec_of(init={"name": "from_file", "path": str(path)}, **fields)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_replicate_r_takes_the_r_th_set(
    spec_of: SpecOf, tmp_path: Path, sets: dict[str, np.ndarray], kind: str
) -> None:
    save_file(sets, tmp_path / "w")
    spec = stored_spec(spec_of, tmp_path / "w", seed=10, replicates=3, dtype=kind)
    for seeds, rows in (([10, 11, 12], [0, 1, 2]), ([12], [2]), ([11, 10], [1, 0])):
        weights = initial_weights(spec, seeds)
        assert list(weights) == list(architecture(spec).tensors())
        for name, w in weights.items():
            assert w.dtype == np.dtype(kind)
            np.testing.assert_array_equal(w, sets[name][rows])


def test_one_set_without_the_first_axis(spec_of: SpecOf, tmp_path: Path, sets: dict[str, np.ndarray]) -> None:
    save_file({name: w[1] for name, w in sets.items()}, tmp_path / "w")
    weights = initial_weights(stored_spec(spec_of, tmp_path / "w", seed=4), [4])
    for name, w in weights.items():
        np.testing.assert_array_equal(w[0], sets[name][1])


@pytest.mark.parametrize("seed", [9, 13])
def test_a_seed_without_a_set_is_refused(
    spec_of: SpecOf, tmp_path: Path, sets: dict[str, np.ndarray], seed: int
) -> None:
    save_file(sets, tmp_path / "w")
    spec = stored_spec(spec_of, tmp_path / "w", seed=10, replicates=3)
    with pytest.raises(
        WeightsError, match=r"init\.path must hold one set of weights a replicate, but 0\.\w+ has 3; lower replicates"
    ):
        initial_weights(spec, [seed])


def test_a_file_that_changed_after_the_check_is_refused(
    spec_of: SpecOf, tmp_path: Path, sets: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "w"
    save_file(sets, path)
    spec = stored_spec(spec_of, path, replicates=3)
    save_file({name: w for name, w in sets.items() if name != "2.bias"}, path)
    with pytest.raises(WeightsError, match=r"init\.path must hold the tensors 0\.weight, .*2\.bias, but got "):
        initial_weights(spec, [0])
    save_file({**sets, "2.bias": np.ones((3, 2), np.float32)}, path)
    with pytest.raises(
        WeightsError, match=r"2\.bias in init\.path must have shape \[replicates, \(1,\)\], but got \(3, 2\)"
    ):
        initial_weights(spec, [0])
    path.write_bytes(b"junk")
    with pytest.raises(WeightsError, match=r"init\.path must be a readable safetensors file"):
        initial_weights(spec, [0])
    path.unlink()
    with pytest.raises(WeightsError, match=r"init\.path must be a readable safetensors file, but .*No such file"):
        initial_weights(spec, [0])


@pytest.mark.parametrize("lag", [1, 2, 100])
def test_weights_of_consecutive_seeds_are_not_correlated(spec_of: SpecOf, lag: int) -> None:
    """5 standard errors: the largest of 72 correlations of independent numbers is beyond once in 24,000 times."""
    drawn = initial_weights(spec_of(init="normal"), np.arange(20_000))["0.weight"].reshape(20_000, -1)[:, :6]
    assert SEEDS["largest"](drawn, lag) < 5
    assert SEEDS["largest"](np.abs(drawn), lag) < 5
    assert SEEDS["largest"](drawn + np.roll(drawn, lag, axis=0), lag) > 50  # those that are correlated


@pytest.mark.slow
def test_the_networks_of_the_second_table_are_those_of_the_experiment() -> None:
    words = ["experiment=prototype_xor", SEEDS["MIRRORED"], "seed=100000", "replicates=200"]
    solved = nnspec.train(nnspec.spec(words)).result.solved
    assert 0 < (~solved).sum() < 200
    np.testing.assert_array_equal(SEEDS["failures"](100_000 + np.arange(200)), ~solved)
