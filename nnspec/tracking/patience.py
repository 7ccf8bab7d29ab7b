"""Calls to a store that may be down for a while: again and again, but not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from time import monotonic, sleep
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential, wait_random_exponential

from nnspec.errors import TrackingError, first_line
from nnspec.tracking.locate import Location, unreachable

PATIENCE_SECONDS = 60.0
IMPATIENCE_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 4.0
# MLflow calls it a bad request if another brings the same row at once: another process, or what we asked before a
# server hung.
_RACES = ("IntegrityError", "UniqueViolation")  # of SQLite and MySQL, of PostgreSQL

T = TypeVar("T")


class Patience:
    """Repeats calls that failed for a passing reason. Once a store has been down for the whole time, the next calls
    give up quickly, until one succeeds: a thousand runs must not wait a minute each."""

    def __init__(self, location: Location, seconds: float | None = None):
        self._location = location
        self._seconds = PATIENCE_SECONDS if seconds is None else seconds
        self._down = threading.Event()

    @property
    def down(self) -> bool:
        """Whether the store was given up on and has not answered since."""
        return self._down.is_set()

    def call(self, work: Callable[[], T], before_retry: Callable[[], T | None] = lambda: None) -> T:
        """What ``work`` returns; before each further try, what ``before_retry`` finds if the last one succeeded after
        all.

        Raises:
            TrackingError: for a refusal at once, for a failure that may pass after the time is up.
        """
        end = monotonic() + (IMPATIENCE_SECONDS if self._down.is_set() else self._seconds)
        tries = count()

        def attempt() -> T:
            found = before_retry() if next(tries) else None
            return work() if found is None else found

        try:
            value = repeated(attempt, may_pass, lambda: end, (FIRST_PAUSE, LONGEST_PAUSE))
        except Exception as error:
            if not may_pass(error):
                raise _refusal(self._location, error) from error
            self._down.set()
            raise unreachable(self._location, error) from error
        self._down.clear()
        return value


def repeated(
    work: Callable[[], T],
    passing: Callable[[BaseException], bool],
    end: Callable[[], float],
    pauses: tuple[float, float],
) -> T:
    """What ``work`` returns; after an error that is ``passing`` it is tried again, unless the pause would last beyond
    ``end``, on the clock ``monotonic``. Whatever ends it is raised as it is.

    ``pauses`` are the first and the longest, in seconds: each is twice as long, give or take a half, for of several
    who collided each must wait a different time.
    """
    first, longest = pauses

    def too_late(tried: RetryCallState) -> bool:
        return monotonic() + tried.upcoming_sleep > end()

    tries = Retrying(
        retry=retry_if_exception(passing),
        stop=too_late,
        wait=wait_exponential(first / 2, longest / 2) + wait_random_exponential(first, longest),
        sleep=sleep,
        reraise=True,
    )
    return tries(work)


def may_pass(error: BaseException) -> bool:
    """Whether a failed call is worth repeating: no answer, a server's own fault, too many requests, or two for the same
    row."""
    if getattr(error, "error_code", "") == "BAD_REQUEST":
        return any(name in str(error) for name in _RACES)
    status = getattr(error, "get_http_status_code", None)
    if status is not None:
        return bool(status() >= 500 or status() in (408, 429))
    response = getattr(error, "response", None)
    if response is not None:
        return bool(response.status_code >= 500 or response.status_code in (408, 429))
    # Requests' errors are OSErrors too; a full or forbidden local disk will not mend itself.
    return isinstance(error, OSError) and error.errno is None


def _refusal(location: Location, error: Exception) -> TrackingError:
    if isinstance(error, TrackingError):
        return error
    return TrackingError(f"the store {location.shown} refuses: {first_line(error)}; mend this and file the run again")
