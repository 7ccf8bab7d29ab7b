"""A file of parts, loaded for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nnspec.catalog import OUTPUTS, REGISTRIES
from nnspec.catalog.origins import ORIGINS
from nnspec.parts import load
from nnspec.parts.loading import LOADED

Declare = Callable[[str], Path]


@pytest.fixture
def declare(folder: Path) -> Iterator[Declare]:
    """``declare(text)`` loads the text as the file my_parts.py; it and its parts are gone after the test."""
    before, files = set(ORIGINS), set(LOADED)

    def loaded(text: str) -> Path:
        path = folder / "my_parts.py"
        path.write_text("import nnspec\n" + text)
        load([path])
        return path

    yield loaded
    for path in set(LOADED) - files:
        del LOADED[path]
    for kind, name in set(ORIGINS) - before:
        del ORIGINS[kind, name]
        for registry in (*REGISTRIES.values(), OUTPUTS):
            if name in registry and isinstance(registry[name], kind):
                registry.remove(name)
