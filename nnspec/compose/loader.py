"""Hydra's loader of configs, for configs that may be a stranger's.

Their files are read safely, and what they say of Hydra itself is checked at every composition (of a command, of each
cell, of each job), before Hydra gets to see it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathElement, SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.core.utils import setup_globals
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig
from packaging.version import Version

from nnspec.compose.allowed import in_cells, is_hydras, settled, typed_keys
from nnspec.compose.folders import conf_dir
from nnspec.compose.plugin import find_plugin
from nnspec.compose.sources import EXPERIMENT, Files, Parts, WorkingFolder, bases
from nnspec.errors import Fault, SpecError
from nnspec.parts.loading import load_installed

OWN = "working-folder"  # the provider of the user's own named sweeps


def loader(config_path: str | None = None, config_dir: str | None = None) -> Loader:
    """A loader of nnspec's configs, or of those in the folder ``config_path``; it looks in ``config_dir`` too, and
    first of all in the working folder, for named sweeps.

    Raises:
        SpecError: one of them is no folder.
    """
    if not isinstance(version.getbase(), Version):
        version.setbase(None)
    find_plugin()
    load_installed()
    setup_globals()  # Hydra's resolvers: now, hydra, python_version
    main = conf_dir() if config_path is None else _folder("--config-path", config_path)
    path = create_config_search_path(str(main))
    path.prepend(OWN, f"file://{Path.cwd()}", SearchPathQuery(provider="main", path=None))
    if config_dir is not None:
        extra = f"file://{_folder('--config-dir', config_dir)}"
        path.prepend("command-line", extra, SearchPathQuery(provider="schema", path=None))
    return Loader(path)


def _folder(flag: str, path: str) -> Path:
    try:
        if path and Path(path).is_dir():
            return Path(path).resolve()
    except (OSError, ValueError):  # too long, or with a null byte
        pass
    raise SpecError([Fault(flag, "must be a folder", f"'{path}'", "check the path")])


class Loader(ConfigLoaderImpl):
    """Composes as Hydra does and refuses what a config must not say.

    Whoever composes gets there: Hydra's commands, the sweepers and launchers, and ``Composer``.
    """

    def __init__(self, search_path: ConfigSearchPath):
        self.config_search_path = search_path
        self.repository = Repository(search_path)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """The composed config, with the launcher and the sweeper as they were when they were checked.

        Raises:
            SpecError: it would run code, or a file decides what the command line alone may decide.
            HydraException and others of ``COMPOSE_ERRORS``: it does not compose.
        """
        config = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        return settled(config, overrides)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of one cell, to which no override may say anything about Hydra: it would pass for the command
        line's."""
        keys = [key for key in typed_keys(sweep_overrides) if is_hydras(key)]
        if keys:
            raise SpecError(in_cells(key) for key in keys)
        return super().load_sweep_config(master_config, sweep_overrides)


class Repository(ConfigRepository):
    """Hydra's repository of configs, in which no name leads out of its folder."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Open the places of a search path."""
        self.sources = [self._source(element) for element in config_search_path.get_path()]
        self.sources.insert(-1, Parts("parts", "parts://"))  # Hydra wants its own schemas to be last

    def __deepcopy__(self, memo: dict[int, Any]) -> Repository:
        """A copy with the same sources, which are only ever replaced as a whole: Hydra copies at every composition."""
        return copy.copy(self)

    def _source(self, element: SearchPathElement) -> ConfigSource:
        provider, path = str(element.provider), str(element.path)
        if provider == OWN:
            return WorkingFolder(provider, path)
        if self._get_scheme(path) == Files.scheme():
            return Files(provider, path)
        if provider.startswith("hydra.searchpath"):  # pkg:// and structured:// import the package that they name
            remedy = "give a path, or file:// and a path"
            raise SpecError([Fault("hydra.searchpath", "must name folders only", f"'{path}'", remedy)])
        return SourcesRegistry.instance().resolve(self._get_scheme(path))(provider, path)

    def load_config(self, config_path: str) -> ConfigResult | None:
        """The content of a config, or None where there is no such config.

        Raises:
            SpecError: it is no small file of plain data, or a named sweep that extends itself.
        """
        if config_path.startswith(f"{EXPERIMENT}/"):
            self._refuse_cycle(config_path.removeprefix(f"{EXPERIMENT}/"), ())
        return super().load_config(config_path)

    def _refuse_cycle(self, name: str, above: tuple[str, ...]) -> None:
        if name in above:
            chain = " -> ".join([*above[above.index(name) :], name])
            remedy = "take one of them out of a file's defaults"
            raise SpecError([Fault(f"{EXPERIMENT}={above[0]}", "must not extend itself", chain, remedy)])
        found = super().load_config(f"{EXPERIMENT}/{name}")
        for base in bases(found) if found is not None else ():
            self._refuse_cycle(base, (*above, name))

    def _find_object_source(self, config_path: str, object_type: ObjectType | None) -> ConfigSource | None:
        return super()._find_object_source(_inside(config_path), object_type)

    def get_group_options(self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG) -> list[str]:
        """The names in a group."""
        return super().get_group_options(_inside(group_name), results_filter)


def _inside(config_path: str) -> str:
    parts = config_path.split("/")
    if config_path and ("" in parts or ".." in parts or "\\" in config_path or "\0" in config_path):
        rule = "must be that of a file in its group's folder"
        raise SpecError(
            [Fault("the name of a config", rule, f"'{config_path}'", "put the file there, or see --config-dir")]
        )
    return config_path
