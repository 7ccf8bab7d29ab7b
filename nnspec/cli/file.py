"""``nnspec file``: files the runs that a store did not take when they had trained."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.cli.filed import Parser, UsageError, opened
from nnspec.errors import Fault, NnspecError

if TYPE_CHECKING:
    from nnspec.tracking import Store

LOCK = ".filing"


def file(arguments: Sequence[str]) -> int:
    """File every spooled folder that is not filed yet; 1 if one of them could not be."""
    parser = Parser(
        "file", "Files runs that were kept in a folder because their store failed. Each is filed once, however often this runs."
    )
    parser.add_argument("folder", help="nnspec-unfiled, or one folder spool-* in it")
    asked = parser.parse_args(arguments)
    spools = unfiled(Path(asked.folder))
    if not spools:
        print(f"nothing left to file in {asked.folder}")
        return 0
    with opened(asked.uri, make=True) as store:
        done = [filed(spool, store) for spool in spools]
    return int(not all(done))


def unfiled(folder: Path) -> list[Path]:
    """The spooled folders in ``folder``, or the one that it is, which are not filed yet; oldest first.

    Raises:
        UsageError: it is no such folder.
    """
    from nnspec.tracking.spool import FILED, MANIFEST

    found = [folder] if (folder / MANIFEST).is_file() else [path.parent for path in folder.glob(f"spool-*/{MANIFEST}")]
    if not found:
        rule = f"must be nnspec-unfiled or a folder spool-* with a {MANIFEST}"
        raise UsageError(str(Fault("the folder to file", rule, f"'{folder}'", "give the one that the message named")))
    return sorted((path for path in found if not (path / FILED).exists()), key=lambda path: ((path / MANIFEST).stat().st_mtime, path))


def filed(spool: Path, store: Store) -> bool:
    """File one folder; whether that went well. The others do not suffer if not."""
    from nnspec.tracking import file_spool
    from nnspec.tracking.spool import FILED

    try:
        with _alone(spool):
            if (spool / FILED).exists():  # another command was faster
                return True
            ids = file_spool(spool, store)
    except NnspecError as error:
        print(f"nnspec: {error}", file=sys.stderr)
        return False
    print(f"{len(ids)} run{'s' * (len(ids) != 1)} filed from {spool}, which can be removed now")
    return True


@contextmanager
def _alone(spool: Path) -> Iterator[None]:
    """Keep a second command off the same folder: both would find its runs unfiled. The system lets go if this process dies."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    with (spool / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"a folder must be filed by one command at a time, but another files {spool}; wait for it") from error
        yield
