"""Each named experiment, in short form: it composes, trains, and says which question it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.cli import main
from nnspec.compose import Composer, conf_dir

FILES = sorted((conf_dir() / "experiment").glob("*.yaml"))
NAMES = [path.stem for path in FILES]


def test_the_experiments_are_there() -> None:
    wanted = {"textbook", "activation_by_init", "zero_init", "width", "depth", "perceptron", "lr_by_optimizer"}
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_header_says_question_and_command(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    assert "?" in lines[1]
    assert f"#   python run.py experiment={path.stem}" in lines


@pytest.mark.parametrize("name", NAMES)
def test_short_form_trains(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"experiment={name}", "train.epochs=3", "replicates=2", "tracking=off", "train.workers=1"]
    assert main(["run", *words]) == 0
    config = Composer().config([f"experiment={name}"])
    cells = 1
    for values in config.hydra.sweeper.params.values():
        cells *= len(list(Composer().parse(f"key={values}").sweep_iterator()))
    assert f"{2 * cells} networks" in capfd.readouterr().out
