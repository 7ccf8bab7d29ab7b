"""The files of a cell, read back by the libraries they are for."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load

from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.tracking.artifacts import cell_artifacts, weights_file
from nnspec.yaml_text import yaml_value

Cell = Callable[..., Results]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))


def columns(content: bytes) -> dict[str, list[object]]:
    return pq.read_table(io.BytesIO(content)).to_pydict()


def test_weights_of_one_have_the_modules_shapes(cell: Cell) -> None:
    one = cell(seed=2)
    found = load(cell_artifacts(one)["weights/final.safetensors"])
    assert {name: array.shape for name, array in found.items()} == {
        "0.weight": (4, 2),
        "0.bias": (4,),
        "2.weight": (1, 4),
        "2.bias": (1,),
    }
    assert all(np.array_equal(found[name], one.final[name][0]) for name in found)


def test_weights_of_many_have_replicates_first(cell: Cell) -> None:
    many = cell(replicates=3, snapshots=True)
    files = cell_artifacts(many)
    found = load(files["weights/initial.safetensors"])
    assert all(np.array_equal(found[name], many.initial[name]) for name in many.initial)
    kept = load(files["weights/history.safetensors"])
    assert set(kept) == {f"{step}/{name}" for step in (0, 20) for name in many.final}
    assert np.array_equal(kept["20/0.bias"], many.snapshots[20]["0.bias"])


def test_weights_name_their_spec(cell: Cell, tmp_path: Path) -> None:
    one = cell()
    path = tmp_path / "final.safetensors"
    path.write_bytes(cell_artifacts(one)["weights/final.safetensors"])
    with safe_open(path, "numpy") as opened:
        metadata = opened.metadata()
    assert metadata["nnspec.fingerprint"] == one.spec.fingerprint
    assert RunSpec.from_mapping(json.loads(metadata["nnspec.spec"])) == one.spec


def test_equal_cells_give_equal_bytes(cell: Cell) -> None:
    one, other = (dict(cell_artifacts(cell(replicates=2, snapshots=True))) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "uint8", "bool"])
def test_tensors_of_any_shape_and_kind_come_back(dtype: str) -> None:
    rng = np.random.default_rng(0)
    shapes = {"a": (3, 5), "b": (), "c": (0, 2), "d": (7,), 'odd "name"': (1, 2, 3)}
    tensors = {name: rng.integers(0, 2, shape).astype(dtype) for name, shape in shapes.items()}
    tensors["turned"] = tensors["a"].T
    tensors["wide"] = np.arange(3.0)
    found = load(weights_file(tensors, {"key": 'a "value" \n\N{GREEK SMALL LETTER PI}'}))
    assert set(found) == set(tensors)
    assert all(
        np.array_equal(found[name], tensors[name]) and found[name].dtype == tensors[name].dtype for name in tensors
    )


def test_spec_is_run_again_from_its_yaml(cell: Cell) -> None:
    one = cell(lr=1e-5)
    text = cell_artifacts(one)["spec.yaml"].decode()
    assert text.startswith("# An nnspec run. Run it again with: python run.py spec=spec.yaml\n")
    assert RunSpec.from_mapping(yaml.safe_load(text)) == one.spec
    from omegaconf import OmegaConf

    again = OmegaConf.to_container(OmegaConf.create(text))
    assert isinstance(again, dict)
    assert RunSpec.from_mapping({str(key): value for key, value in again.items()}) == one.spec


@given(SCALARS | st.lists(SCALARS, max_size=3))
def test_any_value_survives_yaml(value: object) -> None:
    again = yaml.safe_load(f"key: {yaml_value(value)}")["key"]
    assert again == value
    assert repr(again) == repr(value)


def test_history_has_a_row_a_replicate_and_step(cell: Cell) -> None:
    many = cell(seed=5, replicates=2, steps=3)
    table = columns(cell_artifacts(many)["history.parquet"])
    assert list(table) == ["seed", "step", "loss", "accuracy", "weight_norm.0", "weight_norm.2", "right"]
    assert table["seed"] == [5, 5, 5, 6, 6, 6]
    assert table["step"] == [0, 10, 20] * 2
    assert table["loss"] == many.loss.ravel().tolist()
    assert table["right"] == many.right.ravel().tolist()
    judged = columns(cell_artifacts(many, {"verdict": np.array(["solved", "stuck"])})["history.parquet"])
    assert judged["verdict"] == ["solved"] * 3 + ["stuck"] * 3


def test_results_have_a_row_a_replicate(cell: Cell) -> None:
    many = cell(replicates=3)
    table = columns(
        cell_artifacts(many, {"verdict": np.array(["dead", "solved", "slow"]), "rank": np.array([1, 2, 3])})[
            "results.parquet"
        ]
    )
    assert list(table) == ["seed", "final_loss", "final_accuracy", "solved", "solved_at", "verdict", "rank"]
    assert table["solved_at"] == [None, 17, None]
    assert table["solved"] == [False, True, False]
    assert table["verdict"] == ["dead", "solved", "slow"]


def test_an_extra_column_must_fit(cell: Cell) -> None:
    with pytest.raises(ValueError, match=r"one value a replicate \(3\), but got 'verdict' of 2"):
        cell_artifacts(cell(replicates=3), {"verdict": np.array(["a", "b"])})
    with pytest.raises(ValueError, match="must have a new name"):
        cell_artifacts(cell(), {"seed": np.array([1])})
