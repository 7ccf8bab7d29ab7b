"""Hydra's grammar reads brackets within ``assert``: under ``python -O`` it would skip none and trip over every
``range(0,3)``."""

from __future__ import annotations

from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any


def keep_asserts(module: ModuleType) -> None:
    """Give the methods of a module's classes the asserts of their source, whatever Python was told."""
    if __debug__ or module.__file__ is None:
        return
    whole: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(Path(module.__file__).read_bytes(), module.__file__, "exec", dont_inherit=True, optimize=0), whole)
    for name, kind in vars(module).items():
        if isinstance(kind, type) and kind.__module__ == module.__name__:
            for method, function in vars(kind).items():
                if isinstance(function, FunctionType):
                    function.__code__ = vars(whole[name])[method].__code__
