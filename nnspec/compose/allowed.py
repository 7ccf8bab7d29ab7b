"""What a config may say of Hydra itself, so that it stays data: it cannot name code, nor decide where Hydra writes.

Hydra imports and calls what its own node of the config names: callbacks, launcher, sweeper, logging. So that node may
hold

- a launcher and a sweeper of Hydra's or of an installed plugin, and nothing else that names code;
- no callbacks, no environment, one of the loggings that Hydra comes with;
- ``OPEN`` keys, as a file or the command line says;
- everything else as Hydra has it, unless the command line itself says otherwise: a file cannot choose where files are
    written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import PurePath
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override

from nnspec.compose.interpolations import interpolation_faults
from nnspec.errors import Fault, SpecError, nearest
from nnspec.specs import text

OPEN = ("mode", "verbose", "searchpath")  # a search path may name folders only, see ``loader``
# Hydra writes them over when all else is composed
HYDRAS = ("overrides", "runtime", "job.override_dirname", "job.config_name")
LOGGING = ("job_logging", "hydra_logging")
PLUGINS = {"launcher": Launcher, "sweeper": Sweeper}
NAME = "nnspec"  # of the application
CSV = "sweep.csv"
_NOWHERE = object()  # equal to nothing that a config holds
_DATA = "is not allowed: a config is data and cannot name code"
_NEVER = {  # key -> rule and remedy, whoever says it
    "callbacks": (_DATA, "remove it"),
    "job.env_set": (
        "is not allowed: a config cannot change the environment",
        "set the variable before you start the command",
    ),
    "job.env_copy": (
        "is not allowed: a config cannot change the environment",
        "set the variable before you start the command",
    ),
}


def settled(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The composed ``config``, its launcher and sweeper resolved for good: what is checked here is what Hydra uses.

    ``overrides`` are those of the command line, to which other rules apply than to files.

    Raises:
        SpecError: with every fault of Hydra's own node.
    """
    hydra = config.hydra
    written: Any = OmegaConf.to_container(hydra, resolve=False)
    job: Any = OmegaConf.to_container(config, resolve=False)
    job["hydra"] = {kind: written.get(kind) for kind in PLUGINS}  # the rest of it is Hydra's, or typed
    if faults := list(interpolation_faults(job)):
        raise SpecError(faults)
    typed = typed_keys(overrides)
    # before anything is trusted as typed: a cell gets the overrides that stand here
    if sorted([*written["overrides"]["hydra"], *written["overrides"]["task"]]) != sorted(overrides):
        raise SpecError(
            [
                Fault(
                    "hydra.overrides",
                    "is not allowed in a config: it is what the command line says",
                    remedy="remove it",
                )
            ]
        )
    faults += [*_own_faults(written, typed), *_csv_faults(config, typed)]
    for kind in PLUGINS:
        node = hydra.get(kind)
        plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        faults += _plugin_faults(kind, plain, written.get(kind), typed)
        with flag_override(hydra, ["struct", "readonly"], False):
            hydra[kind] = plain
    if faults:
        raise SpecError(faults)
    return config


def typed_keys(overrides: Iterable[str]) -> tuple[str, ...]:
    """The keys and groups of those overrides that may concern Hydra's own node or the file ``sweep.csv``."""
    # the others are not parsed: it takes milliseconds each
    lines = [line for line in overrides if "hydra" in line or CSV in line]
    return tuple(override.key_or_group for override in OverridesParser.create().parse_overrides(lines))


def is_hydras(key: str) -> bool:
    """Whether a key or a group is Hydra's own."""
    return key.replace("/", ".").split(".")[0] == "hydra"


def _is_typed(key: str, typed: Sequence[str]) -> bool:
    """Whether the command line says what a dotted key holds. ``hydra`` or ``sweep`` alone may choose a file: it must
    say more."""
    return any("." in said and f"{key}.".startswith(f"{said}.") for said in typed)


def _own_faults(written: Mapping[Any, Any], typed: Sequence[str]) -> Iterator[Fault]:
    """What Hydra's node, interpolations as they are written, says beside the launcher and the sweeper."""
    said = dict(_flat(written))
    for key, (rule, remedy) in _NEVER.items():
        held = {name: said.pop(name) for name in list(said) if f"{name}.".startswith(f"{key}.")}
        if any(held.values()):
            name = max(held, key=lambda name: name.endswith("_target_"))  # the one that says most
            shown = text(held[name]) if name.endswith("_target_") else ""  # what the environment holds may be a secret
            yield Fault(f"hydra.{name}", rule, shown, remedy)
    for group in LOGGING:
        if written.get(group) not in _shipped(group).values():
            remedy = f"choose one with hydra/{group}=...: {', '.join(_shipped(group))}"
            yield Fault(f"hydra.{group}", "is not allowed unless it is one that Hydra comes with", remedy=remedy)
    if said.get("job.name") == JobRuntime.instance().get("name"):
        del said["job.name"]  # Hydra writes it there where nobody does
    if not isinstance(verbose := said["verbose"], (bool, str, list)):
        yield Fault(
            "hydra.verbose", "must be true, false or the names of loggers", text(verbose), "try hydra.verbose=true"
        )
    for key in typed:
        if any(f"{key}.".startswith(f"hydra.{name}.") for name in HYDRAS):
            yield Fault(key, "cannot be set: Hydra writes it itself", remedy="leave it out")
    free = (*OPEN, *HYDRAS, *LOGGING, *PLUGINS)
    for key, value in said.items():
        known = _hydras_own().get(key, _NOWHERE)
        settled = value in (None, "???", known) or any(f"{key}.".startswith(f"{name}.") for name in free)
        if not settled and not _is_typed(f"hydra.{key}", typed):
            yield _by_file(f"hydra.{key}", value)


def _plugin_faults(kind: str, node: object, unresolved: object, typed: Sequence[str]) -> Iterator[Fault]:
    """What a resolved launcher or sweeper says: its class, and the settings that are not those it is registered
    with, interpolations as they are written."""
    where = f"hydra.{kind}"
    known = [f"{found.__module__}.{found.__name__}" for found in Plugins.instance().discover(PLUGINS[kind])]
    target = node.get("_target_") if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or target not in known:
        yield Fault(
            f"{where}._target_", f"{_DATA}, other than an installed {kind}", text(target), nearest(str(target), known)
        )
        return
    registered = _registered(kind).get(str(target), {})
    said = unresolved if isinstance(unresolved, Mapping) else node
    for key, value in node.items():
        if key == "_target_":
            continue
        hidden = [name for name, _ in _flat({key: value}) if any(part.startswith("_") for part in name.split("."))]
        if hidden:
            yield Fault(f"{where}.{hidden[0]}", _DATA, remedy="remove it")
        elif (kind, key) == ("sweeper", "params"):
            yield from _params_faults(value)
        elif said.get(key) != registered.get(key, _NOWHERE) and not _is_typed(f"{where}.{key}", typed):
            yield _by_file(f"{where}.{key}", value)


def _params_faults(params: object) -> Iterator[Fault]:
    for key in params if isinstance(params, Mapping) else ():
        if is_hydras(str(key).lstrip("+~")):
            yield in_cells(f"hydra.sweeper.params.{key}")


def in_cells(key: str) -> Fault:
    """The fault of a key of Hydra's own among the overrides of a cell, where it would pass for the command line's."""
    return Fault(key, "cannot be set in a cell: it is Hydra's own", remedy="remove it, or type it on the command line")


def _csv_faults(config: DictConfig, typed: Sequence[str]) -> Iterator[Fault]:
    path = OmegaConf.select(config, CSV, throw_on_resolution_failure=False)
    leaves = isinstance(path, str) and (PurePath(path).is_absolute() or ".." in PurePath(path).parts)
    if leaves and not _is_typed(CSV, typed):
        yield _by_file(CSV, path)


def _by_file(key: str, value: object) -> Fault:
    rule = "may be changed on the command line only, not by a config file"
    return Fault(key, rule, text(value), f"remove it from the file, or type {key}=...")


def _flat(node: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, object]]:
    """The dotted keys of a nested mapping and what they hold; an empty mapping is held by its key."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


@cache
def _hydras_own() -> dict[str, object]:
    """Hydra's node where nobody says anything, and the two keys in which nnspec's differs."""
    loader = ConfigLoaderImpl(create_config_search_path(None))
    written = OmegaConf.to_container(loader.load_configuration(None, [], RunMode.RUN).hydra, resolve=False)
    assert isinstance(written, dict)
    return {**dict(_flat(written)), "job.name": NAME, "job.chdir": False}


@cache
def _shipped(group: str) -> dict[str, object]:
    """The loggings that Hydra comes with, by name, interpolations as they are written."""
    source = ImportlibResourcesConfigSource("hydra", "pkg://hydra.conf")
    names = source.list(f"hydra/{group}", ObjectType.CONFIG)
    return {
        name: OmegaConf.to_container(source.load_config(f"hydra/{group}/{name}").config, resolve=False)
        for name in names
    }


@cache
def _registered(kind: str) -> dict[str, Mapping[Any, Any]]:
    """The settings with which installed launchers or sweepers are registered, by class."""
    store = ConfigStore.instance()
    names = [name for name in store.list(f"hydra/{kind}") if name.endswith(".yaml")]
    nodes = [OmegaConf.to_container(store.load(f"hydra/{kind}/{name}").node, resolve=False) for name in names]
    return {str(node.get("_target_")): node for node in nodes if isinstance(node, dict)}
