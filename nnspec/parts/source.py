"""Where a function or class is defined."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnspec.catalog.origins import Origin

NOWHERE = "Python"  # the name of the file of what is in none


def origin(function: Callable[..., Any]) -> Origin:
    """The file, line and text of a function's definition; of what is in no file, as in a notebook, its own source."""
    file = _file(function)
    if file is not None and Path(file).is_file():
        text, name = Path(file).read_text(errors="replace"), Path(file).name
    else:
        text, name = _own_source(function), NOWHERE
    return Origin(file or name, name, _line(function), text, hashlib.sha256(text.encode()).hexdigest())


def _file(function: Any) -> str | None:
    try:
        return inspect.getsourcefile(function)
    except (OSError, TypeError):
        return None


def _line(function: Any) -> int:
    """The line of the definition itself, not of its decorators, which may be long."""
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return int(getattr(getattr(function, "__code__", None), "co_firstlineno", 1))
    before = next((i for i, line in enumerate(lines) if line.lstrip().startswith(("def ", "class "))), 0)
    return first + before


def _own_source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return f"{function.__qualname__} {code.co_code.hex() if code else ''} {code.co_consts if code else ''}"
