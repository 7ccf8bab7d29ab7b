"""Parts of a file against what nnspec asks of them: right ones pass, and each fault is told of its part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import nnspec
from nnspec.catalog import OUTPUTS, REGISTRIES
from nnspec.catalog.origins import ORIGINS, origin_of
from nnspec.cli.main import main

RIGHT = '''
import numpy as np
import nnspec

@nnspec.activation("tried_swish", beta=1.5)
def swish(xp, z, p):
    """z sigmoid(beta z)"""
    return z * xp.sigmoid(p["beta"] * z)

@nnspec.init("tried_wide", noise="uniform", std=lambda layer, p: p["scale"], scale=0.5)
def wide(noise, layer, p):
    """uniform"""
    return (noise - 0.5) * np.sqrt(12) * p["scale"]

@nnspec.optimizer("tried_momentum", lr=0.1, slots=1, decay=0.9)
def momentum(w, g, state, p):
    """momentum"""
    v = state[0] * p["decay"] + g
    return w - p["lr"] * v, (v,)

@nnspec.loss("tried_quartic")
def quartic(xp, p, y, q):
    """(p - y)^4"""
    return (p - y) ** 4

@nnspec.data("tried_ring", rows=40)
def ring(p):
    """points within and without a circle"""
    points = np.random.default_rng(0).normal(size=(p["rows"], 2))
    return points, (np.hypot(*points.T) > 1).astype(int)
'''
WRONG = '''
import nnspec

@nnspec.activation("tried_boom")
def boom(xp, z, p):
    """raises"""
    raise RuntimeError("boom")

@nnspec.activation("tried_steep", slope=lambda xp, z, h, p: 3 * z)
def steep(xp, z, p):
    """z^2, whose derivative is 2 z"""
    return z * z

@nnspec.activation("tried_pole")
def pole(xp, z, p):
    """1 / z"""
    return 1 / z

@nnspec.init("tried_liar", std=lambda layer, p: 1.1)
def liar(noise, layer, p):
    """promises too much"""
    return noise
'''


@pytest.fixture(autouse=True)
def _taken_out() -> Iterator[None]:
    """The parts of a test are no one else's."""
    yield
    for registry in REGISTRIES.values():
        for entry in [entry for entry in registry if entry.name.startswith("tried_") and origin_of(entry)]:
            registry.remove(entry.name)
            ORIGINS.pop((type(entry), entry.name))
    for name in [name for name in OUTPUTS.names() if name.startswith("tried_")]:
        OUTPUTS.remove(name)


def test_right_parts_pass(tmp_path: Path) -> None:
    file = tmp_path / "right.py"
    file.write_text(RIGHT)
    report = nnspec.check_parts(file)
    assert report.ok, report
    assert {check.part.split()[0] for check in report.checks} == {"activation", "init", "optimizer", "loss", "data"}
    assert "activation tried_swish: it compiles" in str(report)


def test_each_fault_is_told_of_its_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(WRONG)
    assert main(["check-parts", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    problems = {check["part"]: check["problem"] for check in told["checks"] if check["problem"]}
    assert not told["ok"]
    assert "wrong.py, line 7) must not raise RuntimeError, but got boom" in problems["activation tried_boom"]
    assert "must have the derivative of its formula" in problems["activation tried_steep"]
    assert problems["activation tried_pole"]
    assert problems["init tried_liar"].endswith("and promises 1.1")


def test_a_file_without_parts_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "none.py"
    file.write_text("x = 1\n")
    assert main(["check-parts", str(file)]) == 2
    assert "a file of parts must declare at least one, but got none in" in capsys.readouterr().err
