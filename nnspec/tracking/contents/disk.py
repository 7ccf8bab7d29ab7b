"""Folders of artifacts on this machine's disks: how large they are, and removing them. No link is ever followed."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nnspec.errors import Fault, TrackingError

RUN_ID = re.compile(r"[0-9a-f]{32}")
_HALF = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")  # what ``files.write_files`` and ``write_file`` write into
QUIET_SECONDS = 3600.0  # since the last change of what is half written: before that somebody may be writing it
_BLOCK = 512  # bytes, in which every system counts what a file takes


@dataclass(frozen=True)
class Size:
    """So many files, and the bytes that they take on the disk."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.files + other.files, self.bytes + other.bytes)


@dataclass
class Folder:
    """What is in a folder: its files and folders inside it, apart from what is half written, which is listed."""

    path: Path
    size: Size = Size()
    half: dict[Path, Size] = field(default_factory=dict)
    changed: float = 0.0  # the last time that something in it was, in seconds since 1970

    @property
    def whole(self) -> Size:
        """With what is half written."""
        return sum(self.half.values(), self.size)


def measured(path: Path) -> Folder:
    """A folder with all that is in it; an empty one where there is none, or it cannot be read."""
    found = Folder(path)
    for entry in _entries(path):
        facts = entry.stat(follow_symlinks=False)
        inner = measured(Path(entry.path)) if stat.S_ISDIR(facts.st_mode) else Folder(path, Size(1, _taken(facts)))
        changed = max(facts.st_mtime, inner.changed)
        if _HALF.fullmatch(entry.name) and changed < time.time() - QUIET_SECONDS:
            found.half[Path(entry.path)] = inner.whole
        else:
            found.size += inner.size
            found.half |= inner.half
        found.changed = max(found.changed, changed)
    return found


def run_folders(roots: Iterable[Path]) -> dict[Path, Folder]:
    """The folders in these ``roots`` that have the name of a run's id, with all that is in them."""
    found = {}
    for root in dict.fromkeys(roots):
        for entry in _entries(root):
            if RUN_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                found[root / entry.name] = measured(root / entry.name)
    return found


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; nothing if it is gone already.

    Raises:
        TrackingError: the disk refuses.
    """
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # of a link the link alone
    except FileNotFoundError:
        return
    except OSError as error:
        fault = Fault(str(path), "must be removable", error.strerror or str(error), "change its permissions")
        raise TrackingError(fault) from error


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from entries
    except OSError:
        return


def _taken(facts: os.stat_result) -> int:
    blocks = getattr(facts, "st_blocks", None)
    return facts.st_size if blocks is None else blocks * _BLOCK
