"""The names of ``nnspec``: shown by dir(), cheap to import, and functions whatever has been imported before."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import metadata

import nnspec

# Each in a process that has imported what nnspec needs, which takes seconds, and nothing of nnspec.
IN_ORDERS = """
import inspect, os, sys
import hydra, matplotlib.figure, pandas, sqlalchemy, torch

def called(first):
    exec(first)
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

for first in sys.argv[1:]:
    assert not [name for name in sys.modules if name.partition(".")[0] == "nnspec"]
    child = os.fork()
    if not child:
        called(first)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, first
"""


def test_a_function_is_one_beside_a_subpackage_of_its_name_whatever_comes_first() -> None:
    orders = [
        "",
        "import nnspec.sweep",
        "from nnspec.sweep import Cell",
        "from nnspec import sweep",
        "import nnspec.api",
    ]
    done = subprocess.run([sys.executable, "-c", IN_ORDERS, *orders], capture_output=True, text=True)
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
