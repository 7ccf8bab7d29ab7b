"""``nnspec list``: what can be named, with its parameters and their defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnspec.catalog import ACTIVATIONS, BY_LAYER, MODELS, REGISTRIES
from nnspec.catalog.origins import SOURCE, origin_of
from nnspec.cli.flags import Flags, UsageError
from nnspec.diagnostics import VERDICT_ENTRIES
from nnspec.documents import document
from nnspec.errors import nearest
from nnspec.files import YAML_BYTES, read_bytes
from nnspec.params import Param
from nnspec.schema import members_of
from nnspec.specs import text

ACTIVATION, VERDICTS, EXPERIMENTS = "activation", "verdicts", "experiments"
KINDS = {
    "activations": ACTIVATION,
    "inits": "init",
    "models": "model",
    "optimizers": "optimizer",
    "losses": "loss",
    "data": "data",
    "schedules": "schedule",
}


def listing(arguments: Sequence[str]) -> int:
    """Print the members of the kinds named, or of all kinds."""
    kinds = [*KINDS, VERDICTS, EXPERIMENTS]
    parser = Flags("list", "What can be named, with its parameters and their defaults.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(kinds)}; all unless said")
    parser.json()
    parser.parts()
    asked = parser.parsed(arguments)
    wanted = asked.kinds or kinds
    for kind in wanted:
        if kind not in kinds:
            raise UsageError(f"there is no list of '{kind}'; {nearest(kind, kinds)}")
    found = {kind: listed(kind) for kind in wanted}
    print(document(found) if asked.json else "\n".join(line for kind in wanted for line in lines(kind, found[kind])))
    return 0


def listed(kind: str) -> list[dict[str, Any]]:
    """All that can be named of a kind."""
    if kind == EXPERIMENTS:
        return experiments()
    return verdicts() if kind == VERDICTS else members(KINDS[kind])


def verdicts() -> list[dict[str, Any]]:
    """The verdicts; ``nnspec explain`` says more of each."""
    return [{"name": entry.name, "summary": entry.summary, "parameters": []} for entry in VERDICT_ENTRIES.values()]


def members(group: str) -> list[dict[str, Any]]:
    """The members of a group, with what they take."""
    found: list[dict[str, Any]] = []
    entries = {entry.name: entry for entry in REGISTRIES[group]}
    for name, (summary, params) in members_of(group).items():
        entry = entries.get(name)  # a name that stands for others has none
        origin = None if entry is None else origin_of(entry)
        aliases = [] if entry is None else list(entry.aliases)
        one: dict[str, Any] = {"name": name, "summary": summary, "aliases": aliases}
        if origin is not None:
            one["source"] = f"{origin.file}, line {origin.line}"
        if group == ACTIVATION:
            one["derivative"] = ACTIVATIONS[name].derivative if name in ACTIVATIONS else None
        shorthand = MODELS[name].shorthand if group == "model" else ()
        one["parameters"] = [
            {"key": f"{group}.{param.name}", "default": param.default, "doc": param.doc, "schema": param.kind.schema()}
            for param in (*params, *shorthand)
            if param is not SOURCE
        ]
        found.append(one)
    return found


def experiments() -> list[dict[str, Any]]:
    """The named sweeps, with the question of each."""
    from nnspec.compose.folders import experiment_files

    return [{"name": name, "summary": _about(file), "parameters": []} for name, file in experiment_files().items()]


def _about(file: Path) -> str:
    """The question of a named sweep, and of one's own where it lies."""
    from nnspec.compose.folders import is_shipped

    question = _question(read_bytes(file, YAML_BYTES).decode(errors="replace"))
    return question if is_shipped(file) else f"{question} ({file})".strip()


def lines(kind: str, listed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is listed of a kind, in words."""
    yield (
        f"{kind}:"
        if kind != EXPERIMENTS
        else f"{kind} (nnspec experiments says the cost and the last verdict of each):"
    )
    shared = {f"{KINDS.get(kind)}.{param.name}": param.doc for param in _of_every_one(kind)}
    width = max((len(one["name"]) for one in listed), default=0)
    for one in listed:
        also = f"; also {', '.join(one['aliases'])}" if one.get("aliases") else ""
        yield f"  {one['name']:<{width}}  {one['summary']}{also}"
        if "source" in one:
            yield f"  {'':<{width}}    from {one['source']}"
        if one.get("derivative"):
            yield f"  {'':<{width}}    f' = {one['derivative']}"
        for param in (param for param in one["parameters"] if param["key"] not in shared):
            yield f"  {'':<{width}}    {param['key']}={text(param['default'])}  {param['doc']}"
    for key, doc in shared.items():
        yield f"  {'':<{width}}  each takes {key}: {doc}"
    if kind == VERDICTS:
        yield f"  {'':<{width}}  nnspec explain VERDICT says more"
    yield ""


def _of_every_one(kind: str) -> tuple[Param, ...]:
    """The parameters that all members of a kind take."""
    registry = REGISTRIES.get(KINDS.get(kind, ""))
    return BY_LAYER.get(type(next(iter(registry))), ()) if registry is not None else ()


def _question(content: str) -> str:
    """The first comment of an experiment's file that is not Hydra's header."""
    comments = (line.lstrip("# ") for line in content.splitlines() if line.startswith("#"))
    return next((line for line in comments if line and not line.startswith("@package")), "")
