"""Remedies as text, from numbers made by hand."""

from __future__ import annotations

from dataclasses import replace

from nnspec.compose import spec
from nnspec.remedies.found import ANOTHER_SEED, Measured, Remedies
from nnspec.remedies.worth import Worth

PLAIN = spec(["seed=3"])


def measured(words: str, rate: float, low: float, high: float, p: float) -> Measured:
    changed = PLAIN if words == ANOTHER_SEED else spec(["seed=3", *words.split()])
    difference = rate - 0.52
    return Measured(words, changed, Worth(rate, rate - 0.05, rate + 0.04, difference, low, high, p))


ALL = (
    measured("init.bias=same", 0.84, 0.2, 0.4, 1e-9),
    measured("optimizer.lr=0.03", 0.61, 0.001, 0.2, 0.0123),
    measured("init=mirror", 0.56, -0.1, 0.2, 0.6),
    measured(ANOTHER_SEED, 0.52, 0.0, 0.0, 1.0),
    measured("optimizer.lr=1.0", 0.05, -0.6, -0.3, 1e-9),
)
TRIED = tuple(one.change for one in ALL if one.change != ANOTHER_SEED)
FOUND = Remedies(PLAIN, "dead_units", range(4, 204), ALL, TRIED, 4)


def test_all_of_it() -> None:
    assert repr(FOUND).splitlines() == [
        "mlp 2-4-1 relu, kaiming_uniform, adam lr 0.1, bce on xor, 1000 epochs, dead_units",
        "4 changes, each on the same 200 seeds (4 to 203); remedies hold for all at once at 95%",
        "  init.bias=same: 84% [79, 88] instead of 52%, p < 0.0001",
        "  optimizer.lr=0.03: 61% [56, 65] instead of 52%, p = 0.012",
        "  another seed: 52% [47, 56]",
        "no sure difference: init=mirror 56%",
        "worse: optimizer.lr=1.0 5%",
        "train it: nnspec run init.bias=same seed=3",
    ]


def test_the_command_is_quoted_for_a_shell() -> None:
    wide = replace(FOUND, measured=(measured("model.hidden=[8]", 0.9, 0.2, 0.4, 0.001), *ALL[3:]))
    assert repr(wide).splitlines()[-1] == "train it: nnspec run 'model.hidden=[8]' seed=3"


def test_nothing_is_called_a_remedy_without_a_sure_gain() -> None:
    none = replace(FOUND, measured=ALL[2:])
    said = repr(none).splitlines()
    assert [line for line in said if "instead" in line] == []
    assert said[-1] == "no remedy among them; more seeds show smaller gains: --seeds 1000"


def test_what_is_missing_is_said() -> None:
    part = replace(FOUND, measured=ALL[:4], interrupted=True, known=18, failed={"optimizer.lr=1.0": "out of memory"})
    said = repr(part).splitlines()
    assert said[1].startswith("interrupted: 3 of 4 changes, each on")
    assert "14 more take too long; with --seeds N all are measured" in said
    assert "could not be trained: optimizer.lr=1.0: out of memory" in said
