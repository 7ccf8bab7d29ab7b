"""Commands in a folder of their own, and what became of them: the one place that all fuzzers run their cases in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import forking
from platformdirs import user_cache_path

from nnspec.tracking.database.template import schema_script

COMMAND = "nnspec.cli:main"
HERE = Path(__file__).parent
SECONDS = 60.0  # a command of a case takes less than 5 on an idle machine
# A module that says so when it is imported or called.
CANARY = """import os
def run(*args, **kwargs):
    open(os.environ["NNSPEC_CANARY"], "a").close()
run()
"""
RAN = "ran-"  # the beginning of the names of files that only foreign code makes


@dataclass(frozen=True)
class Said:
    """What became of a command. ``noted`` are its writes outside of its folders and the programs that it started;
    ``ran`` the files that only code from a config makes; ``strays`` what it left beside its folders."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str
    hung: bool = False
    noted: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()


class Sandbox:
    """``work``, ``home`` and ``tmp`` below ``root`` are the command's own; everything else is watched.

    A context manager: it holds the process that forks the commands.
    """

    def __init__(self, root: Path, preload: Sequence[str] = forking.PRELOAD, seconds: float = SECONDS):
        self.root, self.seconds = root.resolve(), seconds
        schema_script()  # a command of a case may start no program, and its home is empty
        self.work, self.home, self.tmp = (self.root / name for name in ("work", "home", "tmp"))
        self.canary = self.root / "canary"
        self.canary.mkdir(parents=True)
        (self.canary / "nnspec_canary.py").write_text(CANARY)
        self.server = subprocess.Popen(
            [sys.executable, str(HERE / "forking.py"), *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.empty()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()

    def empty(self, template: Path | None = None) -> None:
        """Begin anew, in a copy of the template or with nothing at all."""
        for folder in (self.work, self.home, self.tmp):
            shutil.rmtree(folder, ignore_errors=True)
        if template is not None:
            shutil.copytree(template, self.work, symlinks=True)
        for folder in (self.work, self.home, self.tmp):
            folder.mkdir(exist_ok=True)
        self._beside = set(os.listdir(self.root))  # noqa: PTH208

    def keep(self, name: str) -> Path:
        """The working folder as a template; paths in it stay right, for a copy is always made in the same place."""
        shutil.rmtree(self.root / name, ignore_errors=True)
        return shutil.copytree(self.work, self.root / name, symlinks=True)

    def run(self, *words: str, call: str = COMMAND) -> Said:
        """``nnspec WORDS`` in a fork, or another ``module:function`` that takes words."""
        files = {name: self.tmp / f".{name}" for name in ("out", "err", "noted")}
        for file in files.values():
            file.write_bytes(b"")
        request = {
            "call": call,
            "words": words,
            "folder": str(self.work),
            "environment": self.environment(),
            "path": [str(self.canary), str(HERE)],
            "may_write": [str(self.work), str(self.home), str(self.tmp)],
            "seconds": self.seconds,
            **{name: str(file) for name, file in files.items()},
        }
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline())
        out, err, noted = (file.read_text("utf-8", errors="backslashreplace") for file in files.values())
        return self._said(words, answer["status"], out, err, answer["hung"], tuple(noted.splitlines()))

    def run_process(self, *words: str) -> Said:
        """The same in a process that a shell would begin: nothing is watched, but what is left lying about is seen."""
        command = [sys.executable, "-c", "import sys; from nnspec.cli import main; sys.exit(main())", *words]
        environment = self.environment() | {"PYTHONPATH": str(self.canary)}
        with subprocess.Popen(
            command,
            cwd=self.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                out, err = process.communicate(timeout=3 * self.seconds)  # it has to import everything
                hung = False
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                hung = True
        text = [stream.decode("utf-8", errors="backslashreplace") for stream in (out, err)]
        return self._said(words, process.returncode, *text, hung, ())

    def environment(self) -> dict[str, str]:
        """A user's environment, poor but complete."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "MPLCONFIGDIR": str(self.tmp),
            "XDG_CACHE_HOME": str(user_cache_path()),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NNSPEC_CANARY": str(self.tmp / f"{RAN}canary"),
        }

    def _said(self, words: Sequence[str], status: int, out: str, err: str, hung: bool, noted: tuple[str, ...]) -> Said:
        ran = [
            path.name
            for folder in (self.work, self.home, self.tmp)
            if folder.is_dir()
            for path in folder.rglob(f"{RAN}*")
        ]
        strays = set(os.listdir(self.root)) - self._beside  # noqa: PTH208
        return Said(tuple(words), status, out, err, hung, noted, tuple(ran), tuple(sorted(strays)))
