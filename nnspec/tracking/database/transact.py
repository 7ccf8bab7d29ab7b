"""One transaction on a database that others write to as well: waits its turn, tries again, gives up with a message."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from nnspec.errors import Fault, TrackingError, first_line
from nnspec.tracking.patience import repeated

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

PATIENCE_SECONDS = 300.0
DOWN_SECONDS = 60.0  # how long a database server may take to come back
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
# SQLSTATEs and MySQL codes of a deadlock or a lost race: nothing was written and the same again will do.
_AGAIN = ("40001", "40P01", "55P03")
# the last: a deadlock has taken the savepoint with it that SQLAlchemy would go back to
_MYSQL_AGAIN = (1205, 1213, 1305)

T = TypeVar("T")


def transact(
    engine: Engine, work: Callable[[Connection], T], *, write: bool = True, patience: float = PATIENCE_SECONDS
) -> T:
    """What ``work`` returns, run in one transaction; on a lock, a deadlock, a lost connection or a server that restarts
    it runs again.

    ``work`` must bear to run again although an earlier try was committed: a lost connection leaves that open.

    Raises:
        TrackingError: if the database refuses, or is still locked after ``patience`` seconds or down after
            DOWN_SECONDS.
    """
    from sqlalchemy.exc import SQLAlchemyError

    started = monotonic()
    connected = False

    def attempt() -> T:
        nonlocal connected
        connected = engine.dialect.name == "sqlite"  # a file that cannot be opened will not mend itself
        with engine.connect().execution_options(nnspec_write=write) as connection, connection.begin():
            connected = True
            return work(connection)

    def worth_another(error: BaseException) -> bool:
        return isinstance(error, SQLAlchemyError) and (not connected or _may_pass(error))

    def end() -> float:
        return started + (patience if connected else min(patience, DOWN_SECONDS))

    try:
        return repeated(attempt, worth_another, end, (FIRST_PAUSE, LONGEST_PAUSE))
    except SQLAlchemyError as error:
        raise _refused(engine, error) from error


def _may_pass(error: Any) -> bool:
    if getattr(error, "connection_invalidated", False):
        return True
    cause = getattr(error, "orig", None)
    text = str(cause).lower()
    if "database is locked" in text or "database table is locked" in text or "database schema has changed" in text:
        return True
    if getattr(cause, "sqlstate", None) in _AGAIN or getattr(cause, "pgcode", None) in _AGAIN:
        return True
    return bool(getattr(cause, "args", ())) and cause is not None and cause.args[0] in _MYSQL_AGAIN


def _refused(engine: Engine, error: Any) -> TrackingError:
    why = first_line(getattr(error, "orig", None) or error)
    where = f"the database {engine.url.render_as_string(hide_password=True)}"
    return TrackingError(Fault(where, "must take what is filed", why, "mend it and file the run again"))
