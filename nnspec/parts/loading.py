"""Where parts come from: files that a command names, and the entry points of installed packages."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from nnspec.errors import Fault, NnspecError, SpecError, first_line
from nnspec.parts.guard import line_in
from nnspec.terminal import complain

GROUP = "nnspec.parts"  # of entry points, each of which names a module that has parts
PREFIX = "nnspec_parts_"  # of the names that modules get which are loaded by their path
LOADED: dict[Path, None] = {}  # files, in their order


def load(paths: Iterable[str | Path]) -> None:
    """Run files of Python that declare parts; one that has run before does not run again.

    Raises:
        SpecError: one is no file, or raises, or declares a part that is none.
    """
    for path in paths:
        _load(Path(path))


def _load(path: Path) -> None:
    try:
        found = path.resolve(strict=True)
        if not found.is_file():
            raise IsADirectoryError(0, "it is no file")
    except (OSError, ValueError) as error:
        rule = f"must be a file of Python that can be read ({getattr(error, 'strerror', None) or error})"
        raise SpecError([Fault("--parts", rule, f"'{path}'", "check the path")]) from None
    if found in LOADED:
        return
    module_spec = spec_from_file_location(f"{PREFIX}{len(LOADED)}_{found.stem}", found)
    if module_spec is None or module_spec.loader is None:
        raise SpecError([Fault("--parts", "must be a file of Python", f"'{path}'", "name it with the ending .py")])
    module = module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    try:
        module_spec.loader.exec_module(module)
    except NnspecError:
        raise
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else line_in(str(found), error)
        said = f"{type(error).__name__}: {first_line(error)}"
        where = f"{path.name}, line {line}," if line else f"{path.name}"
        raise SpecError([Fault(where, "must run as a file of parts", said, "mend it")]) from error
    LOADED[found] = None


@cache
def load_installed() -> None:
    """Import the modules that installed packages name in the entry points ``nnspec.parts``, once. One that cannot be
    imported is told, and is no fault of who did not ask for it."""
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            what = f"the parts '{point.name}' of an installed package ({point.value})"
            complain(
                Fault(what, f"cannot be loaded ({type(error).__name__}: {first_line(error)})", "", "mend or remove it")
            )
