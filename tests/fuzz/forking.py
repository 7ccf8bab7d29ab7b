"""A process that has imported everything and forks a child for each command: it begins within 0.1 s in place of 3,
inherits no state of an earlier one, and may end as it likes.

Requests and answers are lines of JSON. What a child does is watched by Python's audit hook: a write outside of its
folders, or a program other than git, is refused and noted. ``sandbox.Sandbox`` is the other end.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import importlib
import json
import os
import resource
import select
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PRELOAD = (
    "torch",
    "hydra",
    "mlflow",
    "matplotlib.pyplot",
    "pandas",
    "pyarrow.parquet",
    "pyarrow.pandas_compat",
    "scipy.optimize",
    "scipy.stats",
    "nnspec.analysis",
    "nnspec.cli.run",
    "nnspec.runner",
    "nnspec.tracking.client.store",
    "nnspec.tracking.database.store",
)
MEMORY = (
    6 * 2**30
)  # bytes of address space that a child may have beyond its parent's: a bug must not take the machine down
PATIENCE = 2.0  # seconds with a store that does not answer, in place of a minute: none here ever will
PROGRAMS = ("git", "uname", "ldconfig", "gcc")  # that provenance, platform and ctypes ask
DEVICES = ("/dev/null", "/dev/full", "/dev/zero", "/dev/tty", "/dev/stdout", "/dev/stderr")
CREATES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit event -> which of its arguments are paths that it writes, and the descriptors of the folders they start from.
WRITES = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
}


def serve(preload: Sequence[str]) -> None:
    """Answer requests until there are no more."""
    for module in preload:
        importlib.import_module(module)
    if preload:
        warm_up()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a stray print must not look like an answer
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def warm_up() -> None:
    """What a process does once and no command depends on: Hydra's scan for plugins, its grammar, reading configs."""
    import torch

    import nnspec
    from nnspec.compose import find_plugin
    from nnspec.tracking import patience

    torch.set_num_threads(1)
    patience.PATIENCE_SECONDS = PATIENCE
    find_plugin()
    nnspec.spec()


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run a command in a child; what became of it."""
    pid = os.fork()
    if pid == 0:
        become(request)
    process = os.pidfd_open(pid)
    hung = not ended(process, request["seconds"])
    if hung:
        os.kill(pid, signal.SIGUSR2)  # faulthandler says where it is
        ended(process, 0.5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(process)
    return {"status": os.waitstatus_to_exitcode(status), "hung": hung}


def ended(process: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def become(request: Mapping[str, Any]) -> None:
    """Turn this process into one that a shell began in the folder, and run the command."""
    os.setsid()
    status = 1
    try:
        surround(request)
        status = called(request["call"], request["words"])
        threading._shutdown()  # as Python does at its end: wait for threads, then run what was registered
        atexit._run_exitfuncs()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status & 0xFF)


def surround(request: Mapping[str, Any]) -> None:
    """Folder, environment, streams, memory, warnings and the watch."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    for number, name, how in (
        (0, "/dev/null", os.O_RDONLY),
        (1, request["out"], os.O_WRONLY),
        (2, request["err"], os.O_WRONLY),
    ):
        file = os.open(name, how | (os.O_CREAT | os.O_APPEND if how else 0), 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115
    sys.argv = ["nnspec"]
    sys.path[:0] = request["path"]
    held = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    faulthandler.register(signal.SIGUSR2, file=sys.stderr, all_threads=True)
    warnings.resetwarnings()
    for kind in (ImportWarning, ResourceWarning, PendingDeprecationWarning, DeprecationWarning):
        warnings.simplefilter("ignore", kind)
    sys.addaudithook(
        watch(os.open(request["noted"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), request["may_write"])
    )


def called(where: str, words: Sequence[str]) -> int:
    """Call ``module:function`` with the words; its value is the exit status."""
    module, _, name = where.partition(":")
    return int(getattr(importlib.import_module(module), name)(words) or 0)


def watch(notes: int, allowed: Sequence[str]) -> Callable[[str, tuple], None]:
    """An audit hook that notes and refuses what a command must not do."""
    folders = [os.path.realpath(folder) for folder in allowed]

    def refuse(what: str) -> None:
        os.write(notes, f"{what}\n".encode(errors="backslashreplace"))
        raise PermissionError(13, "Permission denied")

    def hook(event: str, arguments: tuple) -> None:
        for path in written(event, arguments):
            if path not in DEVICES and not any(path == folder or path.startswith(f"{folder}/") for folder in folders):
                refuse(f"{event} {path}")
        program = started(event, arguments)
        if program is not None and os.path.basename(program) not in PROGRAMS:  # noqa: PTH119
            refuse(f"{event} {program}")

    return hook


def written(event: str, arguments: tuple) -> Iterator[str]:
    """The absolute paths that an audited call would write."""
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & CREATES:
        yield from absolute(arguments[0], None, follow=True)
    elif event == "sqlite3.connect" and arguments[0] not in ("", ":memory:"):
        yield from absolute(str(arguments[0]).removeprefix("file:").partition("?")[0], None, follow=False)
    for path, base in WRITES.get(event, ()):
        yield from absolute(arguments[path], None if base is None else arguments[base], follow=False)


def absolute(path: Any, base: int | None, follow: bool) -> Iterator[str]:
    """Where a path leads, links followed: all of them, or those of its folder; nothing for an open file's number."""
    if isinstance(path, int):
        return
    text = os.fsdecode(path)
    if base is not None and base >= 0:
        text = os.path.join(os.readlink(f"/proc/self/fd/{base}"), text)  # noqa: PTH118, PTH115
    if follow:
        yield os.path.realpath(text)
    else:
        folder, name = os.path.split(text.rstrip("/"))
        yield os.path.join(os.path.realpath(folder or "."), name)  # noqa: PTH118


def started(event: str, arguments: tuple) -> str | None:
    """The program that an audited call would start."""
    if event == "subprocess.Popen":
        words = arguments[1]
        return os.fsdecode(words if isinstance(words, (str, bytes)) else words[0])
    if event in ("os.system", "os.exec", "os.posix_spawn", "os.spawn"):
        return str(arguments[0])
    return None


if __name__ == "__main__":
    serve(sys.argv[1:])
