"""``nnspec list``: what can be named, with its parameters and their defaults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnspec.catalog import REGISTRIES, STAND_INS
from nnspec.catalog.inits import bias_param
from nnspec.diagnostics import VERDICT_ENTRIES
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
VERDICT_KIND = "verdicts"
EXPERIMENTS = "experiments"


def listing(arguments: Sequence[str]) -> int:
    """Print the members of the kinds named, or of all kinds."""
    kinds = [*KINDS, VERDICT_KIND, EXPERIMENTS]
    wanted = list(arguments) or kinds
    for kind in wanted:
        if kind not in kinds:
            raise NnspecError(f"there is no list of '{kind}'; {nearest(kind, kinds)}")
    for kind in wanted:
        print("\n".join([f"{kind}:", *_listed(kind), ""]))
    return 0


def _listed(kind: str) -> Iterator[str]:
    if kind == EXPERIMENTS:
        return _experiments()
    return _verdicts() if kind == VERDICT_KIND else _members(KINDS[kind])


def _verdicts() -> Iterator[str]:
    width = max(map(len, VERDICT_ENTRIES))
    for entry in VERDICT_ENTRIES.values():
        yield f"  {entry.name:<{width}}  {entry.summary}"
    yield f"  {'':<{width}}  nnspec explain VERDICT says more"


def _members(group: str) -> Iterator[str]:
    names = REGISTRIES[group].names()
    width = max(map(len, names))
    for entry in REGISTRIES[group]:
        yield f"  {entry.name:<{width}}  {entry.summary}"
        for param in parameters(group, entry):
            yield f"  {'':<{width}}    {group}.{param.name}={text(param.default)}  {param.doc}"
    if group == "activation":
        yield from (f"  {name:<{width}}  {summary}" for name, summary in STAND_INS.items())


def parameters(group: str, entry: Any) -> tuple[Param, ...]:
    """The parameters that a member takes on the command line."""
    own: tuple[Param, ...] = entry.params
    return own + (bias_param(entry) if group == "init" else ())


def _experiments() -> Iterator[str]:
    from nnspec.compose.folders import conf_dir

    files = sorted((conf_dir() / "experiment").glob("*.yaml"))
    width = max((len(file.stem) for file in files), default=0)
    for file in files:
        yield f"  {file.stem:<{width}}  {_question(read_bytes(file, YAML_BYTES).decode())}"


def _question(content: str) -> str:
    """The first comment of an experiment's file that is not Hydra's header."""
    comments = (line.lstrip("# ") for line in content.splitlines() if line.startswith("#"))
    return next((line for line in comments if line and not line.startswith("@package")), "")
