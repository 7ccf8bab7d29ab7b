"""How an error of ours passes through Hydra, which would print its own text beside every ``Exception``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Carried(BaseException):
    """An error on its way through Hydra; no ``Exception``, so that Hydra lets it pass."""

    def __init__(self, error: Exception):
        self.error = error
        super().__init__(str(error))


def carried(work: Callable[[], T]) -> T:
    """What ``work`` returns; what it raises comes out as ``Carried``."""
    try:
        return work()
    except Exception as error:
        raise Carried(error) from error
