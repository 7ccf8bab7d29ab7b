"""The names of ``nnspec``: shown by dir(), cheap to import, and functions whatever has been imported before."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import metadata

import pytest

import nnspec

CALLED = """
import inspect, sys
{first}
import nnspec
assert callable(nnspec.sweep) and callable(nnspec.report)
assert list(inspect.signature(nnspec.sweep).parameters)[0] == "overrides"
assert list(inspect.signature(nnspec.report).parameters)[0] == "run"
try:
    nnspec.sweep("no list")
except nnspec.SpecError as error:
    assert "must be a list of texts" in str(error)
from nnspec.sweep import Cell
import nnspec.report.pages.page as page
assert Cell.__module__ == "nnspec.sweep.cells" and page.PAGE
"""


@pytest.mark.parametrize(
    "first",
    [
        "",
        "from nnspec.sweep import Cell",
        pytest.param("import nnspec.sweep", marks=pytest.mark.slow),
        pytest.param("from nnspec import sweep", marks=pytest.mark.slow),
        pytest.param("import nnspec.api", marks=pytest.mark.slow),
    ],
)
def test_a_function_is_one_beside_a_subpackage_of_its_name(first: str) -> None:
    done = subprocess.run([sys.executable, "-c", CALLED.format(first=first)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_dir_shows_what_is_promised_without_importing_it() -> None:
    code = "import sys, nnspec; names = dir(nnspec); assert 'torch' not in sys.modules; print(*names)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    assert {"build", "train", "load", "table", "compare", "sweep", "report", "spec"} <= names
    assert names >= set(nnspec.__all__)


def test_every_promised_function_says_what_it_does() -> None:
    for name in nnspec.__all__:
        one = getattr(nnspec, name)
        assert callable(one), name
        assert inspect.getdoc(inspect.unwrap(one)), name


def test_the_version_is_that_of_the_installed_package() -> None:
    assert nnspec.__version__ == metadata.version("nnspec")
