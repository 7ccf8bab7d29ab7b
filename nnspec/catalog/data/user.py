"""The user's own data: a file, read once in a process for as long as it does not change, and its SHA-256.

Every fault of a file is one line with the place: the line of a CSV file (its head is line 1), else the row from 1 on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nnspec.catalog.data.assemble import Ask, Table, assemble
from nnspec.catalog.data.formats import read_csv, read_npz, read_parquet
from nnspec.catalog.data.sets import COMMON, SEED_RULE, SPLIT_RULE, DataEntry, DataSet, Params, Size, size_of, whole
from nnspec.errors import Fault, SpecError
from nnspec.files import read_bytes
from nnspec.params import Integer, Many, Optional, Param, Refused, Schema, Text, Value

FILE_BYTES = 2**30
Reader = Callable[[bytes, Ask], Table]
_READERS: dict[str, Reader] = {"csv": read_csv, "parquet": read_parquet, "npz": read_npz}


@dataclass(frozen=True)
class TextOrTexts:
    """A text or a list of different texts."""

    def parse(self, value: object) -> Value:
        rule = "must be a text or a list of different texts"
        if isinstance(value, str) and value:
            return value
        if not isinstance(value, (list, tuple)) or not value or len(set(map(str, value))) < len(value):
            raise Refused(rule)
        if not all(isinstance(item, str) and item for item in value):
            raise Refused(rule)
        return value[0] if len(value) == 1 else tuple(value)

    def schema(self) -> Schema:
        text = Text().schema()
        return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1, "uniqueItems": True}]}


@dataclass(frozen=True)
class Loaded:
    """The rows of a file, how many there are, and its SHA-256."""

    data: DataSet
    size: Size
    digest: str


def load(kind: str, params: Params) -> Loaded:
    """The file that ``path`` names, read as ``kind``.

    Raises:
        SpecError: with what is wrong with it, or if it is not the file whose ``digest`` is given.
    """
    path = params["path"]
    if path is None:
        raise SpecError([Fault("data.path", f"must be given with data={kind}", remedy=f"try data.path=table.{kind}")])
    try:
        facts = Path(str(path)).stat()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path can be written like that"
        raise SpecError([_unreadable(str(path), why)]) from None
    asked = tuple(sorted((name, params[name]) for name in ("target", "drop", "inputs", "max_rows") if name in params))
    stamp = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
    found = _load(kind, str(Path.cwd() / str(path)), str(path), asked, stamp)
    if isinstance(found, Fault):
        raise SpecError([found])
    if params["digest"] not in (None, found.digest):
        rule = "must be the SHA-256 of data.path"
        remedy = f"the file has {found.digest}: bring the old one back, or leave data.digest out"
        raise SpecError([Fault("data.digest", rule, str(params["digest"]), remedy)])
    return found


@lru_cache(maxsize=8)
def _load(
    kind: str, absolute: str, path: str, asked: tuple[tuple[str, Value], ...], stamp: tuple[int, int, int]
) -> Loaded | Fault:
    # a fault is kept like a result, so that a sweep of many cells reads a bad file once
    try:
        content = read_bytes(absolute, FILE_BYTES)
    except OSError as error:
        return _unreadable(path, str(error.strerror))
    said = dict(asked)
    target, drop = said["target"], said.get("drop", ())
    names = (target,) if isinstance(target, str) else target or ()
    inputs = said.get("inputs")
    ask = Ask(
        path,
        tuple(map(str, names if isinstance(names, tuple) else ())),
        tuple(map(str, drop if isinstance(drop, tuple) else ())),
        None if inputs is None else str(inputs),
        whole(said, "max_rows"),
    )
    try:
        data = assemble(_READERS[kind](content, ask), ask)
    except SpecError as error:
        return error.faults[0]
    return Loaded(data, size_of(data), hashlib.sha256(content).hexdigest())


def _unreadable(path: str, why: str) -> Fault:
    return Fault("data.path", f"must be a readable file ({why})", f"'{path}'", "check the path")


_PATH = Param("path", None, Optional(Text()), "the file, from the folder in which the command runs")
_DROP = Param("drop", (), Many(Text(), least=0), "columns that are no inputs, as a number that only names the row")
_DIGEST = Param("digest", None, Optional(Text()), "SHA-256 of the file; filled in, so that a spec names its content")
_MAX_ROWS = Param("max_rows", 1_000_000, Integer(1), "a file of more rows is refused")


def _entry(kind: str, summary: str, target: str, *own: Param) -> DataEntry:
    wanted = Param("target", None, Optional(TextOrTexts()), target)
    return DataEntry(
        kind,
        summary,
        make=lambda params: load(kind, params).data,
        size=lambda params: load(kind, params).size,
        params=(_PATH, wanted, *own, _MAX_ROWS, _DIGEST, *COMMON),
        rules=(SPLIT_RULE, SEED_RULE),
        digest=lambda params: load(kind, params).digest,
    )


_COLUMNS = "the column to be learnt, or a list of columns of numbers"
USERS = (
    _entry(
        "csv",
        "your own table: UTF-8 text, the first line names the columns; separated by comma, semicolon or tab",
        _COLUMNS,
        _DROP,
    ),
    _entry("parquet", "your own table in a Parquet file", _COLUMNS, _DROP),
    _entry(
        "npz",
        "your own arrays in one file of numpy.savez: inputs [n, ...], a row an example, and what is to be learnt",
        "the array to be learnt: [n] classes (whole numbers or texts) or numbers, or [n, k] numbers; or a list of them",
        Param("inputs", None, Optional(Text()), "the array of the inputs [n, ...]; null: the only other one"),
    ),
)
