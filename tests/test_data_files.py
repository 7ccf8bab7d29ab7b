"""The user's own files: what is read, and one clear line for everything that is wrong with one."""

from __future__ import annotations

import os
import pickle
import random
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nnspec.architecture import architecture
from nnspec.catalog import DATA, DataSet, Size
from nnspec.catalog.data.user import load
from nnspec.check import archived_spec, checked
from nnspec.errors import SpecError
from nnspec.problem import Problem
from nnspec.specs import RunSpec

SpecOf = Callable[..., RunSpec]
ROWS = "a,b,y\n1,2,no\n3,4.5,yes\n-5e-1,6,no\n7,8,yes\n"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(kind: str, path: str, target: object = "y", **params: object) -> DataSet:
    defaults = {param.name: param.default for param in DATA[kind].params}
    return load(kind, {**defaults, "path": path, "target": target, **params}).data


def written(content: str | bytes, name: str = "t.csv") -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def test_a_table_of_texts_and_numbers() -> None:
    data = read("csv", written(ROWS))
    assert data.inputs.tolist() == [[1, 2], [3, 4.5], [-0.5, 6], [7, 8]]
    assert (data.labels.tolist(), data.classes, data.class_names) == ([0, 1, 0, 1], 2, ("no", "yes"))
    assert (data.input_names, data.target_names, data.targets) == (("a", "b"), ("y",), None)


@pytest.mark.parametrize(
    "content",
    [
        ROWS.replace("\n", "\r\n"),
        ROWS.replace(",", ";"),
        ROWS.replace(",", "\t"),
        "\ufeff" + ROWS + "\n\n",
        ROWS.replace(",", " , ").replace("a ,", '"a",'),
        ROWS.replace("\n1,", "\n\n1,"),
    ],
    ids=["CRLF", "semicolons", "tabs", "byte order mark, blank lines", "blanks", "a blank line"],
)
def test_the_same_table_in_other_dress(content: str) -> None:
    plain, other = read("csv", written(ROWS)), read("csv", written(content, "other.csv"))
    np.testing.assert_array_equal(plain.inputs, other.inputs)
    np.testing.assert_array_equal(plain.labels, other.labels)


def test_a_csv_gives_back_every_digit_that_pandas_wrote() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list("abc"))
    frame["y"] = (frame.a > 0).astype(int)
    frame.to_csv("t.csv", index=False)
    expected = frame  # pandas writes every digit
    data = read("csv", "t.csv")
    np.testing.assert_array_equal(data.inputs, expected[["a", "b", "c"]])
    np.testing.assert_array_equal(data.labels, expected.y)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_every_format_gives_the_same(kind: str) -> None:
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5], "b": [1, 2, 3], "y": [7, 3, 7]})
    if kind == "csv":
        frame.to_csv("t.csv", index=False)
    elif kind == "parquet":
        frame.to_parquet("t.parquet")
    else:
        np.savez("t.npz", x=frame[["a", "b"]].to_numpy(), y=frame.y.to_numpy())
    data = read(kind, f"t.{kind}")
    assert data.inputs.tolist() == [[0.5, 1], [1.5, 2], [2.5, 3]]
    assert (data.labels.tolist(), data.class_names, data.targets.tolist()) == ([1, 0, 1], ("3", "7"), [[7], [3], [7]])


def test_npz_images_are_flattened_and_several_arrays_are_named() -> None:
    np.savez("t.npz", x=np.arange(24, dtype=np.uint8).reshape(2, 3, 4), y=np.array(["b", "a"]), other=np.zeros(5))
    data = read("npz", "t.npz", inputs="x")
    assert data.inputs.tolist() == np.arange(24).reshape(2, 12).tolist()
    assert (data.labels.tolist(), data.class_names) == ([1, 0], ("a", "b"))
    with pytest.raises(SpecError, match=r"data.inputs must be given unless .* available: x, y, other"):
        read("npz", "t.npz")


def test_parquet_takes_texts_categories_and_truth_values() -> None:
    frame = pd.DataFrame({"a": [True, False], "y": pd.Categorical(["v", "u"]), "z": ["s", "t"]})
    frame.to_parquet("t.parquet")
    data = read("parquet", "t.parquet", drop=("z",))
    assert (data.inputs.tolist(), data.labels.tolist()) == ([[1], [0]], [1, 0])
    assert read("parquet", "t.parquet", "z", drop=("y",)).class_names == ("s", "t")


def test_the_loss_decides_what_a_number_is(spec_of: SpecOf) -> None:
    path = written("a,b,y\n1,2,10\n3,4,20\n5,6,30\n")
    data = {"name": "csv", "path": path, "target": "y"}
    model = {"name": "mlp", "output": "identity"}  # whose outputs can be 30
    numbers = Problem.of(checked(spec_of(loss="mse", data=data, model=model)))
    classes = Problem.of(checked(spec_of(loss="cross_entropy", data=data)))
    assert numbers.targets.tolist() == [[10], [20], [30]]
    assert classes.targets.tolist() == np.eye(3).tolist()
    several = Problem.of(checked(spec_of(loss="huber", data={**data, "target": ["y", "b"]}, model=model)))
    assert (several.inputs.tolist(), several.targets.tolist()) == ([[1], [3], [5]], [[10, 2], [20, 4], [30, 6]])
    with pytest.raises(SpecError, match="several targets are numbers"):
        spec_of(loss="cross_entropy", data={**data, "target": ["y", "b"]})


def test_the_digest_is_the_file_s_and_another_file_is_refused(spec_of: SpecOf) -> None:
    data = {"name": "csv", "path": written(ROWS), "target": "y"}
    spec = spec_of(loss="bce", data=data)
    assert spec.data["digest"] == sha256(ROWS.encode()).hexdigest()
    assert checked(spec) == spec
    written(ROWS.replace("4.5", "4.6"))
    with pytest.raises(SpecError, match=r"data.digest must be the SHA-256 of data.path"):
        checked(spec)
    with pytest.raises(SpecError, match=r"data\.digest must be"):
        Problem.of(spec)
    again = spec_of(loss="bce", data=data)
    assert again.fingerprint != spec.fingerprint
    assert Problem.of(again).inputs[1, 1] == 4.6
    Path("t.csv").unlink()
    assert archived_spec(again.to_mapping()) == again


def test_a_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written(ROWS)
    first = read("csv", "t.csv")
    assert read("csv", "t.csv") is first
    assert read("csv", "t.csv", drop=("b",)).inputs.shape == (4, 1)
    facts = Path("t.csv").stat()
    written(ROWS.replace("4.5", "4.6"))
    os.utime("t.csv", ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))  # a clock may not tell two writings apart
    assert read("csv", "t.csv").inputs[1, 1] == 4.6


def test_size_and_architecture_come_from_the_file(spec_of: SpecOf) -> None:
    spec = spec_of(loss="bce", data={"name": "csv", "path": written(ROWS), "target": "y", "test_fraction": 0.5})
    assert DATA["csv"].size(dict(spec.data.params)) == Size(4, 2, (2, 2), 0, "line 2 has 'no', which is no number")
    assert (architecture(spec).inputs, architecture(spec).outputs) == (2, 1)
    assert Problem.of(replace(spec, seed=5)).test_inputs.shape == (2, 2)


BAD_TABLES = [
    ("", "data.path must hold a table, but got 't.csv', which is empty"),
    ("\n\n", "which is empty"),
    ("a,b,y\n", "must hold rows of data, but got 't.csv' with none"),
    (b"a,b,y\n1,2,no\n3,\xff,yes\n", r"t.csv, line 3 must be UTF-8 text"),
    (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "line 1 must be UTF-8 text"),
    ("a,a,y\n1,2,no\n", "must have different names of columns, but got 'a' twice"),
    (",a,y\n0,1,no\n", r"must name every column, but column 1 has no name; .*index=False"),
    (ROWS.replace("4.5", "n/a?"), r"line 3, column 'b' must be a finite number, but got 'n/a\?'; .*data.drop=\[b\]"),
    (ROWS.replace("4.5", ""), "line 3, column 'b' must not be missing"),
    (ROWS.replace("4.5", "NaN"), "line 3, column 'b' must not be missing"),
    (ROWS.replace("4.5", "inf"), "line 3, column 'b' must be a finite number, but got 'inf'"),
    (ROWS.replace("4.5,yes", "4.5,"), "line 3, column 'y' must not be missing"),
    (ROWS.replace("4.5,yes", "4.5"), "line 3 must have 3 cells, as the head has, but got 2"),
    (ROWS.replace("3,4.5", "3,4,5"), "line 3 must have 3 cells"),
    (ROWS.replace("4.5", '"4.5'), "line 3 must be a line of a CSV file"),
    (ROWS.replace("yes", "no"), "data.target must have two classes or more"),
    ("y\nno\nyes\n", "data.target must leave a column for the inputs"),
    ("a,b,z\n1,2,no\n", "data.target must be a column of the file, but got 'y'"),
    ("a,b,y\n1,2,0\n3,4,1\n5,6,0.5\n", r"must be mse or huber .*line 4 has 0.5, which is no class"),
    ("a,b,y\n" + "1,2,no\n" * 20, "at most data.max_rows=10 rows"),
    ('"a\nb",y\n1,no\n"2\n",yes\n,no\n', "line 6, column 'a\\\\nb' must not be missing"),
    ("a,y\n1,no\n2,no\n3,yes\n", "needs two rows or more of every class, but got 0.5 with 1 of class"),
]


@pytest.mark.parametrize(("content", "message"), BAD_TABLES, ids=[message[:40] for _, message in BAD_TABLES])
def test_a_bad_table_is_one_line(spec_of: SpecOf, content: str | bytes, message: str) -> None:
    data = {"name": "csv", "path": written(content), "target": "y", "max_rows": 10, "test_fraction": 0.5}
    with pytest.raises(SpecError, match=message) as error:
        spec_of(loss="bce", data=data)
    assert len(error.value.faults) == 1
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_a_path_that_leads_to_no_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path, message in (("none", "No such file"), ("folder", "it is a folder"), ("a\0b", "no path"), (None, "given")):
        with pytest.raises(SpecError, match=f"data.path must be .*{message}"):
            read(kind, path)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["parquet", "npz"])
@pytest.mark.parametrize("content", [b"", ROWS.encode(), b"PK\x03\x04", b"PAR1" + bytes(8) + b"PAR1", bytes(1000)])
def test_not_what_its_name_says(kind: str, content: bytes) -> None:
    with pytest.raises(SpecError, match=r"data.path must be a (Parquet file|file of numpy.savez)"):
        read(kind, written(content, "t"))


def test_a_parquet_file_with_holes_names_the_row() -> None:
    pd.DataFrame({"a": [1.0, None, 3.0], "y": ["u", "v", None]}).to_parquet("t.parquet")
    with pytest.raises(SpecError, match="row 2, column 'a' must not be missing"):
        read("parquet", "t.parquet")
    pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": ["u", "v", None]}).to_parquet("t.parquet")
    with pytest.raises(SpecError, match="row 3, column 'y' must not be missing"):
        read("parquet", "t.parquet")
    pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]), "y": ["u"]}).to_parquet("t.parquet")
    with pytest.raises(SpecError, match=r"column 'a' must be a finite number, but got '2020-01-01 00:00:00'"):
        read("parquet", "t.parquet")


def test_npz_runs_no_code() -> None:
    class Harm:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, ("harm",)

    np.savez("t.npz", x=np.array([Harm()], dtype=object), y=np.zeros(1))
    assert pickle.loads(pickle.dumps(Harm())) is None  # which is what a careless reader would do
    Path("harm").rmdir()
    with pytest.raises(SpecError, match="Python objects"):
        read("npz", "t.npz")
    assert not Path("harm").exists()


def test_npz_that_claims_more_than_it_has() -> None:
    np.savez("t.npz", x=np.zeros((2, 2)), y=np.zeros(2))
    with zipfile.ZipFile("t.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x.npy"] = members["x.npy"].replace(b"(2, 2), }      ", b"(2, 99999999), }")
    with zipfile.ZipFile("u.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(SpecError, match=r"must hold the array 'x'.*larger than what it holds"):
        read("npz", "u.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((3, 2)), "y": np.zeros(2)}, "must have a row for each of the 3 inputs"),
        ({"x": np.zeros((3, 2)), "y": np.zeros((3, 2, 2))}, "must be an array"),
        ({"x": np.array(["u", "v"]), "y": np.zeros(2)}, "data.inputs must be numbers"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "must hold rows"),
        ({"x": np.array([[1.0], [np.nan]]), "y": np.zeros(2)}, r"row 2, column 'x\[0\]' must not be missing"),
        ({"x": np.zeros((2, 2)), "y": np.array([1.0, np.inf])}, "row 2, column 'y' must be a finite number"),
        ({"x": np.zeros((2, 2))}, "data.target must be an array of the file"),
    ],
)
def test_npz_that_does_not_fit(arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez("t.npz", **arrays)
    with pytest.raises(SpecError, match=message):
        read("npz", "t.npz")


SEEDS = {"csv": 400, "parquet": 60, "npz": 100}


@pytest.mark.parametrize("kind", SEEDS)
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(kind: str) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.5, 3.0], "b": [4, 5, 6], "y": ["u", "v", "u"]})
    frame.to_csv("t.csv", index=False)
    frame.to_parquet("t.parquet")
    np.savez("t.npz", x=frame[["a", "b"]].to_numpy(), y=frame.y.to_numpy(dtype=str))
    whole = Path(f"t.{kind}").read_bytes()
    outcomes = set()
    for seed in range(SEEDS[kind]):
        path = written(spoiled(whole, random.Random(seed)), f"{seed}.{kind}")
        try:
            data = read(kind, path)
        except SpecError as error:
            outcomes.add("refused")
            lines = [len(error.faults), *map(len, [str(error).split("\n")])]
        else:
            outcomes.add("read")
            lines = [1, 1]
            assert np.isfinite(data.inputs).all(), f"seed {seed}"
            assert data.labels is None or data.labels.max() < data.classes, f"seed {seed}"
        assert lines == [1, 1], f"seed {seed}"
    assert outcomes == {"read", "refused"}


def spoiled(content: bytes, chance: random.Random) -> bytes:
    """The content with a few bytes changed, removed, doubled or added."""
    parts = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(parts) + 1)
        some = bytes(
            chance.choice((*b',;"\n\r\t\0-+.eEnNaAiIfF_ 019', 0xFF, 0xC3)) for _ in range(chance.randint(1, 3))
        )
        what = chance.randrange(4)
        if what == 0:
            parts[at : at + len(some)] = some
        elif what == 1:
            del parts[at : at + chance.randint(1, 20)]
        elif what == 2:
            parts[at:at] = parts[at : at + chance.randint(1, 20)]
        else:
            parts[at:at] = some
    return bytes(parts)
