"""``nnspec remedy`` and ``remedy=true``."""

from __future__ import annotations

import json

import pytest

from nnspec.cli.filed import find_run, opened
from nnspec.errors import TrackingError

KEYS = {
    "change": str,
    "solve_rate": float,
    "low": float,
    "high": float,
    "difference": float,
    "difference_low": float,
    "difference_high": float,
    "p": float,
    "remedy": bool,
    "seeds": int,
}


def test_a_filed_run_has_its_changes_measured_as_json(filed, nnspec):
    status, out, err = nnspec("remedy", filed.single, "--seeds", "20", "--json", "--uri", filed.uri)
    rows = json.loads(out)
    assert (status, err) == (0, "")
    assert all({key: type(value) for key, value in row.items()} == KEYS for row in rows)
    assert "another seed" in [row["change"] for row in rows]
    assert all(row["seeds"] == 20 for row in rows)
    assert nnspec("remedy", filed.single, "--seeds", "20", "--json", "--uri", filed.uri)[1] == out


def test_as_text_it_ends_with_what_to_do(filed, nnspec):
    status, out, _ = nnspec("remedy", "last", "--seeds", "20", "--uri", filed.uri)
    assert status == 0
    assert "each on the same 20 seeds (4 to 23)" in out  # the run's own are 0 to 3
    assert out.splitlines()[-1].startswith(("train it: nnspec run ", "no remedy among them"))


def test_a_sweep_has_many_answers(filed, nnspec):
    status, out, err = nnspec("remedy", filed.sweep.parent, "--uri", filed.uri)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "remedies must be those of one cell, but got a sweep; name one, as " in err
    named = [word for word in err.replace("(", " ").split() if word in filed.sweep.run_ids.values()]
    rates = {filed.sweep.run_ids[cell]: rows["solved"].mean() for cell, rows in filed.sweep.outcomes.items()}
    assert [rates[cell] for cell in named] == sorted(rates.values())[:3]
    assert nnspec("remedy", named[0], "--seeds", "2", "--uri", filed.uri)[0] == 0


@pytest.mark.parametrize(("seeds", "rule"), [("0", "seeds must be 2 to 100,000"), ("x", "must be a whole number")])
def test_seeds_that_cannot_be(filed, nnspec, seeds, rule):
    status, _, err = nnspec("remedy", filed.single, "--seeds", seeds, "--uri", filed.uri)
    assert (status, err.count("\n")) == (2, 1)
    assert rule in err


def test_a_run_that_failed_is_followed_by_its_remedies(folder, nnspec):
    status, out, _ = nnspec("run", "init=zeros", "train.epochs=30", "remedy=true")
    assert status == 0
    assert "30 epochs, dead_units" in out
    assert out.splitlines()[-1].startswith("train it: nnspec run ")
    assert "(1 to 200)" in out
    assert "what helps  nnspec remedy last\n" in out
    with opened(None) as store:
        kept = store.artifact(find_run(store, "last"), "remedies.json")
    assert kept.decode() == nnspec("remedy", "last", "--json")[1].rstrip("\n")


def test_without_tracking_they_are_only_said(folder, nnspec):
    status, out, _ = nnspec("run", "init=zeros", "train.epochs=30", "remedy=true", "tracking=off")
    assert status == 0
    assert "train it: nnspec run " in out
    assert not (folder / "mlflow.db").exists()


def test_a_run_that_solved_needs_none(folder, nnspec):
    status, out, err = nnspec("run", "activation=gelu", "remedy=true")
    assert status == 0
    assert "train it" not in out
    assert "nnspec remedy last" not in out
    assert "remedy=true has no effect on a run that solved; leave it out" in err
    with opened(None) as store:
        run_id = find_run(store, "last")
        with pytest.raises(TrackingError):
            store.artifact(run_id, "remedies.json")
    assert "all networks of the run solved" in nnspec("remedy", "last", "--seeds", "2")[2]


def test_a_sweep_refuses_it(folder, nnspec):
    status, out, err = nnspec("run", "-m", "seed=1,2", "remedy=true")
    assert (status, out) == (2, "")
    assert "remedy=true has no effect on a sweep; ask for one of its cells afterwards: nnspec remedy RUN" in err


def test_two_documents_are_refused_before_anything_trains(nnspec):
    status, out, err = nnspec("run", "remedy=true", "json=true", "tracking=off")
    assert (status, out) == (2, "")
    assert "remedy=true has no effect with --json, which prints one document" in err
