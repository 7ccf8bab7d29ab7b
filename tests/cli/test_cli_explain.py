"""Verdicts explained, and the networks of filed runs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnspec.cli.filed import opened
from nnspec.diagnostics import THRESHOLDS, VERDICTS
from nnspec.tracking.records import NOTE_TAG


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_verdict_is_explained(nnspec, verdict):
    status, out, err = nnspec("explain", verdict)
    assert (status, err) == (0, "")
    assert out.startswith(f"{verdict}: ")
    assert {"condition", "source"} <= {line[:12].rstrip() for line in out.splitlines()}


def test_thresholds_come_with_value_and_reason(nnspec):
    _, out, _ = nnspec("explain", "saddle")
    said = " ".join(out.split())
    assert f"stationary {THRESHOLDS.stationary:g}. The gradient is zero if a step along it" in said
    assert f"curvature {THRESHOLDS.curvature:g}. An eigenvalue of the Hessian is negative" in said


def test_a_verdict_in_json_has_the_shape_that_the_docs_give(nnspec):
    found = json.loads(nnspec("explain", "saddle", "--json")[1])
    assert list(found) == ["verdict", "summary", "meaning", "condition", "thresholds", "remedies", "source"]
    assert [sorted(one) for one in found["thresholds"]] == [["name", "reason", "value"]] * 2
    assert "lr" in found["remedies"]


def test_verdicts_are_listed_in_their_order(nnspec):
    lines = nnspec("list", "verdicts")[1].splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(VERDICTS)]] == list(VERDICTS)


def test_a_picture_is_written(nnspec, tmp_path):
    file = tmp_path / "pictures" / "dead.png"
    status, out, _ = nnspec("explain", "dead_units", "--plot", str(file))
    assert (status, str(file) in out) == (0, True)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_or_found_is_refused_in_a_line(nnspec, filed):
    status, _, err = nnspec("explain", "last", "--uri", filed.uri, "--plot", "x.png")
    assert (status, err.count("\n")) == (2, 1)
    assert "--plot must go with a verdict, but got 'last'" in err
    status, _, err = nnspec("explain", "dead_unit", "--uri", filed.uri)
    assert (status, err.count("\n")) == (2, 1)
    assert "or did you mean the verdict 'dead_units'?" in err
    assert nnspec("explain", "dead_units", "--plot", "/proc/nosuch/x.png")[0] == 2
    status, _, err = nnspec("explain", "dead_units", "--uri", filed.uri)
    assert (status, err) == (0, "nnspec: --uri has no effect here: dead_units is a verdict\n")


def test_the_networks_of_a_sweep_are_explained_by_verdict(nnspec, filed):
    status, out, _ = nnspec("explain", filed.sweep.parent, "--uri", filed.uri)
    table = filed.sweep.table()
    assert status == 0
    assert f"{int(table['solved'].sum())} of 24 networks solved" in out
    for verdict, count in table["verdict"].value_counts().items():
        if verdict != "solved":
            assert f"{verdict}, {count} of 24" in out
    # all units of a ReLU network at zero are off, and of a tanh network they are copies, whatever the seed
    assert "as in       activation=relu init=zeros\nmedians     4 of 4 hidden units are off for every row" in out
    assert "as in       activation=tanh init=zeros\nmedians     only 1 of 4 hidden units is distinct" in out
    assert "so with the initial weights already" in out


def test_a_sweep_in_json_counts_every_network_that_is_not_solved(nnspec, filed):
    found = json.loads(nnspec("explain", filed.sweep.parent, "--uri", filed.uri, "--json")[1])
    assert list(found) == ["run", "name", "networks", "solved", "verdicts"]
    one = found["verdicts"][0]
    names = ["verdict", "networks", "total", "sentence", "since", "since_update", "measured", "where"]
    assert list(one) == names
    assert found["solved"] + sum(one["networks"] for one in found["verdicts"]) == found["networks"] == 24
    counts = [one["networks"] for one in found["verdicts"]]
    assert counts == sorted(counts, reverse=True)


def test_a_single_run_is_explained_by_medians(nnspec, filed):
    found = json.loads(nnspec("explain", filed.single, "--uri", filed.uri, "--json")[1])
    assert (found["networks"], found["run"]) == (4, filed.single)
    assert all(one["where"] == "" and one["measured"] == one["networks"] for one in found["verdicts"])


def test_the_description_in_mlflow_says_why(filed):
    with opened(filed.uri) as store:
        note = store.get(filed.sweep.parent).tags[NOTE_TAG]
        assert "4 cells over activation, init\n\n```\npython run.py -m epochs=60\n```" in note
        assert "as in activation=relu init=zeros: 4 of 4 hidden units are off for every row" in note
        notes = [store.get(child.run_id).tags[NOTE_TAG] for child in store.find_children(filed.sweep.parent)]
    dead = [note for note in notes if "activation relu" in note and "initialised with zeros" in note]
    assert len(dead) == 1
    assert "dead_units 100.0%: 4 of 4 hidden units are off for every row" in dead[0]


def test_the_table_has_since_when(filed):
    table = filed.sweep.table()
    symmetric = table[table["verdict"] == "symmetric"]
    np.testing.assert_array_equal(symmetric["since"], 0)
    assert table[table["solved"]]["since"].isna().all()
