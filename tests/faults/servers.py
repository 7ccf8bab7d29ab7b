"""Real servers on loopback for tests and for trying things out: PostgreSQL and MariaDB from Debian's packages, ``mlflow
server``, a bad proxy.

python tests/faults/servers.py [postgresql | mysql | sqlite]    starts one with an MLflow server on it and says its
address
"""

from __future__ import annotations

import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
# MLflow's, in which runs are filed: each after those that it refers to.
TABLES = (
    "experiments",
    "experiment_tags",
    "runs",
    "params",
    "tags",
    "metrics",
    "latest_metrics",
    "datasets",
    "inputs",
    "input_tags",
)
READY_SECONDS = 120.0  # MLflow imports for 10 s on an idle machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], what: str, seconds: float = READY_SECONDS) -> None:
    """Return once ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


class Server:
    """A server process in a process group of its own; its output goes to ``log``."""

    def __init__(self, name: str, command: list[str], log: Path, ready: Callable[[], object], **popen: Any):
        self.name, self.command, self.log, self.popen = name, command, log, popen
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            streams: dict[str, Any] = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL}
            self._process = subprocess.Popen(self.command, start_new_session=True, **streams, **self.popen)

        def ready() -> bool:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")
            return bool(self._ready())

        try:
            until(ready, f"{self.name} is ready")
        except BaseException:
            self.stop()
            raise

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End it. With the default nothing is wound up: as if the machine had lost its power."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._process.wait()
            with suppress(ProcessLookupError):  # what it started and left behind
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process = None

    def revive(self) -> None:
        """It serves, whatever was done to it."""
        if self._process is None:
            self.start()
        else:
            self.go_on()

    def pause(self) -> None:
        """It takes connections and says nothing: it hangs."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)


def postgresql_bin() -> Path | None:
    """The folder of the newest PostgreSQL on this machine; None without one, or where we may not run it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def postgresql() -> Iterator[tuple[str, Server]]:
    """A new, empty PostgreSQL and the URI of its only database; the server can be stopped and started."""
    bin = postgresql_bin()
    assert bin is not None, "PostgreSQL is not installed: apt-get install postgresql"
    port = free_port()
    asked = [str(bin / "pg_isready"), "-q", "-h", HOST, "-p", str(port), "-U", "nnspec", "-d", "postgres"]
    with _home("postgres") as (root, as_user):
        initdb = [
            bin / "initdb",
            "-D",
            root / "data",
            "-U",
            "nnspec",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        _made(initdb, as_user)
        words = [str(bin / "postgres"), "-D", str(root / "data"), "-p", str(port)]
        for option in (f"listen_addresses={HOST}", f"unix_socket_directories={root}", "max_connections=100"):
            words += ["-c", option]
        server = Server("PostgreSQL", words, root / "log", lambda: subprocess.run(asked).returncode == 0, **as_user)
        with _running(server):
            yield f"postgresql://nnspec@{HOST}:{port}/postgres", server


def mariadb_bin() -> Path | None:
    """The MariaDB server on this machine; None without one."""
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(found) if found else None


@contextmanager
def mysql() -> Iterator[tuple[str, Server]]:
    """As ``postgresql``, of MariaDB, which speaks MySQL's protocol."""
    mariadbd = mariadb_bin()
    assert mariadbd is not None, "MariaDB is not installed: apt-get install mariadb-server"
    port = free_port()
    with _home("mysql") as (root, as_user):
        _made(["mariadb-install-db", "--no-defaults", f"--datadir={root / 'data'}", "--skip-test-db"], as_user)
        statements = (
            "CREATE DATABASE IF NOT EXISTS nnspec",
            f"CREATE USER IF NOT EXISTS nnspec@'{HOST}'",
            f"GRANT ALL ON *.* TO nnspec@'{HOST}'",
        )
        (root / "init.sql").write_text("".join(f"{statement};\n" for statement in statements))
        options = {
            "datadir": root / "data",
            "socket": root / "socket",
            "bind-address": HOST,
            "port": port,
            "init-file": root / "init.sql",
        }
        # As Debian and MySQL 8 have it; and no waiting for the disk, which no test pulls the plug of.
        options |= {
            "character-set-server": "utf8mb4",
            "innodb-flush-method": "nosync",
            "innodb-flush-log-at-trx-commit": 2,
        }
        words = [str(mariadbd), "--no-defaults", *(f"--{key}={value}" for key, value in options.items())]
        server = Server("MariaDB", words, root / "log", lambda: _answers(port), **as_user)
        with _running(server):
            yield f"mysql://nnspec@{HOST}:{port}/nnspec", server


@contextmanager
def _home(user: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder for a database server, and how to start processes there as a user that it consents to run as, which root
    is not."""
    # Below /tmp, for its own user must get there, and a test's folder is closed to others.
    root = Path(tempfile.mkdtemp(prefix=f"nnspec-{user}-"))
    try:
        as_user: dict[str, Any] = {"cwd": root}
        if os.geteuid() == 0:
            shutil.chown(root, user, user)
            as_user |= {"user": user, "group": user, "extra_groups": []}
        yield root, as_user
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _made(command: list[Any], as_user: dict[str, Any]) -> None:
    made = subprocess.run(command, capture_output=True, text=True, **as_user)
    if made.returncode:
        raise RuntimeError(f"{command[0]}: {made.stdout[-2000:]}{made.stderr[-2000:]}")


@contextmanager
def _running(server: Server) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop(signal.SIGQUIT)


def _answers(port: int) -> bool:
    """Whether a MySQL server greets: while it recovers, it may take connections already."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=2) as probe:
        return len(probe.recv(5)) == 5
    return False


DATABASES: dict[str, Callable[[], AbstractContextManager[tuple[str, Server]]]] = {
    "postgresql": postgresql,
    "mysql": mysql,
}


def missing(kind: str) -> str | None:
    """What this machine lacks for a server of ``DATABASES`` and for nnspec to reach it."""
    if kind == "postgresql":
        found, package, driver, extra = postgresql_bin(), "postgresql", "psycopg", "postgres"
    else:
        found, package, driver, extra = mariadb_bin(), "mariadb-server", "pymysql", "mysql"
    if found is None:
        return f"there is no database server of this kind: apt-get install {package}"
    return None if find_spec(driver) else f"{driver} is not installed: pip install 'nnspec[{extra}]'"


def with_driver(uri: str) -> str:
    """The URI as MLflow needs it, which would take SQLAlchemy's default driver."""
    scheme, mark, rest = uri.partition(":")
    return {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}.get(scheme, scheme) + mark + rest


def query(uri: str, statement: str) -> list[tuple[Any, ...]]:
    """What the statement returns, committed at once, on a connection of its own."""
    from sqlalchemy import NullPool, create_engine

    with create_engine(with_driver(uri), poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def delete_runs(uri: str) -> None:
    """Empty MLflow's tables, but for the experiment that it makes itself."""
    for table in reversed(TABLES):
        query(uri, f"DELETE FROM {table}" + (" WHERE experiment_id <> 0" if table == "experiments" else ""))


def new_database(uri: str, name: str) -> str:
    """The URI of a new, empty database on the server of ``uri``."""
    from sqlalchemy import make_url

    query(uri, f"CREATE DATABASE {name}")
    return make_url(uri).set(database=name).render_as_string(hide_password=False)


@contextmanager
def mlflow_server(backend: str, folder: Path) -> Iterator[tuple[str, Server]]:
    """``mlflow server`` on a backend and the address of it; artifacts go through it to ``folder``."""
    port = free_port()
    address = f"http://{HOST}:{port}"
    words = [
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        backend,
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    words += ["--host", HOST, "--port", str(port), "--workers", "1"]
    environ = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # a second of start and some processes less
    folder.mkdir(parents=True, exist_ok=True)

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    server = Server("mlflow server", [sys.executable, *words], folder / "server.log", ready, env=environ, cwd=folder)
    server.start()
    try:
        yield address, server
    finally:
        server.stop()


class BadProxy:
    """Passes requests on to a server, and of those that write fails a share: half of them before, half after they were
    done.

    ``hang`` makes it take requests and never answer, until ``heal``.
    """

    def __init__(self, target: str, share: float, seed: int = 0):
        self.share, self.failed, self.passed = share, 0, 0
        self._target = target.removeprefix("http://")
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._well = threading.Event()
        self._well.set()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"http://{HOST}:{self._server.server_port}"

    def hang(self) -> None:
        self._well.clear()

    def heal(self) -> None:
        self.share = 0.0
        self._well.set()

    def __enter__(self) -> BadProxy:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._well.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _fate(self, method: str) -> str:
        with self._lock:
            bad = method != "GET" and self._random.random() < self.share
            fate = ("before" if self._random.random() < 0.5 else "after") if bad else "pass"
            self.failed += bad
            self.passed += not bad
            return fate

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not proxy._well.is_set():
                    proxy._well.wait()
                    self.close_connection = True  # who asked has gone
                    return
                fate = proxy._fate(self.command)
                status, headers, content = 500, [], b"out of order"
                if fate != "before":
                    status, headers, content = self._passed_on(body)
                if fate == "after":
                    status, headers, content = 500, [], b"done, but nobody will know"
                with suppress(OSError):
                    self.send_response(status)
                    for key, value in headers:
                        if key.lower() in ("content-type", "location", "content-disposition"):
                            self.send_header(key, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
                connection = http.client.HTTPConnection(proxy._target, timeout=30)
                kept = {
                    key: value
                    for key, value in self.headers.items()
                    if key.lower() not in ("host", "connection", "accept-encoding")
                }
                try:
                    connection.request(self.command, self.path, body, kept)
                    answer = connection.getresponse()
                    return answer.status, answer.getheaders(), answer.read()
                except OSError as error:
                    return 502, [], str(error).encode()
                finally:
                    connection.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def main(words: list[str]) -> int:
    kind = words[0] if words else "postgresql"
    if len(words) > 1 or kind not in (*DATABASES, "sqlite"):
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="nnspec-servers-") as name:
        folder = Path(name)
        if kind == "sqlite":
            _serve(f"sqlite:///{folder / 'mlflow.db'}", folder)
        else:
            with DATABASES[kind]() as (uri, _):
                _serve(with_driver(uri), folder)
    return 0


def _serve(backend: str, folder: Path) -> None:
    with mlflow_server(backend, folder) as (address, _):
        print(f"{address} on {backend}; Ctrl-C ends both and what they hold", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
