"""The few words that state a spec compose to it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.compose import spec
from nnspec.compose.stating import words

SAID = [
    ([], []),
    (["model=mlp", "activation=relu", "seed=0", "init=kaiming_uniform"], []),
    (["activation=gelu", "seed=3"], ["activation=gelu", "seed=3"]),
    (["model=perceptron"], ["model=perceptron"]),
    (["model=perceptron", "activation=sigmoid"], ["model=perceptron"]),
    (["model=perceptron", "loss=mse", "activation=tanh"], ["model=perceptron", "model.output=tanh", "loss=mse"]),
    (["model=perceptron", "loss=mse", "activation=relu"], ["model=perceptron", "model.output=relu", "loss=mse"]),
    (["init.bias=same", "optimizer=sgd", "train.epochs=50"], ["init.bias=same", "optimizer=sgd", "train.epochs=50"]),
    (["optimizer.lr=0.03", "dtype=float64"], ["optimizer.lr=0.03", "dtype=float64"]),
    (["model.hidden=[8,8]", "optimizer.betas=[0.8,0.99]"], ["model.hidden=[8,8]", "optimizer.betas=[0.8,0.99]"]),
    (
        ["data=digits", "loss=cross_entropy", "data.test_fraction=0.2", "solved.measure=test_accuracy"],
        ["loss=cross_entropy", "data=digits", "data.test_fraction=0.2", "solved.measure=test_accuracy"],
    ),
]


@pytest.mark.parametrize(("said", "few"), SAID, ids=lambda value: " ".join(value))
def test_the_words_are_few_and_state_the_spec(said: list[str], few: list[str]) -> None:
    stated = spec(said)
    assert words(stated) == few
    assert spec(few) == stated


@pytest.mark.parametrize("name", ["plain.csv", "a b.csv", "it's.csv", "null"])
def test_a_path_comes_back_as_it_was(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("x,y,target\n0,1,a\n1,0,b\n0,0,a\n1,1,b\n")
    stated = spec(["data=csv", f'data.path="{name}"', "data.target=target", "loss=cross_entropy"])
    assert spec(words(stated)) == stated
