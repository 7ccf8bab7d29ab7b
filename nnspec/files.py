"""Reading files that a stranger may have made: nothing that blocks, grows without end or is more than plain data; and
writing those that a user named."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import yaml

from nnspec.errors import Fault, PathError

YAML_BYTES = 256 * 2**10  # of a spec, an experiment or a config: PyYAML takes seconds for it, and ours have a few KiB
JSON_BYTES = 2**30  # of a spool's list of files: a few KiB a run
ARTIFACT_BYTES = 16 * 2**30  # of a file that a run filed: snapshots of a million networks
TABLE_BYTES = 2 * 2**30  # of a table that is read back
KERNEL_BYTES = 2**20  # of a file that says no size
_DEPTH = 30  # mappings and lists inside each other; ours have three
_CHARACTERS = 2000  # of a number: int() takes minutes for a million digits
_TAGS = frozenset(
    {"!", *(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "int", "map", "null", "seq", "str"))}
)
_FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it


def read_bytes(path: str | Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes. A pipe, a device or a folder is refused without waiting
    for it.

    Raises:
        OSError: it cannot be read, is no regular file or is larger; ``strerror`` says which in words.
    """
    with _regular(path, os.O_RDONLY) as descriptor, open(descriptor, "rb", closefd=False) as file:
        size = os.fstat(descriptor).st_size  # 0 of a file of the kernel's
        too_large = size > limit  # then it need not be read
        # room is made for as much as is asked for, which must not be all that it may have
        content = b"" if too_large else file.read(min(limit, max(size, KERNEL_BYTES)) + 1)
    if content is None:  # a file of the kernel's that has nothing to say now
        raise OSError(errno.EAGAIN, "it has nothing to read")
    if too_large or len(content) > max(size, min(limit, KERNEL_BYTES)):
        raise OSError(errno.EFBIG, f"it has more than the {in_words(limit)} that it may have")
    return content


@contextmanager
def open_note(path: str | Path) -> Iterator[IO[bytes]]:
    """A small file of ours in a folder that may be a stranger's, made if it is missing, to lock or to write on: no link
    is followed.

    Raises:
        OSError: it cannot be opened, or what is there is no regular file.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with _regular(path, flags) as descriptor, open(descriptor, "r+b", closefd=False) as file:
        yield file


@contextmanager
def _regular(path: str | Path, flags: int) -> Iterator[int]:
    try:
        # O_NONBLOCK: opening a pipe would wait for somebody at its other end
        descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)
    except ValueError as error:  # a null byte
        raise OSError(errno.EINVAL, "no path can be written like that") from error
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, f"it is {_kind(kind)}, not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def writable(where: str, path: str | Path, kind: str = "file") -> Iterator[Path]:
    """The path of what is written in the block: a file, or a folder and what is in it, that a user named by the flag or
    argument ``where``. Folders that are missing are made.

    Raises:
        PathError: it cannot be made or written.
    """
    target = Path(path)
    try:
        (target if kind == "folder" else target.parent).mkdir(parents=True, exist_ok=True)
        yield target
    except OSError as error:
        rule = f"must be a {kind} that can be written"
        raise PathError(Fault(where, rule, f"'{path}' ({error.strerror})", "name another")) from error


def write_folder(where: str, path: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write files by name into the folder that a user named by ``where``; its path. Without files it is made alone.

    Raises:
        PathError: as ``writable``.
    """
    with writable(where, path, "folder") as target:
        for name, content in files.items():
            (target / name).write_bytes(content)
    return target


def _kind(mode: int) -> str:
    tests = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((name for test, name in tests.items() if test(mode)), "a device")


def in_words(size: int) -> str:
    """A number of bytes as a person says it."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


def load_yaml(content: bytes | str, loader: Any = _FAST_LOADER) -> Any:
    """The plain data of a YAML text; ``loader`` is PyYAML's safe one or one derived from it.

    Refused before anything is made of it: anchors and aliases (a few lines of which stand for gigabytes), tags other
    than those of plain data, nesting deeper than 30, a number of more than 2000 characters, more than 256 KiB.

    Raises:
        ValueError: with the reason in one line.
    """
    try:
        if len(content) > YAML_BYTES:
            raise ValueError(f"it has more than the {in_words(YAML_BYTES)} that it may have")
        words = content.decode("utf-8") if isinstance(content, bytes) else content
        _require_plain(words)
        return yaml.load(words, Loader=loader)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no UTF-8 text: {error.reason}") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def read_yaml(path: str | Path, loader: Any = _FAST_LOADER) -> Any:
    """The plain data of a YAML file, as ``load_yaml``.

    Raises:
        OSError: as ``read_bytes``.
        ValueError: as ``load_yaml``.
    """
    return load_yaml(read_bytes(path, YAML_BYTES), loader)


def _require_plain(words: str) -> None:
    depth = 0
    for event in yaml.parse(words, Loader=_FAST_LOADER):
        line = f"line {event.start_mark.line + 1}"
        if getattr(event, "anchor", None) is not None:  # an alias has one too
            raise ValueError(f"{line} has an anchor or alias (& or *); write the value out")
        if (tag := getattr(event, "tag", None)) is not None and tag not in _TAGS:
            raise ValueError(f"{line} has the tag {tag}; leave it out")
        if isinstance(event, yaml.ScalarEvent) and _may_be_number(event) and len(event.value) > _CHARACTERS:
            raise ValueError(f"{line} has a number of more than {_CHARACTERS} characters")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise ValueError(f"{line} is nested deeper than {_DEPTH}")


def _may_be_number(scalar: yaml.ScalarEvent) -> bool:
    return not scalar.style and scalar.value[:1] in "+-.0123456789"
