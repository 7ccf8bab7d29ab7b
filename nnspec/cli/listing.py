"""``nnspec list``: what can be named, with its parameters and their defaults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnspec.catalog import REGISTRIES, STAND_INS
from nnspec.catalog.inits import bias_param
from nnspec.errors import NnspecError, nearest
from nnspec.files import YAML_BYTES, read_bytes
from nnspec.params import Param
from nnspec.specs import text

KINDS = {
    "activations": "activation",
    "inits": "init",
    "models": "model",
    "optimizers": "optimizer",
    "losses": "loss",
    "data": "data",
    "schedules": "schedule",
}
EXPERIMENTS = "experiments"


def listing(arguments: Sequence[str]) -> int:
    """Print the members of the kinds named, or of all kinds."""
    kinds = [*KINDS, EXPERIMENTS]
    wanted = list(arguments) or kinds
    for kind in wanted:
        if kind not in kinds:
            raise NnspecError(f"there is no list of '{kind}'; {nearest(kind, kinds)}")
    for kind in wanted:
        print("\n".join([f"{kind}:", *(_experiments() if kind == EXPERIMENTS else _members(KINDS[kind])), ""]))
    return 0


def _members(group: str) -> Iterator[str]:
    names = REGISTRIES[group].names()
    width = max(map(len, names))
    for entry in REGISTRIES[group]:
        also = f"; also {', '.join(entry.aliases)}" if entry.aliases else ""
        yield f"  {entry.name:<{width}}  {entry.summary}{also}"
        for param in parameters(group, entry):
            yield f"  {'':<{width}}    {group}.{param.name}={text(param.default)}  {param.doc}"
    if group == "activation":
        yield from (f"  {name:<{width}}  {summary}" for name, summary in STAND_INS.items())


def parameters(group: str, entry: Any) -> tuple[Param, ...]:
    """The parameters that a member takes on the command line."""
    own: tuple[Param, ...] = entry.params
    if group == "model":
        return own + entry.shorthand
    return own + (bias_param(entry) if group == "init" else ())


def _experiments() -> Iterator[str]:
    from nnspec.compose.folders import experiment_files, is_shipped

    files = experiment_files()
    width = max(map(len, files), default=0)
    for name, file in files.items():
        own = "" if is_shipped(file) else f" ({file})"
        question = _question(read_bytes(file, YAML_BYTES).decode(errors="replace"))
        yield f"  {name:<{width}}  {question}{own}"


def _question(content: str) -> str:
    """The first comment of an experiment's file that is not Hydra's header."""
    comments = (line.lstrip("# ") for line in content.splitlines() if line.startswith("#"))
    return next((line for line in comments if line and not line.startswith("@package")), "")
