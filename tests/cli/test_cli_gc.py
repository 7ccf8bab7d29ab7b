"""``nnspec gc``: what it says of a store, and that it frees only what it was told to."""

from __future__ import annotations

import json

import pytest

from nnspec.cli.filed import opened
from nnspec.tracking.contents import find


def test_every_sweep_and_single_run_has_a_line(filed, nnspec):
    status, out, _ = nnspec("gc", "--uri", filed.uri)
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert status == 0
    assert lines[filed.sweep.parent][2:4] == ["FINISHED", "4"]
    assert lines[filed.single][2:4] == ["FINISHED", "-"]
    assert "nothing is left over" in out
    short = nnspec("gc", "--uri", filed.uri, "--rows", "1")[1]
    assert "... and 2 more (--rows 0 prints all)" in short


def test_the_document_says_the_same(own, nnspec):
    with opened(own.uri) as store:
        store.delete([own.single])
    status, out, _ = nnspec("gc", "--json", "--uri", own.uri)
    told = json.loads(out)
    assert status == 0
    assert {run["run_id"]: run["cells"] for run in told["runs"]} == {own.sweep.parent: 4, own.longer.parent: 4}
    (left,) = told["leftovers"]["deleted_runs"]
    assert (left["run_id"], left["kept"], told["freed"]) == (own.single, None, False)
    assert min(left["points"], left["files"], left["bytes"], told["bytes"]) > 0
    status, _, err = nnspec("gc", "--json", "--free", "--uri", own.uri)
    assert status == 2
    assert "--json must be asked nothing, but got --free without --yes; add --yes" in err
    assert json.loads(nnspec("gc", "--json", "--free", "--yes", "--uri", own.uri)[1])["freed"]
    with opened(own.uri) as store:
        assert find(store.runs).deleted == []


@pytest.mark.parametrize(("answer", "left"), [("", 5), ("n", 5), ("y", 0)])
def test_it_asks_before_it_frees(own, nnspec, monkeypatch, answer, left):
    asked = []
    nnspec("delete", own.sweep.parent, "--yes", "--uri", own.uri)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
    status, out, _ = nnspec("gc", "--free", "--uri", own.uri)
    assert asked == ["free the rows and artifacts of 5 deleted runs? [y/N] "]
    assert (status, "nothing freed" in out) == ((1, True) if left else (0, False))
    with opened(own.uri) as store:
        assert len(find(store.runs).deleted) == left
        assert len(store.find_children(own.longer.parent)) == 4


def test_it_does_not_free_without_a_terminal(own, nnspec, monkeypatch):
    nnspec("delete", own.single, "--yes", "--uri", own.uri)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    status, _, err = nnspec("gc", "--free", "--uri", own.uri)
    assert status == 2
    assert "give --yes to free the rows and artifacts of 1 deleted runs" in err


def test_the_file_keeps_its_size_while_something_trains(own, nnspec):
    nnspec("delete", own.longer.parent, "--yes", "--uri", own.uri)
    with opened(own.uri) as store:
        store.set_status([own.sweep.parent], "RUNNING")  # by this process, which lives
        file = store.location.file
    before = file.stat().st_size
    status, out, err = nnspec("gc", "--free", "--yes", "--uri", own.uri)
    assert (status, file.stat().st_size) == (0, before)
    assert "RUNNING" in out
    assert "freed 5 deleted runs" in out
    assert "the database file keeps its size while something trains" in err


def test_a_store_of_mlflow_s_client_is_counted_and_left_to_mlflow(own, nnspec, monkeypatch):
    """As on a server: what can be known of it is said, and who frees it."""
    from nnspec.settings import Tracking
    from nnspec.tracking import finding

    opening = finding.open_store
    monkeypatch.setattr(finding, "open_store", lambda settings: opening(Tracking(uri=settings.uri, writer="client")))
    status, out, _ = nnspec("gc", "--uri", own.uri)
    assert status == 0
    assert [line.split()[3] for line in out.splitlines() if line.startswith(own.sweep.parent)] == ["4"]
    assert " gc --tracking-uri sqlite" in out
    status, _, err = nnspec("gc", "--free", "--yes", "--uri", own.uri)
    assert status == 2
    assert "--free must be a database that nnspec files into itself" in err
