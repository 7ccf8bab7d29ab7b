"""``nnspec file``: files the runs that a store did not take when they had trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.cli.filed import Parser, UsageError, opened
from nnspec.errors import Fault, NnspecError
from nnspec.terminal import complain

if TYPE_CHECKING:
    from nnspec.tracking import Store


def file(arguments: Sequence[str]) -> int:
    """File every spooled folder that is not filed yet; 1 if one of them could not be."""
    from nnspec.tracking.unspool import is_filed

    parser = Parser(
        "file",
        "Files runs that were kept in a folder because their store failed. Each is filed once, however often this "
        "runs.",
    )
    parser.add_argument("folder", nargs="+", help="nnspec-unfiled, or one folder spool-* in it")
    asked = parser.parsed(arguments)
    spools = [spool for folder in asked.folder for spool in spools_in(Path(folder)) if not is_filed(spool)]
    if not spools:
        print(f"nothing left to file in {' '.join(asked.folder)}")
        return 0
    with opened(asked.uri, make=True) as store:
        done = [filed(spool, store) for spool in spools]
    return int(not all(done))


def spools_in(folder: Path) -> list[Path]:
    """The spooled folders in ``folder``, or the one that it is; oldest first.

    Raises:
        UsageError: it is no such folder.
    """
    from nnspec.tracking.spool import MANIFEST
    from nnspec.tracking.unspool import spools

    found = spools(folder)
    if not found:
        rule = f"must be nnspec-unfiled or a folder spool-* with a {MANIFEST}"
        raise UsageError(Fault("the folder to file", rule, f"'{folder}'", "give the one that the message named"))
    return found


def filed(spool: Path, store: Store) -> bool:
    """File one folder; whether that went well. The others do not suffer if not."""
    from nnspec.tracking import file_spool
    from nnspec.tracking.unspool import PartlyFiled

    try:
        done = file_spool(spool, store)
    except NnspecError as error:
        if isinstance(error, PartlyFiled):
            print(f"{error.filed} run{'s' * (error.filed != 1)} filed from {spool}, and not:")
        complain(error)
        return False
    count = len(done.ids) - done.before
    before = f", {done.before} had been filed before" if done.before else ""
    print(f"{count} run{'s' * (count != 1)} filed from {spool}{before}; it can be removed now")
    return True
