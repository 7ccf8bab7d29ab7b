"""Commands that do what no command may: each rule of the oracle has one that breaks it."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path


def nothing_wrong(words: Sequence[str]) -> int:
    print("nnspec: a note", file=sys.stderr)
    Path("here").write_text("in the folder")
    return 0


def traceback(words: Sequence[str]) -> int:
    raise ValueError("untold")


def unexpected(words: Sequence[str]) -> int:
    print("nnspec: unexpected KeyError: 'a'", file=sys.stderr)
    return 1


def status(words: Sequence[str]) -> int:
    print("nnspec: so it goes", file=sys.stderr)
    return 3


def killed(words: Sequence[str]) -> int:
    os.abort()


def hang(words: Sequence[str]) -> int:
    threading.Event().wait()
    return 0


def fifo(words: Sequence[str]) -> int:
    os.mkfifo("fifo")
    return len(Path("fifo").read_text())


def warning(words: Sequence[str]) -> int:
    warnings.warn("odd", stacklevel=1)
    return 0


def silence(words: Sequence[str]) -> int:
    return 1


def escape(words: Sequence[str]) -> int:
    print("\x1b[2Jgone")
    return 0


def long_line(words: Sequence[str]) -> int:
    print("nnspec:", "x" * 5000, file=sys.stderr)
    return 2


def many_lines(words: Sequence[str]) -> int:
    print("nnspec: x\n" * 100, file=sys.stderr)
    return 2


def foreign_line(words: Sequence[str]) -> int:
    print("usage: something [--else]", file=sys.stderr)
    return 2


def write_outside(words: Sequence[str]) -> int:
    Path("../outside").write_text("x")
    return 0


def write_outside_unseen(words: Sequence[str]) -> int:
    """Nothing that Python sees is written: it is found because it lies there."""
    subprocess.run(["git", "init", "-q", "../outside"], check=True)
    return 0


def make_folder_outside(words: Sequence[str]) -> int:
    Path("/nosuch/folder").mkdir(parents=True)
    return 0


def link_outside(words: Sequence[str]) -> int:
    Path("link").symlink_to("/tmp")
    Path("link/nnspec-through-a-link").write_text("x")
    return 0


def program(words: Sequence[str]) -> int:
    subprocess.run(["touch", "x"], check=True)
    return 0


def import_canary(words: Sequence[str]) -> int:
    importlib.import_module("nnspec_canary")
    return 0


def load_pickle(words: Sequence[str]) -> int:
    import values

    pickle.loads(pickle.dumps(values.Canary()))
    return 0
