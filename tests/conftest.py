"""Shared by all tests: one thread, so that two cores serve two test runs, a short way to a checked spec and to trained
cells, an empty folder to run in."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from nnspec.check import checked_mapping
from nnspec.compose.folders import experiment_files, is_shipped
from nnspec.execute.engine import Training
from nnspec.processes import OBJECTS
from nnspec.results.events import TrainedCell
from nnspec.settings import Runtime
from nnspec.specs import MEMBERS, RunSpec

UNTIL = float(os.environ.get("NNSPEC_UNTIL", "inf"))  # seconds since 1970: when CI begins no test any more

gc.set_threshold(OBJECTS)  # as the command does
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start: threads that wait for others burn time
pytest.register_assert_rewrite("sweeps")  # which tests of several folders share


def pytest_runtest_setup(item: pytest.Item) -> None:
    """On a machine that is slow today CI skips what is left when its time is over, and says so; elsewhere all run."""
    if time.time() > UNTIL:
        pytest.skip("the time that NNSPEC_UNTIL allows is over")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test marked ``sampled(n)`` every n-th case stays; the others are slow."""
    seen: Counter[str] = Counter()
    for item in items:
        sampled = item.get_closest_marker("sampled")
        if sampled is None:
            continue
        test = item.nodeid.partition("[")[0]
        if seen[test] % sampled.args[0]:
            item.add_marker(pytest.mark.slow)
        seen[test] += 1


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this session's processes keep MLflow's tables, which take seconds to make: not in the user's own folder,
    nor once a home folder that a test makes up. Matplotlib's list of fonts stays where it is."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    base = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each of its workers a folder below the session's; they share the tables
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        if "MPLCONFIGDIR" not in os.environ:
            patch.setenv("MPLCONFIGDIR", str(user / "matplotlib"))
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


TEXTBOOK: dict[str, Any] = {
    "model": {"name": "mlp"},
    "activation": {"name": "auto"},
    "init": {"name": "kaiming_uniform"},
    "optimizer": {"name": "adam"},
    "loss": {"name": "bce"},
    "data": {"name": "xor"},
}


def textbook(**fields: Any) -> dict[str, Any]:
    """The textbook exercise as a plain mapping, some of its fields replaced; a member may be given by name alone."""
    return TEXTBOOK | {
        key: {"name": value} if key in MEMBERS and isinstance(value, str) else value for key, value in fields.items()
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, without a store in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def own_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of the folder's studies alone: to compose all takes seconds, and tests/test_experiments.py does it."""

    def own() -> dict[str, Path]:
        return {name: file for name, file in experiment_files().items() if not is_shipped(file)}

    monkeypatch.setattr("nnspec.cli.experiments.experiment_files", own)


@pytest.fixture(scope="session")
def trained_cells() -> Callable[[Sequence[RunSpec]], list[TrainedCell]]:
    """``trained_cells(specs)`` trains and judges cells, in their order."""

    def cells(specs: Sequence[RunSpec]) -> list[TrainedCell]:
        found = [event for event in Training(specs, Runtime(workers=1)) if isinstance(event, TrainedCell)]
        return sorted(found, key=lambda cell: cell.index)

    return cells


@pytest.fixture(scope="session")
def mapping_of() -> Callable[..., dict[str, Any]]:
    """``mapping_of(activation="gelu", seed=3)`` is the textbook mapping with these fields."""
    return textbook


@pytest.fixture(scope="session")
def spec_of() -> Callable[..., RunSpec]:
    """``spec_of(activation="gelu", seed=3)`` is the textbook spec with these fields, checked."""
    return lambda **fields: checked_mapping(textbook(**fields))


@pytest.fixture
def logging_put_back() -> Iterator[None]:
    """Hydra's --info and hydra.verbose configure logging for the whole process."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
