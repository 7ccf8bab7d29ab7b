"""Every data set against the formula of its rows, written anew."""

from __future__ import annotations

import numpy as np
import pytest

from nnspec.catalog import DATA, Size
from nnspec.catalog.data.sets import size_of

GATES = {
    "xor": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "nand": lambda a, b: not (a and b),
    "xnor": lambda a, b: a == b,
}

SHAPES = ("spirals", "circles", "moons", "blobs", "checkerboard")
CURVES = ("abs", "sine", "polynomial")
BUNDLED = ("iris", "digits", "breast_cancer", "wine", "diabetes")


def test_every_data_set_is_checked_here() -> None:
    assert set(DATA.names()) == {*GATES, "parity", "symmetry", *SHAPES, *CURVES, *BUNDLED, "csv", "parquet", "npz"}


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(("encoding", "false"), [("binary", 0.0), ("bipolar", -1.0)])
def test_gate(name: str, encoding: str, false: float) -> None:
    data = DATA[name].make({"encoding": encoding})
    expected = [(a, b) for a in (false, 1.0) for b in (false, 1.0)]
    assert data.inputs.tolist() == [list(row) for row in expected]
    assert data.labels.tolist() == [int(GATES[name](a == 1.0, b == 1.0)) for a, b in expected]
    assert (data.inputs.dtype, data.labels.dtype, data.classes) == (np.float64, np.int64, 2)
    assert DATA[name].size({"encoding": encoding}) == Size(
        4, 2, (data.labels.tolist().count(0), data.labels.tolist().count(1))
    )


@pytest.mark.parametrize("bits", [1, 3, 10, 16])
@pytest.mark.parametrize("encoding", ["binary", "bipolar"])
def test_parity(bits: int, encoding: str) -> None:
    entry, params = DATA["parity"], {"bits": bits, "encoding": encoding}
    data = entry.make(params)
    assert data.inputs.shape == (2**bits, bits)
    assert entry.size(params) == size_of(data)
    truths = (data.inputs == 1).astype(int)
    assert (truths @ 2 ** np.arange(bits - 1, -1, -1)).tolist() == list(range(2**bits))  # counting order, each row once
    assert data.labels.tolist() == [bin(number).count("1") % 2 for number in range(2**bits)]
    assert set(np.unique(data.inputs)) == ({0.0, 1.0} if encoding == "binary" else {-1.0, 1.0})


@pytest.mark.parametrize("bits", [2, 5, 6])
def test_symmetry(bits: int) -> None:
    entry, params = DATA["symmetry"], {"bits": bits, "encoding": "binary"}
    data = entry.make(params)
    assert entry.size(params) == size_of(data)
    assert data.labels.tolist() == [int(list(row) == list(row)[::-1]) for row in data.inputs]


def given(name: str, **params: object) -> dict[str, object]:
    defaults = {param.name: param.default for param in DATA[name].params}
    return {**defaults, **{key: value for key, value in params.items() if key in defaults}}


@pytest.mark.parametrize("name", [*SHAPES, *CURVES, *BUNDLED])
def test_size_is_that_of_what_is_made(name: str) -> None:
    for params in (given(name), given(name, rows=31, classes=5, noise=0.5, cells=3, seed=9)):
        data = DATA[name].make(params)
        assert DATA[name].size(params) == size_of(data)
        assert np.isfinite(data.inputs).all()
        assert (data.labels is None) == (data.classes == 0)
        assert data.inputs.dtype == np.float64


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("circles", {"factor": 0.3, "noise": 0.2}, {"factor": 0.3, "noise": 0.2}),
        ("moons", {"noise": 0.2}, {"noise": 0.2}),
        (
            "blobs",
            {"classes": 4, "inputs": 3, "noise": 0.7},
            {"centers": 4, "n_features": 3, "cluster_std": 0.7},
        ),
    ],
)
@pytest.mark.parametrize("rows", [50, 201])
def test_shapes_are_scikit_learn_s_numbers(name: str, ours: dict, theirs: dict, rows: int) -> None:
    from sklearn import datasets

    inputs, labels = getattr(datasets, f"make_{name}")(rows, random_state=11, **theirs)
    data = DATA[name].make(given(name, rows=rows, seed=11, **ours))
    np.testing.assert_array_equal(data.inputs, inputs)
    np.testing.assert_array_equal(data.labels, labels)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_are_scikit_learn_s_arrays(name: str) -> None:
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}
    inputs, target = getattr(datasets, f"load_{name}")(return_X_y=True, **options)
    data = DATA[name].make(given(name))
    np.testing.assert_array_equal(data.inputs, inputs / 16 if name == "digits" else inputs)
    np.testing.assert_array_equal(data.targets[:, 0] if data.labels is None else data.labels, target)


def test_spirals_without_noise_lie_on_their_arms() -> None:
    data = DATA["spirals"].make(given("spirals", rows=30, classes=3, noise=0.0, turns=0.75))
    z = data.inputs @ [1, 1j]
    turned = np.angle(z * np.exp(-2j * np.pi * (0.75 * np.abs(z) + data.labels / 3)))
    np.testing.assert_allclose(turned, 0, atol=1e-12)  # roundings of 1e-16 on angles of up to 7


@pytest.mark.parametrize("cells", [2, 5])
def test_a_checkerboard_s_class_is_its_cell_s(cells: int) -> None:
    data = DATA["checkerboard"].make(given("checkerboard", rows=301, cells=cells))
    assert np.abs(data.inputs).max() <= 1
    cell = np.floor((data.inputs + 1) / 2 * cells).astype(int)
    assert (cell.sum(1) % 2).tolist() == data.labels.tolist()
    assert len(np.unique(cell, axis=0)) == cells**2  # 301 points miss none of them, by this seed


def test_curves_are_their_formulas() -> None:
    makes = {name: DATA[name].make(given(name, rows=5)) for name in CURVES}
    assert makes["abs"].inputs.tolist() == [[-1], [-0.5], [0], [0.5], [1]]
    assert makes["abs"].targets.tolist() == [[1], [0.5], [0], [0.5], [1]]
    np.testing.assert_allclose(makes["sine"].targets[:, 0], [0, -1, 0, 1, 0], atol=1e-15)  # roundings of pi
    assert makes["polynomial"].targets.tolist() == [[-1], [1], [0], [-1], [1]]  # 4 x^3 - 3 x
    noisy = DATA["abs"].make(given("abs", rows=5, noise=0.5, seed=3))
    expected = np.random.RandomState(3).normal(scale=0.5, size=5)
    np.testing.assert_array_equal(noisy.targets, makes["abs"].targets + expected[:, None])
