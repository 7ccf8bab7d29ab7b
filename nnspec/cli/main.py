"""The command ``nnspec``: finds the subcommand, runs it, and turns every error into clear lines and an exit status."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib import import_module

from nnspec.cli.signals import Signals
from nnspec.errors import Fault, NnspecError, nearest
from nnspec.processes import INTERRUPTED, OBJECTS
from nnspec.terminal import complain, lost_output, printable, terminal

# name -> (module:function that takes the arguments and returns the exit status, one line of help).
# Modules are imported when they are called, so that `nnspec list` waits for neither torch nor MLflow.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("nnspec.cli.run:run", "train a spec or a sweep: nnspec run model=mlp activation=gelu"),
    "list": ("nnspec.cli.listing:listing", "what can be named: nnspec list activations"),
    "show": (
        "nnspec.cli.showing.show:show",
        "the resolved spec, its layers and its initial weights: nnspec show activation=gelu",
    ),
    "schema": ("nnspec.cli.schema:schema", "a JSON Schema that editors check spec and sweep files by: nnspec schema"),
    "explain": (
        "nnspec.cli.explain:explain",
        "what a verdict means, or why a run's networks did not learn: nnspec explain dead_units",
    ),
    "table": ("nnspec.cli.table:table", "the per-network table of a sweep or run: nnspec table last --csv FILE"),
    "compare": ("nnspec.cli.compare:compare", "is one choice better than another: nnspec compare last --by activation"),
    "diff": ("nnspec.cli.diff:diff", "what differs between two runs and their results: nnspec diff RUN RUN"),
    "remedy": ("nnspec.cli.remedy:remedy", "what would have helped, measured: nnspec remedy last"),
    "report": (
        "nnspec.cli.report:report",
        "a page with tables and pictures of a sweep or run: nnspec report last --open",
    ),
    "play": ("nnspec.cli.play:play", "a thousand networks at once, in the browser: nnspec play activation=relu"),
    "cite": ("nnspec.cli.cite:cite", "a paragraph and a BibTeX entry for a paper: nnspec cite last"),
    "export": (
        "nnspec.cli.export:export",
        "a run as a file: a spec, a PyTorch script, a graph: nnspec export last --format script",
    ),
    "promote": ("nnspec.cli.store.promote:promote", "give cells of a sweep runs of their own: nnspec promote last 17"),
    "check-parts": ("nnspec.cli.check_parts:check_parts", "try parts of your own: nnspec check-parts my_parts.py"),
    "delete": ("nnspec.cli.store.delete:delete", "delete a sweep with its cells: nnspec delete RUN"),
    "experiments": ("nnspec.cli.experiments:experiments", "the studies and their claims: nnspec experiments --run all"),
    "gc": ("nnspec.cli.store.gc:gc", "what a store holds, and freeing what deleted runs left: nnspec gc --free"),
    "file": ("nnspec.cli.store.file:file", "file runs that a store did not take: nnspec file nnspec-unfiled"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 bad input, 130 interrupted.

    Without ``arguments`` it is that of this process, whose signals are then ours until it ends.
    """
    own = arguments is None
    words = list(sys.argv[1:] if arguments is None else arguments)
    if own:
        gc.set_threshold(0 if words[:1] == ["run"] else OBJECTS)  # of none, see ``collect_garbage``
    with Signals() if own else nullcontext(), terminal() as out:
        status = guarded(lambda: command(words))
        lost = lost_output(out)
        if own:
            gc.freeze()  # the process ends: its modules need not be looked through once more
        return status if lost is None else refuse(lost, status or 1)


def command(words: Sequence[str]) -> int:
    """Run the subcommand that the words begin with, and return its exit status."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] in ("-V", "--version", "version"):
        from nnspec.release import version

        print(version())
        return 0
    if words[0] not in COMMANDS:
        remedy = nearest(words[0], [*COMMANDS, "help"])
        raise UnknownCommand(
            f"there is no command '{printable(words[0])}'; {remedy}; nnspec --help says what each does"
        )
    check_text(words)
    check_folder()
    return load(words[0])(words[1:])


class UnknownCommand(NnspecError):
    """The first word names no command."""

    exit_status = 2


class ArgumentError(NnspecError):
    """An argument that no command can take."""

    exit_status = 2


def check_text(words: Sequence[str]) -> None:
    """Refuse what is no text: nobody could file it, print it or name a file by it.

    Raises:
        ArgumentError: an argument holds bytes that are no UTF-8, or a zero byte.
    """
    for word in words:
        if "\0" in word or any("\ud800" <= character <= "\udfff" for character in word):
            raise ArgumentError(
                Fault("an argument", "must be UTF-8 text without zero bytes", f"'{word[:80]}'", "type it anew")
            )


def check_folder() -> None:
    """Refuse a working folder that is gone: every path would fail in a way of its own.

    Raises:
        NnspecError: there is no working folder.
    """
    try:
        os.getcwd()  # noqa: PTH109
    except OSError as error:
        rule = "must be there"
        raise NnspecError(
            Fault("the working folder", rule, f"none ({error.strerror})", "it was deleted; cd to another")
        ) from None


def usage() -> str:
    """What the commands are."""
    lines = [f"  {name:<11} {line}" for name, (_, line) in COMMANDS.items()]
    return "\n".join(["usage: nnspec COMMAND ...", *lines])


def load(command: str) -> Callable[[Sequence[str]], int]:
    """The function of a subcommand."""
    module, _, function = COMMANDS[command][0].partition(":")
    return getattr(import_module(module), function)


def full_errors() -> bool:
    """Whether the user asked for tracebacks, in Hydra's way."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def guarded(work: Callable[[], int]) -> int:
    """The exit status of ``work``; its errors are printed, a line a fault, and never as a traceback unless asked."""
    try:
        return work()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse, after --help
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
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
    complain(error)
    return status
