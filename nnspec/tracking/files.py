"""Artifact files on a local disk: never outside their folder, never half written."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import shutil
import uuid
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from nnspec.errors import Fault, TrackingError
from nnspec.files import ARTIFACT_BYTES, TABLE_BYTES, read_bytes

PATH_LIMIT = 250
NAME_LIMIT = 100  # of a file that is named after something else
_ODD = re.compile(r"[^A-Za-z0-9_.-]")


def file_name(text: str) -> str:
    """A safe name for a file or folder that is named after ``text``, whoever wrote that: of letters, digits and _ . -
    only, with no dot first, not empty and not long."""
    return _ODD.sub("_", text).lstrip(".")[:NAME_LIMIT] or "_"


def artifact_root(uri: str) -> Path | None:
    """The local folder that a run's artifact URI names; None if its artifacts lie elsewhere.

    Raises:
        TrackingError: the store names none, or a folder by a way through another one.
    """
    root = local_path(uri) if isinstance(uri, str) and uri else Path("..")
    if root is not None and (".." in root.parts or "\0" in str(root)):
        rule = "must be a folder without '..'"
        raise TrackingError(Fault("the artifact folder that the store names", rule, f"'{uri}'"[:200], "mend the store"))
    return root


def read_file(root: Path, path: str) -> bytes:
    """The content of one file below ``root``, links not followed to elsewhere.

    Raises:
        OSError: there is none, it cannot be read, or it is no regular file; see ``read_bytes``.
        TrackingError: it is a link that leads outside.
    """
    target = root / checked_path(path)
    inside(root, target)
    return read_bytes(target, TABLE_BYTES if path.endswith(".parquet") else ARTIFACT_BYTES)


def inside(root: Path, target: Path) -> None:
    """Refuse a place that is not below ``root`` once links are followed.

    Raises:
        TrackingError: it is not.
    """
    if not target.resolve().is_relative_to(root.resolve()):
        rule = "must lie below the folder of its run"
        raise TrackingError(
            Fault(f"the artifact {target.relative_to(root)}", rule, "a link that leads elsewhere", "remove the link")
        )


@lru_cache(4096)
def checked_path(path: str) -> str:
    """A relative artifact path, if it stays below the folder it is meant for on every system.

    Raises:
        TrackingError: for an absolute path, one with ``..``, a drive, a backslash or a control character.
    """
    parts = path.split("/")
    odd = any(not part or part in (".", "..") or part != part.strip() for part in parts)
    control = any(ord(character) < 32 or character in '\\:*?"<>|%' for character in path)
    if odd or control or len(path) > PATH_LIMIT or posixpath.isabs(path):
        rule = "must be a plain relative path inside the artifact folder"
        raise TrackingError(Fault("an artifact", rule, repr(path[:80]), "rename it"))
    return path


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` below ``root``; each appears whole or not at all, and one of the same name is replaced.

    Where ``root`` does not exist yet, it appears with all of them at once: one rename in place of one a file, which on
    ext4 takes a quarter of the time.

    Raises:
        TrackingError: for a path that leads outside, before anything is written, or a disk that refuses.
    """
    if not files:
        return
    for path in files:
        checked_path(path)
    making = f"{root.parent}/.{root.name}.{uuid.uuid4().hex}.tmp"
    try:
        os.makedirs(making)  # noqa: PTH103  pathlib takes as long as the disk
        _fill(making, files)
        if not _moved(making, root):
            for path in files:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                Path(making, path).replace(root / path)
            shutil.rmtree(making)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        fault = Fault(
            f"artifacts in {root}",
            "must be written",
            error.strerror or str(error),
            "make room on the disk, or let it be written, and file them again",
        )
        raise TrackingError(fault) from error


def _fill(folder: str, files: Mapping[str, bytes]) -> None:
    """Write the files into a new folder of our own."""
    made = {folder}
    for path, content in files.items():
        target = f"{folder}/{path}"
        parent = target.rpartition("/")[0]
        if parent not in made:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103
            made.add(parent)
        _write_new(target, content)


def _write_new(target: str, content: bytes) -> None:
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(content)
        while rest:  # one call writes 2 GiB at most
            rest = rest[os.write(file, rest) :]
    finally:
        os.close(file)


def _moved(folder: str, root: Path) -> bool:
    try:
        Path(folder).rename(root)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # an earlier try, or the user, put something there
            return False
        raise
    return True


def write_file(target: Path, content: bytes) -> None:
    """Write one file in an existing folder so that no reader ever sees a part of it."""
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex}.tmp"
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def local_path(uri: str) -> Path | None:
    """The folder that an artifact URI names on this machine; None if it lies elsewhere, as in s3: or
    mlflow-artifacts:."""
    split = urlsplit(uri)
    if split.scheme == "file":
        return Path(unquote(split.path)) if split.netloc in ("", "localhost") else None
    return Path(uri) if "://" not in uri and ":/" not in uri else None


def lock(file: IO[Any], wait: bool = True) -> None:
    """Keep other processes that lock this open file out until it is closed, which the system sees to if this one dies.
    Windows has no such locks: nobody is kept out there.

    Raises:
        OSError: another process has it, and not ``wait``.
    """
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
