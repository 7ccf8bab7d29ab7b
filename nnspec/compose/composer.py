"""Hydra's composition as a value: overrides in, a plain mapping out. Hydra's process-wide state stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser import overrides_visitor
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnspec.compose.asserts import keep_asserts
from nnspec.compose.loader import loader
from nnspec.compose.sources import Files

keep_asserts(overrides_visitor)
CONFIG = "config"
# What Hydra and OmegaConf raise on bad input; ValueError and the like come out of Hydra's grammar and defaults list.
COMPOSE_ERRORS = (
    HydraException,
    OmegaConfBaseException,
    ValueError,
    TypeError,
    KeyError,
    AssertionError,
    RecursionError,
    OSError,
)


@cache
def _own_loader(working_folder: Path) -> ConfigLoader:
    return loader()  # which finds the named sweeps of the working folder, too


class Composer:
    """Composes the configs of one search path.

    ``hydra_overrides`` are the overrides of Hydra itself (``hydra.*``) that every composition gets; ``master``, the
    composed config of a multirun, lends its resolver cache, so that ``${now:}`` is one moment in all of its cells.
    """

    def __init__(
        self,
        loader: ConfigLoader | None = None,
        config_name: str | None = CONFIG,
        hydra_overrides: Sequence[str] = (),
        master: DictConfig | None = None,
    ):
        self.loader = loader or _own_loader(Path.cwd())
        self.config_name = config_name
        self.hydra_overrides = list(hydra_overrides)
        self.master = master
        self._groups: dict[str, list[str]] = {}
        self._containers: dict[tuple[str, ...], dict[str, Any]] = {}

    @classmethod
    def of_job(cls, loader: ConfigLoader, master: DictConfig) -> Composer:
        """The composer of the cells of a running multirun."""
        typed = OmegaConf.to_container(master.hydra.overrides, resolve=False)
        assert isinstance(typed, dict)
        return cls(loader, master.hydra.job.config_name, typed["hydra"], master)

    @cached_property
    def parser(self) -> OverridesParser:
        """Hydra's own parser of overrides."""
        return OverridesParser.create(config_loader=self.loader)

    def parse(self, override: str) -> Override:
        """One override, by Hydra's grammar."""
        return self.parser.parse_overrides([override])[0]

    def config(self, overrides: Sequence[str]) -> DictConfig:
        """What Hydra composes, the ``hydra`` node included."""
        if self.master is not None:
            return self.loader.load_sweep_config(self.master, list(overrides))
        return self.loader.load_configuration(self.config_name, [*self.hydra_overrides, *overrides], RunMode.RUN)

    def container(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The composed config without the ``hydra`` node as plain data, interpolations left as they are written; not to
        be changed."""
        lines = tuple(overrides)
        if lines not in self._containers:
            self._containers[lines] = plain(self.config(overrides), resolve=False)
        return self._containers[lines]

    def mapping(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The composed config without the ``hydra`` node as plain data, interpolations resolved."""
        return plain(self.config(overrides), resolve=True)

    def resolved(self, container: dict[str, Any]) -> dict[str, Any]:
        """Plain data with its interpolations resolved, as Hydra would in a config of that content."""
        config = OmegaConf.create(container)
        if self.master is not None:
            OmegaConf.copy_cache(self.master, config)
        return plain(config, resolve=True)

    def options(self, group: str) -> list[str]:
        """The names in a config group; empty where there is no such group."""
        if group not in self._groups:
            overrides = self.hydra_overrides  # which may add to the search path
            found = (
                self.loader.get_group_options(group, config_name=self.config_name, overrides=overrides)
                if self.is_group(group)
                else []
            )
            self._groups[group] = found
        return self._groups[group]

    def has(self, group: str, name: object) -> bool:
        """Whether a config group has a name; only one that is not where configs usually lie needs all ``options``."""
        return name in self.loader.get_group_options(group) or self._finds(group, name) or name in self.options(group)

    def _finds(self, group: str, name: object) -> bool:
        """Whether a name that is not listed, as the path of a named sweep, leads to a config all the same."""
        sources = self.loader.get_sources() if isinstance(name, str) and ".." not in name.split("/") else []
        return any(isinstance(source, Files) and source.is_config(f"{group}/{name}") for source in sources)

    def is_group(self, key: str) -> bool:
        """Whether ``key`` names a config group, so that a value chooses a file of it."""
        parent, _, name = key.rpartition("/")
        return name in self.groups(parent)

    def groups(self, parent: str = "") -> list[str]:
        """The config groups below ``parent``."""
        key = f"{parent}/"
        if key not in self._groups:
            self._groups[key] = self.loader.list_groups(parent)
        return self._groups[key]


def plain(config: DictConfig, resolve: bool) -> dict[str, Any]:
    """A config as dicts, lists and scalars, without Hydra's own node."""
    bare = config.copy()
    OmegaConf.set_struct(bare, False)
    OmegaConf.set_readonly(bare, False)
    bare.pop("hydra", None)
    container = OmegaConf.to_container(bare, resolve=resolve)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
