"""nnspec from Python, as a command: what the fuzzers call in a fork beside the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import nnspec

SMALL_DATABASE = 1_000_000  # bytes: room for the tables and no run


def told(call: Callable[[], object]) -> int:
    """The exit status of a call; an error for the user is told as the command line does, any other is a traceback."""
    try:
        call()
    except nnspec.NnspecError as error:
        for line in str(error).splitlines():
            print(f"nnspec: {line}", file=sys.stderr)
        return error.exit_status
    return 0


def load(words: Sequence[str]) -> int:
    return told(lambda: [nnspec.load(word) for word in words])


def table(words: Sequence[str]) -> int:
    return told(lambda: [nnspec.table(word) for word in words])


def load_spec(words: Sequence[str]) -> int:
    return told(lambda: [print(nnspec.load_spec(word).fingerprint) for word in words])


def starved(words: Sequence[str]) -> int:
    """``nnspec WORDS`` where no file may outgrow MLflow's empty tables, so that what trains is spooled."""
    import resource

    from nnspec.cli import main

    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DATABASE, SMALL_DATABASE))
    return main(words)
