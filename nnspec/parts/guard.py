"""What a user's code does wrong, as one line that names the part and the line of its file."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

from nnspec.catalog.origins import Origin
from nnspec.errors import Fault, NnspecError, SpecError, first_line


class PartError(SpecError):
    """A part of a user's own that raised, or gave what it must not."""

    @classmethod
    def of(cls, part: str, origin: Origin, rule: str, value: str = "", line: int | None = None) -> PartError:
        """The error of a part, at a line of its file: that of its definition unless said."""
        where = f"{part} ({origin.name}, line {line or origin.line})"
        return cls([Fault(where, rule, value, f"mend {origin.name}")])


def line_in(file: str, error: BaseException) -> int | None:
    """The last line of a file that an error came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def guarded(part: str, origin: Origin, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose errors name the part; those of memory go on as they are, and those that say
    ``for_whoever_evaluates``: a formula is traced, and it cannot be."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (NnspecError, MemoryError):
            raise
        except Exception as error:
            if getattr(error, "for_whoever_evaluates", False):
                raise
            line = line_in(origin.file, error)
            rule = f"must not raise {type(error).__name__}"
            raise PartError.of(part, origin, rule, first_line(error), line) from error

    return call
