"""Which store is meant: the URI, checked and reached before anything trains."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from nnspec.errors import Fault, TrackingError, first_line
from nnspec.settings import Tracking
from nnspec.tracking.files import file_name
from nnspec.tracking.records import PARENT_TAG

DEFAULT_URI = "sqlite:///mlflow.db"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https")
# Of those that SQLAlchemy knows, the first that is installed.
DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "mysql": ("pymysql", "MySQLdb"), "mssql": ("pyodbc",)}
# What may follow a scheme's +: whatever else SQLAlchemy has, as sqlite+pysqlcipher, nobody has seen filing our runs.
KNOWN_DRIVERS = {name: {driver.lower() for driver in drivers} for name, drivers in DRIVERS.items()} | {
    "sqlite": {"pysqlite"}
}
REACH_SECONDS = 4.0
LOCAL_UI = "http://127.0.0.1:5000"  # where `mlflow ui` listens unless told otherwise
_USER = re.compile(r"^(\w+://)[^/@]*@")
_PASSWORD = re.compile(r"(://[^:/@]*):[^/@]*@")


@dataclass(frozen=True)
class Location:
    """A store's address. ``kind`` is 'sqlite', another database's name, 'http' or 'file'; ``file`` is SQLite's,
    absolute."""

    uri: str
    kind: str
    file: Path | None = None

    @property
    def shown(self) -> str:
        """The URI without its password."""
        return _masked(self.uri)

    @property
    def absolute(self) -> str:
        """The URI as SQLAlchemy needs it: SQLite's file as an absolute path, the same from every working folder; a
        server's driver by name, because SQLAlchemy takes one unasked, whether it is installed or not."""
        scheme, _, rest = self.uri.partition("://")
        names = DRIVERS.get(scheme.lower())
        if names is not None:
            driver = next((name for name in names if find_spec(name)), names[0])
            return f"{scheme}+{driver.lower()}://{rest}"
        if self.file is None:
            return self.uri
        from sqlalchemy import URL  # which versions of it decode %20 in a path, it knows best

        return URL.create("sqlite", database=str(self.file)).render_as_string()

    def artifact_folder(self, experiment: str) -> str:
        """Where a new experiment keeps its artifacts, for MLflow: beside the SQLite file, else in the working
        folder."""
        beside = Path.cwd() if self.file is None else self.file.parent
        folder = beside / "mlartifacts" / file_name(experiment)
        # A plain path is what MLflow itself writes, but it loses its way where a path looks like a piece of a URI.
        return folder.as_uri() if set("#?%") & set(str(folder)) else str(folder)


def locate(settings: Tracking, environ: Mapping[str, str] = os.environ) -> Location:
    """The store that is meant: the setting, else MLFLOW_TRACKING_URI, else a SQLite file in the working folder.

    Raises:
        TrackingError: for a scheme or a driver that is no store, a SQLite database in memory, with parameters or in a
            folder that is not there, or a file store that MLflow refuses.
    """
    uri = settings.uri or environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    scheme, mark, rest = uri.partition("://")
    dialect, plus, driver = scheme.lower().partition("+")
    if mark and dialect in (*SERVERS, *DATABASES) and (why := _malformed(uri)):
        raise refuse(f"must be an address ({why})", uri, f"try tracking.uri={DEFAULT_URI}, or mend MLFLOW_TRACKING_URI")
    known = KNOWN_DRIVERS.get(dialect, set())
    if mark and plus and dialect in (*DATABASES, *SERVERS) and driver not in known:
        rule = (
            f"must be {' or '.join([dialect, *(f'{dialect}+{name}' for name in sorted(known))])}, for no other driver "
            "is known"
        )
        raise refuse(rule, uri, f"try {dialect}://{rest}")
    if mark and dialect in SERVERS:
        return Location(uri, "http")
    if mark and dialect in DATABASES:
        if dialect == "sqlite" and (not rest.startswith("/") or rest.strip("/") in ("", ":memory:")):
            raise refuse("must name a file of its own", uri, f"try tracking.uri={DEFAULT_URI}")
        return Location(uri, dialect, _sqlite_file(uri, rest) if dialect == "sqlite" else None)
    if not mark or dialect == "file":
        return _file_store(uri, environ)
    schemes = ", ".join((*DATABASES, *SERVERS))
    raise refuse(f"must start with one of {schemes}", uri, f"try tracking.uri={DEFAULT_URI} or tracking=off")


def _malformed(uri: str) -> str | None:
    """What is wrong with the form of a URI: characters, brackets, a port; None if nothing is."""
    if not uri.isprintable():
        return "it has characters that do not print"
    if uri.lower().startswith(tuple(f"{scheme}://" for scheme in SERVERS)):
        try:
            split = urlsplit(uri)
            return None if split.hostname and (split.port is None or split.port) else "it names no host"
        except ValueError as error:
            return str(error)
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(uri)
    except (ArgumentError, ValueError) as error:
        return first_line(error)
    return None


def _sqlite_file(uri: str, rest: str) -> Path:
    from sqlalchemy import make_url

    if "?" in rest:
        rule = f"must have no parameters, because none is obeyed (?{rest.partition('?')[2]})"
        raise refuse(rule, uri, f"try tracking.uri={uri.partition('?')[0]}")
    file = Path.cwd() / (make_url(uri).database or "")
    if not file.parent.exists():
        raise refuse(
            f"must lie in a folder that exists ({file.parent} does not)", uri, "make the folder, or name another"
        )
    return file.resolve() if ".." in file.parts else file  # artifacts lie beside it, by a way that is straight


def _file_store(uri: str, environ: Mapping[str, str]) -> Location:
    if environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        rule = "must be a database or a server, because MLflow has closed its file store"
        raise refuse(rule, uri, f"try tracking.uri={DEFAULT_URI}, or set MLFLOW_ALLOW_FILE_STORE=true")
    return Location(uri, "file")


def refuse(rule: str, uri: str, remedy: str) -> TrackingError:
    """The error of a URI that breaks ``rule``; a password in it is masked."""
    return TrackingError(Fault("tracking.uri", rule, f"'{Location(uri, '').shown}'", remedy))


def unreachable(location: Location, why: object) -> TrackingError:
    """The error of a store that does not answer."""
    remedy = "start the store, mend tracking.uri (or MLFLOW_TRACKING_URI), or train with tracking=off"
    return refuse(f"must be a store that answers ({first_line(why)})", location.uri, remedy)


def reach_server(location: Location, seconds: float = REACH_SECONDS) -> None:
    """Return once the server has answered anything at all: MLflow's own client would try for minutes.

    Raises:
        TrackingError: if nothing answers within ``seconds``.
    """
    try:
        request = urllib.request.Request(location.uri.rstrip("/") + "/health")
        with urllib.request.urlopen(request, timeout=seconds):
            return
    except urllib.error.HTTPError as answer:
        answer.close()  # a refusal is an answer; what it means shows with the first real request
    except (
        OSError,
        ValueError,
        http.client.HTTPException,
    ) as error:  # URLError is an OSError, a malformed address a ValueError
        raise unreachable(location, getattr(error, "reason", error)) from None


def run_page(location: Location, experiment_id: str, run_id: str) -> str:
    """The address of a run's page in MLflow's UI: on the server that the store is, else where ``ui_command`` starts
    one."""
    server = _USER.sub(r"\1", location.uri).rstrip("/") if location.kind == "http" else LOCAL_UI
    return f"{server}/{in_ui(experiment_id, run_id)}"


def in_ui(experiment_id: str, *below: str, **parameters: str) -> str:
    """The address of a page within MLflow's UI, whichever server shows it: a run of an experiment, an artifact of it.

    The page's router reads what stands behind the hash, its parameters too; without the workflow it opens that of
    GenAI.
    """
    query = urlencode({"workflowType": "machine_learning"} | parameters, quote_via=quote)
    return f"#/experiments/{'/'.join((experiment_id, 'runs', *below))}?{query}"


def cells_in_ui(experiment_id: str, sweep_id: str) -> str:
    """The address within MLflow's UI of the list of a sweep's cells, the best first. Which columns it shows is kept in
    the browser: an address cannot say."""
    cells = f"tags.{PARENT_TAG} = '{sweep_id}'"
    return in_ui(experiment_id, searchFilter=cells, orderByKey="metrics.`solve_rate`", orderByAsc="false")


def ui_command(location: Location) -> str:
    """The shell command that starts MLflow's UI on a store that is no server, at ``LOCAL_UI``."""
    return f"{_mlflow()} ui --backend-store-uri {_shown_uri(location)}"


def gc_command(location: Location) -> str:
    """The shell command that removes deleted runs from a store for good; it finds artifacts by the tracking URI. A
    server's database only those know who run it."""
    if location.kind == "http":
        return f"mlflow gc --tracking-uri {shlex.quote(location.shown)} --backend-store-uri DATABASE"
    mlflow, uri = _mlflow(), _shown_uri(location)
    return f"{mlflow} gc --tracking-uri {uri} --backend-store-uri {uri}"


def _shown_uri(location: Location) -> str:
    secret = location.shown != location.uri
    shown = location.shown if location.file else _masked(location.absolute)
    if secret and os.environ.get("MLFLOW_TRACKING_URI") == location.uri:
        return '"$MLFLOW_TRACKING_URI"'
    return shlex.quote(shown)


def _mlflow() -> str:
    if shutil.which("mlflow"):
        return "mlflow"
    # Compared as written, not resolved: a venv's python is a link to a python that knows none of its packages.
    return f"{'python' if shutil.which('python') == sys.executable else sys.executable} -m mlflow"


def uri_flag(location: Location, environ: Mapping[str, str] = os.environ) -> str:
    """What a command on filed runs needs besides the run to find this store; nothing where it looks there anyway."""
    own = environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    return "" if location.uri == own else f" --uri {shlex.quote(location.shown)}"


def _masked(uri: str) -> str:
    return _PASSWORD.sub(r"\1:***@", uri)
