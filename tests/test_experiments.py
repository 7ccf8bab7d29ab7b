"""Each named experiment, in short form: it composes, trains, and says which question it answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nnspec
from nnspec.compose import conf_dir
from nnspec.sweep import plan

FILES = sorted((conf_dir() / "experiment").glob("*.yaml"))
NAMES = [path.stem for path in FILES]
# one of a kind: a sweep, perceptrons, a data set of its own, a map; the others train in the slow tests
OF_A_KIND = {"zero_init", "single_neuron_xor", "symmetry_detector", "fractal_boundary"}
SIDE, QUOTE = 33, '"'  # pixels of the least map whose boundary has a dimension; what Hydra needs not around a key


def test_the_experiments_are_there() -> None:
    wanted = {"textbook", "activation_by_init", "width", "depth", "perceptron", "lr_by_optimizer"} | OF_A_KIND
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_header_says_question_and_command(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    assert "?" in lines[1]
    assert f"#   python run.py experiment={path.stem}" in lines


@pytest.mark.parametrize(
    "name", [name if name in OF_A_KIND else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_short_form_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"experiment={name}", "replicates=2", "train.epochs=3"]
    axes = plan(words)[1].sweep.map
    if axes is None:
        result = nnspec.sweep(words, workers=1)
        assert len(result.table) == nnspec.plan(words).info["networks"]
    else:
        short = [[key, low, high, scale, SIDE] for key, low, high, scale, _ in axes]
        result = nnspec.map_study([*words, f"sweep.map={json.dumps(short).replace(QUOTE, '')}"], workers=1)
        assert len(result.table) == 2 * len(result.cells)
    assert result.study is not None
    assert len(result.claims) == len(result.study.claims)  # whether they hold is another question, after three epochs
