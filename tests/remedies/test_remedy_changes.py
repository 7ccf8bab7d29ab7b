"""Changes: their words do on a command line what their specs say, and none is idle."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn

from nnspec.catalog import MODELS, Model
from nnspec.catalog.models import OUTPUT
from nnspec.compose import spec
from nnspec.diagnostics import VERDICT_ENTRIES
from nnspec.diagnostics.verdicts import REMEDIES
from nnspec.params import Integer, Param
from nnspec.remedies.changes import Change, changes
from nnspec.specs import RunSpec

COMMANDS = [
    ["activation=tanh", "init=zeros", "optimizer=sgd", "optimizer.momentum=0.9"],
    ["model=perceptron", "loss=mse", "model.output=tanh"],
]
MORE_COMMANDS = [
    [],
    ["init=xavier_normal", "init.bias=same", "init.gain=auto", "optimizer.lr=0.002", "optimizer.weight_decay=0.1"],
    ["activation=leaky_relu", "activation.negative_slope=0.3", "model.hidden=[3,5]", "model.output=tanh", "loss=mse"],
    ["model=perceptron"],
    ["model=perceptron", "loss=mse", "activation=tanh"],
    ["model=perceptron", "optimizer=perceptron_rule", "loss=mse"],
]


@pytest.mark.parametrize(
    "command", [*COMMANDS, *[pytest.param(command, marks=pytest.mark.slow) for command in MORE_COMMANDS]], ids=" ".join
)
def test_the_words_make_the_change_on_the_command_line(command: list[str]) -> None:
    """Hydra composes what the user would type: the words after those of the run."""
    stated = spec(command)
    found = changes(stated, REMEDIES)
    for change in found:
        assert spec([*kept(command, change), *change.words.split()]) == change.spec, change.words
    assert stated not in [change.spec for change in found]
    assert len({change.spec for change in found}) == len(found)
    assert found


def kept(command: list[str], change: Change) -> list[str]:
    """The words that may stay beside those of a change: not what it says anew, nor what its new member has not."""
    again = {word.split("=")[0] for word in change.words.split()}
    known = change.spec.flat()
    said = [word.split("=")[0] for word in command]
    stays = {key for key in said if key not in again and ("." not in key or key in known)}
    return [word for word in command if word.split("=")[0] in stays]


def test_of_each_kind_a_few() -> None:
    found = {kind: [change.words for change in changes(spec([]), [kind])] for kind in REMEDIES}
    assert found == {
        "init": ["init=mirror", "init=orthogonal", "init=xavier_uniform", "init=torch_default"],
        "bias": ["init.bias=same", "init.bias=uniform", "init.bias=constant"],
        "activation": ["activation=leaky_relu", "activation=gelu", "activation=tanh"],
        "width": ["model.hidden=[8]", "model.hidden=[16]"],
        "lr": ["optimizer.lr=0.01", "optimizer.lr=0.03", "optimizer.lr=0.3", "optimizer.lr=1.0"],
        "optimizer": ["optimizer=sgd", "optimizer=rmsprop"],
        "seed": [],
    }


def test_a_module_of_ones_own_stays_itself(spec_of: Callable[..., RunSpec]) -> None:
    width = Param("width", 3, Integer(1))
    MODELS.add(
        Model("wider_alone", "", lambda p: (), None, (width, OUTPUT), module=lambda i, o, width: nn.Linear(i, o))
    )
    MODELS.add(Model("fixed_width", "", lambda p: (), None, (OUTPUT,), module=nn.Linear))
    try:
        found = {
            name: [change.words for change in changes(spec_of(model=name), ["activation", "width"])]
            for name in ("wider_alone", "fixed_width")
        }
    finally:
        MODELS.remove("wider_alone")
        MODELS.remove("fixed_width")
    assert found == {"wider_alone": ["model.width=6", "model.width=12"], "fixed_width": []}


def test_the_first_of_each_kind_come_first() -> None:
    found = [change.words for change in changes(spec([]), ["lr", "init"])]
    assert found[:3] == ["optimizer.lr=0.01", "init=mirror", "optimizer.lr=0.03"]
    assert len(found) == 8


def test_what_was_said_of_the_old_member_is_taken_back() -> None:
    words = [change.words for change in changes(spec(["optimizer.lr=0.5", "init.bias=same"]), ["optimizer", "init"])]
    assert "optimizer=sgd optimizer.lr=0.1" in words
    assert "init=mirror init.bias=zeros" in words


def test_a_change_that_breaks_a_rule_is_left_out() -> None:
    words = [change.words for change in changes(spec(["init=orthogonal"]), ["bias"])]
    assert words == ["init.bias=uniform", "init.bias=constant"]  # an orthogonal vector there is not
    ruled = spec(["model=perceptron", "optimizer=perceptron_rule", "loss=mse"])
    assert [change.words for change in changes(ruled, ["activation", "width"])] == []  # which has no gradient to pass


def test_a_perceptron_gets_hidden_units_once() -> None:
    assert [change.words for change in changes(spec(["model=perceptron"]), ["activation", "width"])] == ["model=mlp"]


@pytest.mark.parametrize("verdict", VERDICT_ENTRIES)
def test_each_verdict_but_solved_has_changes_to_try(verdict: str) -> None:
    words = [change.words for change in changes(spec([]), VERDICT_ENTRIES[verdict].remedies)]
    assert bool(words) == (verdict != "solved")
