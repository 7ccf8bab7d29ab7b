"""Parts that an installed package brings by its entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PARTS = '''
"""Parts of a package."""
import nnspec

@nnspec.activation("squish", beta=2.0)
def squish(xp, z, p):
    """z / (1 + abs(beta z))"""
    return z / (1 + xp.abs(p["beta"] * z))
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder for the path in which a package lies as pip would install it."""
    home = tmp_path / "site"
    about = home / "squishy-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: squishy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[nnspec.parts]\nsquishy = squishy_parts\n")
    (home / "squishy_parts.py").write_text(PARTS)
    return home


def nnspec(package: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-c", "import sys; from nnspec.cli import main; sys.exit(main())", *words]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_they_are_listed_and_train(package: Path, tmp_path: Path) -> None:
    listed = nnspec(package, tmp_path, "list", "activations")
    assert listed.returncode == 0, listed.stderr
    assert "squish" in listed.stdout
    assert "squishy" in listed.stdout  # where it comes from
    done = nnspec(
        package, tmp_path, "run", "activation=squish", "activation.beta=1.5", "tracking=off", "train.epochs=5"
    )
    assert done.returncode == 0, done.stderr
    assert "mlp 2-4-1 squish" in done.stderr


def test_one_that_cannot_be_loaded_is_told_and_costs_nothing_else(package: Path, tmp_path: Path) -> None:
    (package / "squishy_parts.py").write_text("raise RuntimeError('half installed')\n")
    done = nnspec(package, tmp_path, "list", "activations")
    assert done.returncode == 0
    assert "relu" in done.stdout
    assert "the parts 'squishy' of an installed package (squishy_parts) cannot be loaded" in done.stderr
    assert "half installed" in done.stderr
    assert "Traceback" not in done.stderr
