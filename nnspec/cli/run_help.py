"""``nnspec run --help``: the flags, ours and Hydra's, the members that can be named, and the keys."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from nnspec.catalog import REGISTRIES
from nnspec.cli.listing import experiments
from nnspec.params import Param
from nnspec.settings import COMMAND, REQUIRE, RUNTIME, SWEEP, TRACKING
from nnspec.specs import SCALARS, SOLVED, TRAIN, text

WIDEST = 100
USAGE = """\
usage: nnspec run [FLAG ...] [KEY=VALUE ...]

Trains a spec or, with -m, every combination of the values given, and files losses, weights and verdicts in MLflow.
With sweep.map it trains one network a pixel of a map over two continuous parameters.

  nnspec run model=mlp activation=gelu replicates=100
  nnspec run -m activation=relu,tanh init=kaiming_uniform,orthogonal replicates=50
  nnspec run experiment=zero_init
  nnspec run optimizer=sgd 'sweep.map=[[optimizer.lr,0.01,1000,log,256],[init.gain,0.1,10,log,256]]'
"""
KEYS: tuple[tuple[str, tuple[Param, ...]], ...] = (
    ("", SCALARS),
    ("train.", (*TRAIN, *RUNTIME)),
    ("solved.", SOLVED),
    ("tracking.", TRACKING),
    ("require.", REQUIRE),
    ("sweep.", SWEEP),
    ("", COMMAND),
)
WORDS = {  # on Hydra's flags, in place of its own
    "help": "show this",
    "multirun": "train every combination of the values given, as of activation=relu,tanh",
    "shell_completion": "install or uninstall the completion of words in a shell: -sc install=bash",
}
REFUSED = ("experimental_rerun",)  # flags of Hydra's that nnspec does not take


def help_text(flags: Sequence[argparse.Action], own: Iterable[str]) -> str:
    """The whole help; ``own`` names the flags that come first."""
    first = set(own)
    named = [flag for flag in flags if flag.dest not in REFUSED]
    sections = (
        ("flags", [_flag(flag) for flag in named if flag.dest in first]),
        ("members, as in activation=gelu; nnspec list says what they are and which parameters they take", _members()),
        ("keys, as in train.epochs=200 or optimizer.lr=0.01, with what they are unless said", _keys()),
        ("flags of Hydra's", [_flag(flag) for flag in named if flag.dest not in first]),
    )
    return "\n".join([USAGE, *("\n".join([f"{title}:", *_entries(entries), ""]) for title, entries in sections)])


def _flag(flag: argparse.Action) -> tuple[str, str]:
    value = "" if flag.nargs == 0 else f" {flag.metavar or flag.dest.upper()}"
    return ", ".join(flag.option_strings) + value, WORDS.get(flag.dest) or " ".join(str(flag.help).split())


def _members() -> Iterator[tuple[str, str]]:
    for group, registry in REGISTRIES.items():
        yield f"{group}=", ", ".join(registry.names())
    yield "tracking=", "mlflow, off"
    yield "experiment=", ", ".join(sweep["name"] for sweep in experiments())


def _keys() -> Iterator[tuple[str, str]]:
    yield "spec=FILE", "an archived spec.yaml to run again; what else is said goes on top"
    for prefix, params in KEYS:
        yield from ((f"{prefix}{param.name}={text(param.default)}", param.doc) for param in params)


def _entries(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names, each with its text beside it."""
    listed = list(entries)
    beside = max(len(name) for name, _ in listed) + 4
    width = min(WIDEST, shutil.get_terminal_size().columns)
    for name, doc in listed:
        yield textwrap.fill(f"  {name:<{beside - 2}}{doc}", max(width, beside + 30), subsequent_indent=" " * beside)
