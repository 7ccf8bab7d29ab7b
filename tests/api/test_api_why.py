"""Why a run failed and what would help, from Python: what the command line says, as values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import nnspec
from nnspec.cli import main
from nnspec.documents import document
from nnspec.errors import NnspecError, SpecError, TrackingError


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 0
    return capsys.readouterr().out.rstrip("\n")


def test_a_verdict_is_explained_as_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert repr(nnspec.explain("dead_units")) == printed(capsys, "explain", "dead_units")


def test_a_sweep_is_explained_by_name(swept, capsys: pytest.CaptureFixture[str]) -> None:
    found = nnspec.explain("last")
    assert repr(found) == printed(capsys, "explain", swept.name)
    failed = swept.result.table[~swept.result.table["solved"]]
    assert {one.verdict: one.networks for one in found.verdicts} == failed["verdict"].value_counts().to_dict()


def test_what_is_not_filed_is_explained_too(swept) -> None:
    own, filed = swept.result.explain(), nnspec.explain("last")
    assert own.verdicts == filed.verdicts
    assert repr(own).splitlines()[0] == f"4 cells: {swept.result.table['solved'].sum()} of 48 networks solved"


def test_the_explanation_of_one_network(folder: Path) -> None:
    found = nnspec.train(nnspec.spec(["activation=relu", "seed=0", "train.epochs=200"]), workers=1).explain()
    assert re.search(r"3 of 4 hidden units are off for every row", repr(found))
    assert found.run == ""


def test_neither_verdict_nor_run(swept) -> None:
    with pytest.raises(TrackingError, match="which none has"):
        nnspec.explain("dead_unit")


def test_remedies_of_a_run_and_of_a_spec(swept, capsys: pytest.CaptureFixture[str]) -> None:
    relu = swept.result.run_ids[[spec.init.name for spec in swept.result.specs].index("zeros")]
    found = nnspec.remedy(relu, 20)
    assert json.loads(document(found.frame())) == json.loads(printed(capsys, "remedy", relu, "--seeds", "20", "--json"))
    assert {"change", "solve_rate", "low", "high", "difference", "p"} <= set(found.frame().columns)
    with pytest.raises(NnspecError, match="must be those of one cell, but got a sweep"):
        nnspec.remedy("last")
    assert len(nnspec.remedy(nnspec.spec(["train.epochs=5", "init=zeros"]), 10).seeds) == 10


def test_what_differs(swept, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = swept.result.run_ids[:2]
    uri = f"sqlite:///{swept.folder}/mlflow.db"
    found = nnspec.diff(first, second, uri=uri)
    assert repr(found) == printed(capsys, "diff", first, second, "--uri", uri)
    assert {one["field"] for one in found.info["spec"]} >= {"init.name"}
    assert nnspec.diff(first, first, uri=uri).info["same_results"]


def test_a_plan_is_that_of_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["activation=relu,tanh", "replicates=20", "train.epochs=50"]
    info = nnspec.plan(words, workers=1).info
    theirs = json.loads(printed(capsys, "run", "-m", *words, "train.workers=1", "--plan", "--json"))
    for each in (info, theirs):
        del each["seconds"]  # measured, so that no two are alike
    assert json.loads(document(info)) == theirs
    text = repr(nnspec.plan(["replicates=auto"], workers=1))
    assert re.search(r"\d+ networks in 1 stack.*\(the first round of replicates=auto\)", text, re.DOTALL)
    assert {path.name for path in folder.iterdir()} <= {"multirun"}  # Hydra's, of the command line


def test_a_plan_with_faults_is_refused() -> None:
    with pytest.raises(SpecError, match="did you mean 'gelu'"):
        nnspec.plan(["activation=geluu"])
    with pytest.raises(SpecError, match=r"write nnspec.plan\(\['activation=relu,tanh'\]\)"):
        nnspec.plan("seed=1")
