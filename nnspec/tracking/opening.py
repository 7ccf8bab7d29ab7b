"""Opening the store that the settings mean, with the writer that fits it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from nnspec.errors import Fault, TrackingError
from nnspec.settings import Tracking
from nnspec.terminal import complain
from nnspec.tracking import locate
from nnspec.tracking.locate import Location
from nnspec.tracking.packs.store import CellStore
from nnspec.tracking.store import Store


def open_store(settings: Tracking, known_revisions: Collection[str] | None = None) -> CellStore:
    """The store that the settings mean, reached and ready, with the writer they ask for.

    ``writer='auto'`` is the bulk writer for a database whose schema it has been tested with (``known_revisions``, by
    default ``schema.KNOWN_REVISIONS``), else the client.

    Raises:
        TrackingError: if the URI is none, the store does not answer within seconds, or the writer does not fit it.
    """
    return CellStore(_runs(settings, known_revisions))


def load(settings: Tracking) -> None:
    """Import what the store that the settings mean takes, which is most of the time that opening it takes."""
    with suppress(TrackingError):  # it is opened later, which says what is wrong
        if locate.locate(settings).kind not in ("http", "file"):
            import nnspec.tracking.database.store  # noqa: F401


def _runs(settings: Tracking, known_revisions: Collection[str] | None) -> Store:
    location = locate.locate(settings)
    if location.kind in ("http", "file"):
        if settings.writer == "sql":
            raise locate.refuse("must be a database for tracking.writer=sql", location.uri, "use tracking.writer=auto")
        if location.kind == "http":
            locate.reach_server(location)
        return _client(location)
    if settings.writer == "client":
        return _client(location)
    return _database(location, settings.writer, known_revisions)


def _client(location: Location) -> Store:
    from nnspec.tracking.client.store import ClientStore

    return ClientStore(location)


def _database(location: Location, writer: str, known_revisions: Collection[str] | None) -> Store:
    from nnspec.tracking.database.schema import KNOWN_REVISIONS, connect
    from nnspec.tracking.database.store import SqlStore

    known = KNOWN_REVISIONS if known_revisions is None else known_revisions
    engine, revision = connect(location, known)
    if revision in known:
        return SqlStore(location, engine)
    engine.dispose()
    rule = f"must have a schema that the bulk writer has been tested with ({', '.join(sorted(known))})"
    fault = Fault(
        "tracking.writer=sql",
        rule,
        f"revision {revision}",
        "use tracking.writer=client, or the MLflow of the constraints file",
    )
    if writer == "sql":
        raise TrackingError(fault)
    instead = "filing through MLflow's client instead, which is slower"
    complain(Fault(fault.where, fault.rule, fault.value, instead))
    return _client(location)
