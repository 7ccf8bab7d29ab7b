"""A registry knows its members, in order, and says what it has when asked for what it has not."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, dataclass

import pytest

from nnspec.catalog import REGISTRIES
from nnspec.errors import NnspecError, SpecError
from nnspec.params import Param, Rule
from nnspec.registry import Registry


@dataclass(frozen=True)
class Thing:
    name: str
    summary: str = ""
    params: tuple[Param, ...] = ()
    rules: tuple[Rule, ...] = ()
    aliases: tuple[str, ...] = ()


def things() -> Registry[Thing]:
    return Registry("thing", (Thing("pear"), Thing("apple")))


def test_members_in_the_order_of_adding() -> None:
    registry = things()
    plum = registry.add(Thing("plum"))
    assert registry.names() == ["pear", "apple", "plum"] == [thing.name for thing in registry]
    assert len(registry) == 3
    assert registry["plum"] is plum
    assert "plum" in registry
    assert "plume" not in registry


def test_a_duplicate_is_refused_and_changes_nothing() -> None:
    registry = things()
    with pytest.raises(
        NnspecError, match="thing names must be unique, but 'pear' is there already; choose another name"
    ):
        registry.add(Thing("pear", "another"))
    assert registry["pear"].summary == ""
    assert len(registry) == 2


def test_an_alias_stands_for_its_member_and_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    registry = Registry("thing", (Thing("pear", aliases=("poire", "pera")), Thing("apple")))
    assert [registry.named(name) for name in ("poire", "apple", "pera", "poire", "plum")] == [
        "pear",
        "apple",
        "pear",
        "pear",
        "plum",
    ]
    assert capsys.readouterr().err == "nnspec: thing=poire is pear\nnnspec: thing=pera is pear\n"
    assert registry.names() == ["pear", "apple"]
    assert "poire" not in registry


@pytest.mark.parametrize(
    "second", [Thing("poire"), Thing("plum", aliases=("pear",)), Thing("plum", aliases=("poire",))]
)
def test_an_alias_is_no_other_member_s_name(second: Thing) -> None:
    registry = Registry("thing", (Thing("pear", aliases=("poire",)),))
    with pytest.raises(NnspecError, match="thing names must be unique"):
        registry.add(second)


def test_an_unknown_name_gives_the_nearest_and_all() -> None:
    with pytest.raises(
        SpecError,
        match=re.escape(
            "thing.name must be a known thing, but got 'aple'; did you mean 'apple'? available: apple, pear"
        ),
    ):
        things()["aple"]
    with pytest.raises(SpecError, match=r"but got 'xyz'; available: apple, pear$"):
        things()["xyz"]


@pytest.mark.parametrize("group", REGISTRIES)
def test_entries_are_frozen_named_once_and_summed_up(group: str) -> None:
    registry = REGISTRIES[group]
    assert registry.kind == group
    for entry in registry:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", entry.name)
        assert entry.summary
        names = [param.name for param in entry.params]
        assert len(names) == len(set(names))
        assert not {"name", "_target_", *(["bias"] if group == "init" else [])} & set(names)
        with pytest.raises(FrozenInstanceError):
            entry.name = "other"


def test_what_the_issue_lists_is_there() -> None:
    wanted = {
        "model": "perceptron mlp",
        "activation": "identity sine heaviside relu leaky_relu prelu rrelu relu6 elu selu celu gelu "
        "silu mish softplus softsign logsigmoid "
        "sigmoid tanh hardsigmoid hardtanh hardswish hardshrink softshrink tanhshrink threshold",
        "init": "zeros constant uniform normal truncated_normal xavier_uniform xavier_normal kaiming_uniform "
        "kaiming_normal lecun_uniform "
        "lecun_normal orthogonal sparse identity mirror torch_default from_file",
        "optimizer": "sgd adam adamw rmsprop adagrad rprop",
        "loss": "bce mse cross_entropy hinge huber",
        "data": "xor and or nand xnor parity",
    }
    for group, names in wanted.items():
        assert set(names.split()) <= set(REGISTRIES[group].names())
