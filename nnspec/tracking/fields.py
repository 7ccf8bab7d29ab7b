"""What each field of a spooled run may be. A spool may come from a stranger: nothing of it is filed before it is known
to fit.

The kinds are those of ``params``; a column of MLflow's sets each limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.errors import Fault, TrackingError
from nnspec.params import Boolean, Choice, Integer, Kind, Refused, Value
from nnspec.specs import text
from nnspec.tracking.limits import checked_key, clip
from nnspec.tracking.records import PARENT_TAG, STATUSES, Series

LAST_MS = 253_402_300_799_999  # the end of the year 9999: no clock shows a later time
LAST_STEP = 2**63 - 1  # a BIGINT
_LONGEST = 80  # characters of a value that a message shows


@dataclass(frozen=True)
class Line:
    """A text of at most ``most`` characters, without control characters; empty only where ``least`` is 0."""

    most: int
    least: int = 1

    def parse(self, value: object) -> Value:
        if not isinstance(value, str) or not self.least <= len(value) <= self.most or not value.isprintable():
            raise Refused(f"must be a text of {self.least} to {self.most} characters that print")
        return value


@dataclass(frozen=True)
class Pairs:
    """A mapping of texts to texts, which are ``what``; ``check`` raises ``Refused`` for a pair that is none."""

    what: str
    check: Callable[[str, str], object]

    def parse(self, value: object) -> Value:
        if not isinstance(value, Mapping) or not all(isinstance(item, str) for pair in value.items() for item in pair):
            raise Refused(f"must be a mapping of {self.what}")
        for key, item in value.items():
            self.check(key, item)
        return value  # type: ignore[return-value]


@dataclass(frozen=True)
class Record:
    """A mapping with exactly these fields; or null, where ``optional`` says so."""

    fields: Mapping[str, Kind | Record]
    optional: bool = False


@dataclass(frozen=True)
class Maybe:
    """A value of ``kind`` or null."""

    kind: Kind

    def parse(self, value: object) -> Value:
        return None if value is None else self.kind.parse(value)


def _check_name(key: str, value: str = "") -> None:
    try:
        checked_key(key)
    except TrackingError:
        raise Refused("must have names of at most 250 letters, digits, spaces and any of _ - . : /") from None


def _check_tag(key: str, value: str) -> None:
    if key == PARENT_TAG:
        raise Refused(f"must not have {key}")
    _check_name(key)


def _check_metric(key: str, number: str) -> None:
    """NaN and infinity are measured too."""
    _check_name(key)
    try:
        float.fromhex(number)
    except (ValueError, OverflowError):
        raise Refused(
            f"must have numbers as float.hex writes them: {clip(key, _LONGEST)} has {clip(number, _LONGEST)!r}"
        ) from None


def _check_sum(path: str, number: str) -> None:
    if not re.fullmatch("[0-9a-f]{64}", number):
        raise Refused(f"must be a mapping of {SUMS}")


TEXTS, SUMS = "names to texts", "paths to SHA-256 sums"
TIME = Integer(0, LAST_MS)
DATASET = Record(
    {
        "name": Line(500),
        "digest": Line(36),
        "schema": Line(65535, 0),
        "profile": Line(2**24 - 1, 0),
        "source_type": Line(36),
        "source": Line(65535, 0),
    },
    optional=True,
)
START = Record(
    {
        "name": Line(10_000),
        "params": Pairs(TEXTS, _check_name),
        "tags": Pairs(TEXTS, _check_tag),
        "parent": Maybe(Line(250)),
        "dataset": DATASET,
        "start_time": TIME,
    }
)
END = Record(
    {
        "run_id": Line(250),
        "status": Choice(STATUSES),
        "metrics": Pairs("names to numbers as float.hex writes them", _check_metric),
        "tags": Pairs(TEXTS, _check_tag),
        "end_time": TIME,
        "last_step": Integer(0, LAST_STEP),
    }
)
RUN = Record({"start": START, "end": END, "begun": Boolean(), "files": Pairs(SUMS, _check_sum)})


def checked_run(entry: object, where: str) -> Mapping[str, Any]:
    """The entry of a run in a manifest, if every field of it is what it must be.

    Raises:
        TrackingError: naming the first field that is not.
    """
    _check(RUN, entry, "", where)
    assert isinstance(entry, Mapping)
    return entry


def _check(record: Record, value: object, name: str, where: str) -> None:
    if value is None and record.optional:
        return
    if not isinstance(value, Mapping):
        raise refuse(where, name or "the run", "must be a mapping", value)
    prefix = f"{name}." if name else ""
    for key in value:
        if key not in record.fields:
            raise refuse(where, f"{prefix}{key}", "is not a field", value[key])
    for key, kind in record.fields.items():
        if key not in value:
            raise refuse(where, f"{prefix}{key}", "must be there", None)
        if isinstance(kind, Record):
            _check(kind, value[key], f"{prefix}{key}", where)
            continue
        try:
            kind.parse(value[key])
        except Refused as refused:
            raise refuse(where, f"{prefix}{key}", str(refused), value[key]) from None


def checked_series(key: str, steps: np.ndarray, values: np.ndarray, where: str) -> Series:
    """A history from its two tensors.

    Raises:
        TrackingError: for a name that MLflow does not take, steps that are no rising whole numbers, or values that are
            none.
    """
    field = f"history.safetensors: {clip(key, _LONGEST)}"
    try:
        _check_name(key)
    except Refused as refused:
        raise refuse(where, field, str(refused), key) from None
    if steps.dtype.kind != "i" or steps.ndim != 1 or (len(steps) and steps[0] < 0) or not (np.diff(steps) > 0).all():
        raise refuse(
            where, field, "must have steps that are whole numbers from 0, rising", f"{steps.dtype} {steps.tolist()[:5]}"
        )
    if values.dtype.kind != "f" or values.shape != steps.shape:
        raise refuse(where, field, "must have one number a step", f"{values.dtype} of shape {list(values.shape)}")
    return Series(steps.astype(np.int64), values.astype(np.float64))


def refuse(where: str, field: str, rule: str, value: object) -> TrackingError:
    """The error of a spooled run with a field that is not as it must be."""
    shown = text(value) if value is None or isinstance(value, (bool, int, float)) else repr(value)
    return TrackingError(
        Fault(f"spooled {where}: {field}", rule, clip(shown, _LONGEST), "mend it, or train the run again")
    )
