"""Chunks as tasks of Ray Core, on this machine or on a cluster.

Tasks and not actors: a chunk gives the same bits wherever and however often it trains, so Ray may run it again when its
worker or its node dies. The driver holds no more tasks in flight than keep the workers busy, and it alone files.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import Any

from nnspec.errors import Fault, SpecError, TrainingError, first_line
from nnspec.execute.elsewhere import ChunkTask, Surroundings, other_code
from nnspec.execute.pool import Event, Extra, Lost, cores
from nnspec.processes import ENDING
from nnspec.release import code
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk

AUTO, CLIENT = "auto", "ray://"
PATIENCE = 30.0  # seconds that a cluster has to answer: for a client of ray:// it starts a process first
RETRIES = 3  # times that a chunk is trained again whose worker died
STORE = 200_000_000  # bytes of a local Ray's object store: results lie there until the driver takes them
QUIET = {  # Ray's own switches; a value that the user has set stays
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # it would warn of what it is going to change
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # a Ray of our own is not to be reached from elsewhere
PROBE = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
except Exception as error:
    sys.exit(" ".join(str(error).split())[:300])
"""
JOINED: list[str | None] = []  # the address that this process has joined


@dataclass(frozen=True)
class OnRay:
    """Trains chunks as tasks of the Ray that this process is connected to; called as ``execute.pool.train_chunks``
    is. ``most`` tasks are in flight, or as many as there are cores, and as many more to follow."""

    most: int | None = None
    retries: int = RETRIES

    def cores(self) -> int:
        """Cores of all machines."""
        import ray

        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    def __call__(
        self, specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra
    ) -> Generator[Event, None, None]:
        """Events as chunks end.

        Raises:
            TrainingError: a worker has another version of nnspec.
        """
        import ray

        surroundings = Surroundings.here()
        train = ray.remote(answer_of()).options(num_cpus=1, max_retries=self.retries, retry_exceptions=False)
        waiting = iter(range(len(chunks)))
        flying: dict[Any, int] = {}
        try:
            while True:
                room = (self.most or 2 * self.cores()) - len(flying)
                for number in islice(waiting, max(0, room)):
                    task = ChunkTask.of(specs, chunks[number], number, extra, surroundings)
                    flying[train.remote(surroundings.code, pickle.dumps(task, protocol=5))] = number
                if not flying:
                    return
                ended, _ = ray.wait(list(flying), num_returns=1)
                for reference in ended:
                    yield self._event(reference, flying.pop(reference))
        finally:
            for reference in flying:
                ray.cancel(reference, force=True)

    def _event(self, reference: Any, number: int) -> Event:
        import ray

        try:
            answer = ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # of our own code, or of whoever set up the worker
            raise (error.cause or RuntimeError(first_line(error))) from error
        except ray.exceptions.RayError as error:
            why = first_line(error).split(". ")[0]
            return Lost(
                number, f"its worker on Ray died at each of {self.retries + 1} attempts ({why}); see Ray's logs"
            )
        if isinstance(answer, str):
            raise TrainingError(str(other_code("a worker on Ray", answer, code())))
        return pickle.loads(answer)


def answer_of() -> Callable[[str, bytes], bytes | str]:
    """What a worker does with a pickled task: the event, pickled; or in words which nnspec it has, if that is not the
    one ``wanted``. It is a function within a function, which travels as its code: a worker may have another nnspec,
    or none."""

    def answer(wanted: str, task: bytes = b"") -> bytes | str:
        import pickle

        try:
            from nnspec.release import code
        except ImportError as error:
            return f"none of this kind ({error})"
        if code() != wanted:
            return code()
        return pickle.dumps(pickle.loads(task)(), protocol=5) if task else b""

    return answer


def connected(address: str | None, workers: int | None = None, patience: float = PATIENCE) -> OnRay:
    """Join the Ray at an address, or start one on this machine with so many workers; it ends with this process.

    Raises:
        SpecError: Ray is not installed, or the address is none.
        TrainingError: no Ray answers, or its workers have another version of nnspec.
    """
    if find_spec("ray") is None:
        remedy = "install it with: pip install 'nnspec[ray]'"
        raise SpecError([Fault("train.engine=ray", "needs the extra nnspec[ray]", "an environment without it", remedy)])
    for name, value in {**QUIET, **({} if address else LOOPBACK)}.items():
        os.environ.setdefault(name, value)
    folder = _temporary() if address is None else None  # before Ray, so that it is removed after Ray has ended
    import ray

    if ray.is_initialized():
        _refuse_another(address)
        return OnRay(workers)
    if address is not None:
        reached(address, patience)
    options: dict[str, Any] = {"address": address} if address else _local(workers or cores(), folder)
    _told_nothing()
    with _signals_kept():
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    JOINED[:] = [address]
    if address is not None:
        _refuse_other_code(patience)
    return OnRay(workers)


def _local(workers: int, folder: str | None) -> dict[str, Any]:
    """How a Ray of our own is started."""
    return {
        "address": "local",
        "num_cpus": workers,
        "include_dashboard": False,
        "object_store_memory": STORE,
        "_temp_dir": folder,
    }


def _temporary() -> str:
    """A folder for Ray's logs and sockets that ends with this process; its path is short, for that of a socket has
    at most 107 bytes."""
    place = tempfile.gettempdir()
    made = tempfile.TemporaryDirectory(
        prefix="nnspec-ray-", dir=place if len(place) < 20 else "/tmp", ignore_cleanup_errors=True
    )
    FOLDERS.append(made)
    return made.name


FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def _refuse_another(address: str | None) -> None:
    """Refuse to join another Ray than this process has joined already."""
    known = [None, AUTO, *JOINED]
    if address not in known or (JOINED and JOINED[0] is not None and address is None):
        joined = JOINED[0] if JOINED else "one that was joined elsewhere"
        remedy = "leave it out, or start another process"
        raise SpecError(
            [Fault("train.address", f"must be that of this process's Ray ({joined})", str(address), remedy)]
        )


def reached(address: str, patience: float) -> None:
    """Make sure that a Ray answers there. It is tried by another process: Ray takes a minute to give up, and ends its
    process where it does.

    Raises:
        SpecError: it is no address.
        TrainingError: no Ray answers within ``patience`` seconds, or not as one that can be joined.
    """
    where = f"train.address={address}"
    remedy = "start one with ray start --head, or leave train.address out"
    if address != AUTO:
        host, _, port = address.removeprefix(CLIENT).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            rule = "must be auto, host:port or ray://host:port"
            raise SpecError([Fault("train.address", rule, f"'{address}'", "check the address")])
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=patience / 4).close()
        except OSError as error:
            raise TrainingError(
                str(Fault(where, "must be a Ray that runs", error.strerror or str(error), remedy))
            ) from None
    try:
        tried = subprocess.run(
            [sys.executable, "-c", PROBE, address], capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        said = f"no answer within {patience:g} s"
        raise TrainingError(str(Fault(where, "must be a Ray that runs", said, remedy))) from None
    if tried.returncode:
        said = (tried.stderr.strip().splitlines() or ["no answer"])[-1]
        raise TrainingError(str(Fault(where, "must be a Ray that can be joined", said, remedy)))


def _refuse_other_code(patience: float) -> None:
    """Ask every machine which nnspec it has, before anything is filed; one that joins later is asked by its tasks."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(answer_of())
    asked = []
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)
            asked.append(ask.options(num_cpus=0, max_retries=1, scheduling_strategy=there).remote(code()))
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=patience)
    for answer in ray.get(answered):
        if isinstance(answer, str):
            raise TrainingError(str(other_code("a worker on Ray", answer, code())))


def _told_nothing() -> None:
    """Ray prints what becomes of its nodes to standard output, which the results of a command have to themselves; it
    has a switch for that, and no name for it that is public."""
    from ray._private import worker

    worker._worker_logs_enabled = False


@contextmanager
def _signals_kept() -> Iterator[None]:
    """The handlers of signals stay as they are: Ray sets some of its own."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler and handler is not None:
            signal.signal(number, handler)
