"""What ``nnspec play`` is told and a page has no use for is refused or told, in one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

import nnspec
from nnspec.cli.main import main
from nnspec.effects import PAGE, Command, idle_settings
from nnspec.settings import COMMAND, REQUIRE, RUNTIME, SWEEP, TRACKING, Settings

NOWHERE = "has no effect on a page, which has one recipe and files nothing"
TRAIN = "leave it out, or train with nnspec run"
SECTIONS = {"tracking.": TRACKING, "train.": RUNTIME, "sweep.": SWEEP, "require.": REQUIRE, "": COMMAND}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("key", [f"{prefix}{param.name}" for prefix, own in SECTIONS.items() for param in own])
def test_no_setting_is_dropped(key: str) -> None:
    refused, told = idle_settings(Command([nnspec.spec()], Settings(), PAGE, {key: "1"}))
    (line,) = map(str, [*refused, *told])
    assert line.startswith(f"{key}=1 {NOWHERE}; leave it out")


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("reuse=true", f"reuse=true {NOWHERE}; {TRAIN}"),
        ("sweep.race=true", f"sweep.race=true {NOWHERE}; {TRAIN}"),
        ("require.solve_rate=0.5", f"require.solve_rate=0.5 {NOWHERE}; {TRAIN}"),
        (
            "replicates=auto",
            "replicates=auto has no effect as auto on a page, which has one recipe and files nothing; "
            "say how many networks the page has",
        ),
        (
            "seed=1,2",
            "seed must be one value on a page, but got 1,2; choose one, or train all of them with nnspec run -m",
        ),
        (
            "optimizer.lr=choice(0.1,1)",
            "optimizer.lr must be one value on a page, but got choice(0.1,1); "
            "choose one, or train all of them with nnspec run -m",
        ),
    ],
)
def test_what_would_train_otherwise_is_refused(
    word: str, line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", word, "--no-open"]) == 2
    assert capsys.readouterr().err == f"nnspec: {line}\n"
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["tracking.uri=sqlite:///x.db"], f"tracking.uri=sqlite:///x.db {NOWHERE}; leave it out"),
        (["tracking=off"], f"tracking.enabled=false {NOWHERE}; leave it out"),
        (["train.workers=2"], f"train.workers=2 {NOWHERE}; leave it out"),
        (["hydra/sweeper=nnspec_search"], f"hydra/sweeper=nnspec_search {NOWHERE}; leave it out"),
        (["hydra.run.dir=x"], f"hydra.run.dir=x {NOWHERE}; leave it out"),
        (["seed=1", "init=constant"], "seed=1 has no effect where nothing is drawn; choose an init that draws weights"),
        (["seed=1", "seed=2"], "seed is said more than once (1, 2) and the last counts; keep one"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_changes_no_number_is_told(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play", *words, "--no-open"]) == 0
    assert capsys.readouterr() == ("play.html\n", f"nnspec: {line}\n")


def test_what_is_a_study_of_an_experiment_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play", "experiment=textbook", "--no-open"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"nnspec: hydra.sweeper.params=init {NOWHERE}; say one value of each",
        f"nnspec: study=5 claims {NOWHERE}; add study=null, or try its claims with nnspec run",
    ]
    assert main(["play", "experiment=vanishing_gradients", "--no-open"]) == 2  # its axes hold together in blocks
    assert capsys.readouterr().err.startswith("nnspec: sweep.where=[")


def test_a_page_of_a_plain_recipe_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play", "activation=tanh", "seed=3", "replicates=20", "train.log_every=5", "--no-open"]) == 0
    assert capsys.readouterr() == ("play.html\n", "")


def test_a_study_that_is_left_out_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play", "experiment=depth", "study=null", "--no-open"]) == 0
    assert "study" not in capsys.readouterr().err
