"""Every command on stores as a stranger may have made them: one clear line or a result, and nothing but printable
text."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nnspec as package
from nnspec.cli import main
from nnspec.tracking.artifacts import FINAL, HISTORY, RESULTS, SPEC

EVIL = "x\x1b[31mred\x1b]8;;http://e\x07l\r\n\u202enor<script>alert(1)</script>$\\frac{$"


class Foreign:
    """A store to be changed: its database, and the files of its runs."""

    def __init__(self, filed: Any):
        self.uri = filed.uri
        self.folder = Path(filed.uri.removeprefix("sqlite:///")).parent
        self.sweep, self.other, self.single = filed.sweep.parent, filed.longer.parent, filed.single
        self.cells = [*filed.sweep.run_ids.values(), *filed.longer.run_ids.values()]
        self.runs = [self.sweep, self.other, self.single, *self.cells]

    def sql(self, query: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "mlflow.db", isolation_level=None)) as connection:
            return connection.execute(query, values).fetchall()

    def file(self, run_id: str, path: str) -> Path:
        ((folder,),) = self.sql("SELECT artifact_uri FROM runs WHERE run_uuid = ?", run_id)
        return Path(folder, path)

    def files(self, path: str) -> list[Path]:
        return [file for run_id in self.runs if (file := self.file(run_id, path)).exists()]

    def write(self, path: str, content: bytes) -> None:
        for file in self.files(path):
            file.write_bytes(content)

    def change(self, path: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        for file in self.files(path):
            change(pd.read_parquet(file)).to_parquet(file, index=False)

    def replace(self, path: str, make: Callable[[Path], object]) -> None:
        for file in self.files(path):
            file.unlink()
            make(file)


Make = Callable[[Path, Any], Foreign]


@pytest.fixture
def store(tmp_path: Path, own: Any, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    monkeypatch.chdir(tmp_path)
    return Foreign(own)


def column(name: str, value: object) -> Callable[[Foreign], object]:
    return lambda store: store.change(RESULTS, lambda table: table.assign(**{name: value}))


def named(name: object) -> Callable[[Foreign], object]:
    return lambda store: store.sql("UPDATE runs SET name = ?", name)


def axes(text: object) -> Callable[[Foreign], object]:
    return lambda store: store.sql("UPDATE tags SET value = ? WHERE key = 'nnspec.axes'", text)


BROKEN: dict[str, Callable[[Foreign], object]] = {
    "seed is text": column("seed", "abc"),
    "no seed": lambda store: store.change(RESULTS, lambda table: table.drop(columns="seed")),
    "seed is missing": column("seed", None),
    "no rows": lambda store: store.change(RESULTS, lambda table: table.iloc[:0]),
    "solved is text": column("solved", "yes"),
    "empty results": lambda store: store.write(RESULTS, b""),
    "corrupt results": lambda store: store.write(RESULTS, b"PAR1" + bytes(60) + b"PAR1"),
    "results are a pipe": lambda store: store.replace(RESULTS, os.mkfifo),
    "results lead elsewhere": lambda store: store.replace(RESULTS, lambda file: file.symlink_to("/etc/passwd")),
    "results are huge": lambda store: [os.truncate(file, 2**40) for file in store.files(RESULTS)],
    "no artifacts": lambda store: shutil.rmtree(store.folder / "mlartifacts"),
    "artifacts by a way round": lambda store: store.sql(
        "UPDATE runs SET artifact_uri = artifact_uri || '/../artifacts'"
    ),
    "artifacts nowhere": lambda store: store.sql("UPDATE runs SET artifact_uri = NULL"),
    "no tags table": lambda store: store.sql("DROP TABLE tags"),
    "a database of garbage": lambda store: (store.folder / "mlflow.db").write_bytes(
        b"SQLite format 3\0" + bytes(range(256)) * 20
    ),
}
AXES = {
    f"axes {number}": axes(text)
    for number, text in enumerate(["", "{", "{}", "null", "5", "[1]", '[["a"]]', "[" * 100_000, b"\xff\xfe"])
}
ODD: dict[str, Callable[[Foreign], object]] = {
    "no name": named(None),
    "an evil name": named(EVIL),
    "a name of bytes": named(b"\xff\xfe\x1b"),
    "a number for a name": named(5),
    "evil tags": lambda store: store.sql(
        "UPDATE tags SET value = value || ? WHERE key IN ('nnspec.command', 'mlflow.note.content')", EVIL
    ),
    "evil params": lambda store: store.sql("UPDATE params SET value = value || ?", EVIL),
    "no params": lambda store: store.sql("DELETE FROM params"),
    "evil verdicts": column("verdict", EVIL),
    "an evil column": column(EVIL, EVIL),
    "losses are missing": column("final_loss", float("nan")),
    "one seed for all": column("seed", 5),
    "evil axes": axes(json.dumps([EVIL])),
    "axes that are measured": axes('["seed", "final_loss", "run_id", "activation", "activation"]'),
    "times are text": lambda store: store.sql("UPDATE runs SET start_time = 'abc'"),
    "metrics are text": lambda store: store.sql("UPDATE latest_metrics SET value = 'abc'"),
    "params named like results": lambda store: [
        store.sql("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", key, str(number), cell)
        for key in ("solved", "verdict", "cell", "run_id")
        for number, cell in enumerate(store.cells)
    ],
}


def checked(said: tuple[int, str, str]) -> tuple[int, str, str]:
    status, out, err = said
    assert "unexpected" not in err
    assert "Traceback" not in out + err
    assert all(line.isprintable() for line in (out + err).split("\n"))
    assert len(err) < 3000
    assert (status == 0) == (not err)
    return said


def commands(store: Foreign) -> list[list[str]]:
    pairs = ["diff", store.sweep, store.other], ["diff", store.single, store.cells[0]]
    return [
        ["table", store.sweep],
        ["table", store.single],
        ["compare", store.sweep],
        ["compare", store.sweep, "--by", "init"],
        *pairs,
    ]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("tamper", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_one_clear_line(
    tamper: Callable[[Foreign], object], store: Foreign, nnspec: Any
) -> None:
    tamper(store)
    for words in commands(store):
        status, _, err = checked(nnspec(*words, "--uri", store.uri))
        assert status == 1, words
        assert err.count("\n") == 1
        assert any(run_id in err for run_id in store.runs) or "mlflow.db" in err, err


@pytest.mark.parametrize("tamper", AXES.values(), ids=AXES)
def test_axes_that_are_none(tamper: Callable[[Foreign], object], store: Foreign, nnspec: Any) -> None:
    tamper(store)
    status, _, err = checked(nnspec("compare", store.sweep, "--uri", store.uri))
    assert status == 1
    assert f"the tag nnspec.axes of run {store.sweep} must be a list of texts in JSON, but got" in err


@pytest.mark.sampled(2)
@pytest.mark.parametrize("tamper", ODD.values(), ids=ODD)
def test_what_is_odd_is_shown_without_harm(tamper: Callable[[Foreign], object], store: Foreign, nnspec: Any) -> None:
    tamper(store)
    for words in commands(store):
        checked(nnspec(*words, "--uri", store.uri))


SPECS = [
    b"",
    b"[]",
    b"a: *b",
    b"a: &a [*a]",
    b"{",
    b"[" * 50_000,
    b"\xff\xfe\0",
    b"5: 5",
    b"model: {name: nosuch}",
    b"a: 1\n" * 300_000,
]
UNSAFE = b"!!python/object/apply:os.system [ls]"


@pytest.mark.parametrize("content", [*SPECS, UNSAFE])
def test_a_spec_that_is_none(content: bytes, store: Foreign) -> None:
    store.write(SPEC, content)
    with pytest.raises(
        package.TrackingError, match=f"spec.yaml of run {store.single} must be a mapping with the fields of a spec, but"
    ):
        package.load(store.single, uri=store.uri)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, (2).to_bytes(8, "little") + b"{}", (50_000).to_bytes(8, "little") + b"[" * 50_000]
)
def test_weights_that_are_none(content: bytes, store: Foreign) -> None:
    store.write(FINAL, content)
    with pytest.raises((package.WeightsError, package.TrackingError), match=f"of run {store.single} must"):
        package.load(store.single, uri=store.uri)


@pytest.mark.parametrize("drop", ["step", "loss", "right", "weight_norm.0"])
def test_a_history_that_is_none(drop: str, store: Foreign, nnspec: Any) -> None:
    store.change(HISTORY, lambda table: table.drop(columns=drop))
    status, _, err = checked(nnspec("report", store.single, "--uri", store.uri))
    assert status == 1
    assert f"history.parquet of run {store.single} must have" in err


@pytest.mark.parametrize("name", ["..", ".", "/", "../../etc", "", ".hidden", "a" * 5000, EVIL])
def test_a_report_stays_in_its_folder(
    name: str, store: Foreign, nnspec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnspec.report.run_reporting.filed_report", lambda *_: {"report.html": b"<p>"})
    before = {path.name for path in tmp_path.iterdir()}
    store.sql("UPDATE runs SET name = ?", name)
    status, out, _ = checked(nnspec("report", store.single, "--uri", store.uri))
    assert status == 0
    (page,) = (tmp_path / "nnspec-report").rglob("*.html")
    assert page.parent.parent == tmp_path / "nnspec-report"
    assert not page.parent.name.startswith(".")
    assert {path.name for path in tmp_path.iterdir()} == before | {"nnspec-report"}
    assert "in place of" not in out
    assert "(in place of the report that was there)" in nnspec("report", store.single, "--uri", store.uri)[1]


def test_a_report_does_not_follow_links_out_of_its_run(
    store: Foreign, nnspec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnspec.report.run_reporting.filed_report", lambda *_: {"report.html": b"<p>"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.file(store.single, "report").symlink_to(elsewhere)
    status, _, err = checked(nnspec("report", store.single, "--uri", store.uri))
    assert status == 1
    assert "must lie below the folder of its run, but got a link that leads elsewhere" in err
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("tamper", ODD.values(), ids=ODD)
def test_reports_of_odd_stores(
    tamper: Callable[[Foreign], object], store: Foreign, nnspec: Any, tmp_path: Path
) -> None:
    tamper(store)
    for run_id in (store.sweep, store.single):
        checked(nnspec("report", run_id, "--uri", store.uri, "--out", str(tmp_path / run_id)))
    assert all("<script>alert" not in page.read_text() for page in tmp_path.rglob("report.html"))


def test_results_that_cannot_be_reused_leave_no_run_behind(store: Foreign, mapping_of: Any) -> None:
    from nnspec import runner
    from nnspec.check import checked_mapping
    from nnspec.settings import Settings, Sweep, Tracking
    from nnspec.sweep import Cell

    store.change(RESULTS, lambda table: table.drop(columns="seed"))
    before = store.sql("SELECT status, count(*) FROM runs GROUP BY status")
    cells = [Cell(checked_mapping(mapping_of(activation="relu", init="zeros", replicates=6, train={"epochs": 60})))]
    settings = Settings(tracking=Tracking(uri=store.uri), sweep=Sweep(report=False))
    for asked in (replace(settings, reuse=True), replace(settings, resume=store.sweep)):
        with pytest.raises(package.TrackingError, match=r"results.parquet of run \w+ must have a column 'seed'"):
            runner.run(cells, asked, (), True, "nnspec run -m", quiet=True)
    assert store.sql("SELECT status, count(*) FROM runs GROUP BY status") == before


URIS = [
    "https://[::1",
    "http://",
    "http://h:99999",
    "http://h:x",
    "https://h\x1b[1m",
    "sqlite:///a\x00b",
    "postgresql://h:port/d",
]


@pytest.mark.parametrize("uri", URIS)
def test_an_address_that_is_none(
    uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    if "\0" not in uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        words = ["table", "last"]
    else:
        words = ["table", "last", "--uri", uri]
    assert main(words) in (1, 2)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "unexpected" not in err
    assert err.strip().isprintable()
