"""How many runs and megabytes a command says that it files, and the command that it names for fewer."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from nnspec.cli import main
from nnspec.execute.disk import filed_bytes
from nnspec.report.filing import filing_text, replicates_hint
from nnspec.sweep import plan


def test_the_first_line_of_a_run_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["activation=relu,tanh", "train.epochs=2", "train.workers=1", "sweep.report=false"]
    assert main(["run", "-m", *words]) == 0
    assert capfd.readouterr().err.splitlines()[0].endswith("1 chunk on 1 process; 3 MLflow runs, about 1 MB")
    assert main(["run", "-m", *words, "--plan"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "3 MLflow runs, about 1 MB"


@pytest.mark.parametrize("words", [["seed=range(0,2001)", "--plan"], ["seed=range(0,3)"]], ids=str)
def test_nothing_is_said_where_nothing_is_filed(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-m", *words, "train.epochs=1", "train.workers=1", "tracking=off"]) == 0
    said = capfd.readouterr()
    assert "MLflow" not in said.out + said.err


def test_megabytes_are_the_runs_and_the_sweep_s_own() -> None:
    specs = [cell.spec for cell in plan(["seed=range(0,3000)"])[0].cells]
    assert filing_text(specs, sweep=True) == f"3,001 MLflow runs, about {filed_bytes(specs, True) / 1e6:.0f} MB"
    assert filing_text(specs[:1], sweep=False) == "1 MLflow run, about 1 MB"


@pytest.mark.parametrize(
    ("axes", "command", "wanted"),
    [
        (["seed=range(0,2500)"], "nnspec run -m 'seed=range(0,2500)' --plan", "nnspec run replicates=2500"),
        (
            ["activation=relu,tanh", "seed=range(7,1507)"],
            "python run.py -m activation=relu,tanh 'seed=range(7,1507)'",
            "python run.py -m activation=relu,tanh seed=7 replicates=1500",
        ),
        (["seed=range(0,2500)"], "nnspec run experiment=mine", "nnspec run experiment=mine seed=0 replicates=2500"),
        (["seed=range(0,2500)"], "", "replicates=2500"),
    ],
)
def test_many_runs_by_seeds_name_the_command_for_few(axes: list[str], command: str, wanted: str) -> None:
    cells = plan(axes)[0].cells
    hint = replicates_hint(cells, command)
    assert hint.startswith("the axis seed could be replicates: the same networks in ")
    assert hint.endswith(f" MB: {wanted}")
    words = [word for word in shlex.split(wanted) if "=" in word and not word.startswith("experiment=")]
    networks = {
        (cell.spec.activation.name, cell.spec.seed + i)
        for cell in plan(words)[0].cells
        for i in range(len(cells))
        if i < cell.spec.replicates
    }
    assert networks == {(cell.spec.activation.name, cell.spec.seed) for cell in cells}


@pytest.mark.parametrize(
    "axes",
    [
        ["seed=range(0,2000)"],  # not many
        ["seed=range(0,6000,2)"],  # not consecutive
        ["seed=range(0,2500)", "replicates=2"],  # overlapping
        ["activation=relu,tanh", "seed=range(0,1200)", "sweep.exclude=[{activation: relu, seed: 5}]"],  # not all
        ["optimizer.lr=range(0.001,2.5,0.001)"],  # another axis
    ],
)
def test_no_command_is_named_where_there_is_none(axes: list[str]) -> None:
    assert replicates_hint(plan(axes)[0].cells, "nnspec run -m") == ""
