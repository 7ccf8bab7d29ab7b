"""What MLflow takes: lengths, names, batch sizes and how it keeps numbers that are none. Both writers obey."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from nnspec.errors import Fault, TrackingError
from nnspec.tracking.records import RunStart

METRICS_A_BATCH = 1000
PARAMS_A_BATCH = 100
TAGS_A_BATCH = 100
KEY_LIMIT = 250
PARAM_LIMIT = 6000
TAG_LIMIT = 8000
EXPERIMENT_LIMIT = 256  # the column's width; MLflow's own check would let 500 through
BIGGEST = 1.7976931348623157e308  # what MLflow files for infinity
_KEY = re.compile(r"[/\w.\- :]+")

T = TypeVar("T")


def clip(text: str, limit: int) -> str:
    """``text``, cut to ``limit`` characters with a note where it is longer."""
    if len(text) <= limit:
        return text
    note = f"... [cut: {len(text)} characters]"
    return text[: limit - len(note)] + note


def clipped(start: RunStart) -> tuple[dict[str, str], dict[str, str]]:
    """Params and tags of a run as MLflow takes them, keys checked and values cut to length."""
    params = {checked_key(key): clip(value, PARAM_LIMIT) for key, value in start.params.items()}
    return params, clipped_tags(start.all_tags())


def clipped_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as MLflow takes them."""
    return {checked_key(key): clip(value, TAG_LIMIT) for key, value in tags.items()}


@lru_cache(4096)
def checked_key(key: str) -> str:
    """The name of a param, metric or tag, if MLflow takes it.

    Raises:
        TrackingError: for a name that is too long, has other characters, or is a path in disguise, as ``a/../b``.
    """
    normal = posixpath.normpath(key)
    if (
        len(key) <= KEY_LIMIT
        and _KEY.fullmatch(key)
        and normal == key
        and key != "."
        and not key.startswith(("..", "/"))
    ):
        return key
    rule = (
        f"must have at most {KEY_LIMIT} letters, digits, spaces and any of _ - . : /, and be no path that leads "
        "elsewhere"
    )
    raise TrackingError(Fault("the name of a param, metric or tag", rule, f"'{clip(key, 80)}'", "rename it"))


def checked_experiment(name: str) -> str:
    """The name of an experiment, if MLflow and a terminal take it.

    Raises:
        TrackingError: for one that is blank, too long, or has characters that do not print.
    """
    if name.strip() and len(name) <= EXPERIMENT_LIMIT and name.isprintable():
        return name
    rule = f"must have 1 to {EXPERIMENT_LIMIT} characters that print, and not only spaces"
    raise TrackingError(Fault("tracking.experiment", rule, repr(clip(name, 80)), "name it otherwise"))


def sanitized(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(values, is_nan) as MLflow keeps them: NaN as 0 with the mark, infinity as the biggest number of its sign."""
    numbers = np.asarray(values, np.float64)
    isnan = np.isnan(numbers)
    return np.clip(np.where(isnan, 0.0, numbers), -BIGGEST, BIGGEST), isnan


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """``items`` in order, at most ``size`` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
