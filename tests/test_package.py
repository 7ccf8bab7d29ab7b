"""The package as the README uses it: its names, whatever has been imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest

README = """
import nnspec
spec = nnspec.spec(["model=mlp", "activation=gelu", "train.epochs=20"])
assert nnspec.train(spec).table.shape[0] == 1
net = nnspec.build(spec, seed=3)
assert callable(nnspec.spec) and callable(nnspec.build), "a module took a function's place"
print(net)
"""
LIGHT = """
import sys, nnspec
heavy = {"torch", "mlflow", "pandas", "hydra", "scipy", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "code",
    [
        "import nnspec.compose, nnspec.builder, nnspec.api\n" + README,
        pytest.param(README, marks=pytest.mark.slow),
        LIGHT,
    ],
    ids=["README after its modules", "README", "light"],
)
def test_runs_in_a_process_of_its_own(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "print" in code:
        assert "(0): Linear(in_features=2, out_features=4, bias=True)" in done.stdout
