"""The command ``nnspec``: finds the subcommand, runs it, and turns every error into clear lines and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from nnspec.errors import NnspecError

# name -> (module:function that takes the arguments and returns the exit status, one line of help).
# Modules are imported when they are called, so that `nnspec list` waits for neither torch nor MLflow.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("nnspec.cli.run:run", "train a spec or a sweep: nnspec run model=mlp activation=gelu"),
    "list": ("nnspec.cli.listing:listing", "what can be named: nnspec list activations"),
    "show": ("nnspec.cli.show:show", "the resolved spec, its layers and its initial weights: nnspec show activation=gelu"),
    "table": ("nnspec.cli.table:table", "the per-network table of a sweep or run: nnspec table last --csv FILE"),
    "compare": ("nnspec.cli.compare:compare", "is one choice better than another: nnspec compare last --by activation"),
    "diff": ("nnspec.cli.diff:diff", "what differs between two runs and their results: nnspec diff RUN RUN"),
    "report": ("nnspec.cli.report:report", "a page with tables and pictures of a sweep or run: nnspec report last --open"),
    "delete": ("nnspec.cli.delete:delete", "delete a sweep with its cells: nnspec delete RUN"),
    "file": ("nnspec.cli.file:file", "file runs that a store did not take: nnspec file nnspec-unfiled"),
}
INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] in ("-V", "--version", "version"):
        from importlib.metadata import version

        print(version("nnspec"))
        return 0
    if words[0] not in COMMANDS:
        return refuse(NnspecError(f"there is no command '{words[0]}'\n{usage()}"), 2)
    return guarded(lambda: load(words[0])(words[1:]))


def usage() -> str:
    """What the commands are."""
    lines = [f"  {name:<8} {line}" for name, (_, line) in COMMANDS.items()]
    return "\n".join(["usage: nnspec COMMAND ...", *lines])


def load(command: str) -> Callable[[Sequence[str]], int]:
    """The function of a subcommand."""
    module, _, function = COMMANDS[command][0].partition(":")
    found: Callable[[Sequence[str]], int] = getattr(import_module(module), function)
    return found


def full_errors() -> bool:
    """Whether the user asked for tracebacks, in Hydra's way."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def guarded(command: Callable[[], int]) -> int:
    """The exit status of ``command``; its errors are printed, a line a fault, and never as a traceback unless asked."""
    try:
        return command()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except NnspecError as error:
        if full_errors():
            raise
        return refuse(error, error.exit_status)
    except Exception as error:
        if full_errors():
            raise
        lines = " ".join(str(error).split())
        return refuse(f"unexpected {type(error).__name__}: {lines}; HYDRA_FULL_ERROR=1 shows where", 1)


def refuse(error: object, status: int) -> int:
    """Print an error, a line a fault, and return the exit status."""
    for line in str(error).splitlines():
        print(f"nnspec: {line}", file=sys.stderr)
    return status
