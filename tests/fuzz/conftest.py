"""One sandbox for all fuzzers: its stores and spools are made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the fuzzers are modules that also run by themselves

from cases import Cases
from sandbox import Sandbox


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with Sandbox(tmp_path_factory.mktemp("fuzz")) as sandbox:
        yield Cases(sandbox)
