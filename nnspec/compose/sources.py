"""Where configs are read from: folders of small YAML files, each plain data, and the user's own named sweeps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.default_element import ConfigDefault
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

from nnspec.catalog import REGISTRIES, entry_name, unsaid
from nnspec.catalog.origins import origin_of
from nnspec.compose.folders import conf_dir, own_experiments
from nnspec.errors import Fault, SpecError
from nnspec.files import YAML_BYTES, load_yaml, read_bytes
from nnspec.terminal import complain

EXPERIMENT = "experiment"  # the group of the named sweeps
SUFFIX = ".yaml"


class Files(FileConfigSource):
    """A folder of config files, each a small YAML file of plain data."""

    def file(self, config_path: str) -> Path:
        """Where a config is, or would be. An alias of an entry's name stands for that entry's file."""
        own = Path(self.path, self._normalize_file_name(config_path))
        group, _, name = config_path.rpartition("/")
        if _is_file(own) or group not in REGISTRIES:
            return own
        return Path(self.path, self._normalize_file_name(f"{group}/{entry_name(group, name)}"))

    def is_config(self, config_path: str) -> bool:
        """Whether there is such a file."""
        return _is_file(self.file(config_path))

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of a file. A named sweep speaks of the whole config, with a header that says so or without.

        Raises:
            SpecError: it is not such a file.
        """
        path = self.file(config_path)
        try:
            content = read_bytes(path, YAML_BYTES)
            data = _plain_data(content)
            if data is not None and not isinstance(data, dict):
                raise ValueError("it holds no mapping")
            header = self._get_header_dict(content.decode()[:512])
        except (OSError, ValueError) as error:
            rule = f"must be a plain YAML file ({getattr(error, 'strerror', None) or error})"
            raise SpecError([Fault(f"the config '{config_path}'", rule, f"'{path}'", "mend the file")]) from None
        if config_path.startswith(f"{EXPERIMENT}/"):
            header["package"] = header["package"] or "_global_"
        config = OmegaConf.create(_completed(config_path.partition("/")[0], data or {}))
        return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", config, header)


class WorkingFolder(Files):
    """The user's own named sweeps: ``experiment=mine`` is ``experiments/mine.yaml`` in the working folder, and
    ``experiment=sub/mine.yaml`` that file. Nothing else is read from there."""

    def file(self, config_path: str) -> Path:
        """Where a named sweep is, or would be: a name with its ending is a path from the working folder first."""
        name = config_path.removeprefix(f"{EXPERIMENT}/")
        own = own_experiments(self.path) / self._normalize_file_name(name)
        said = Path(self.path, name)
        return said if name.endswith(SUFFIX) and _is_file(said) else own

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of a named sweep.

        Raises:
            SpecError: it is no small file of plain data, or a link leads out of the working folder.
        """
        path = self.file(config_path)
        if not path.resolve().is_relative_to(Path(self.path).resolve()):
            rule = "must be in the working folder, links followed"
            raise SpecError([Fault(f"the config '{config_path}'", rule, f"'{path}'", "copy the file into it")])
        hidden = conf_dir() / f"{config_path}{SUFFIX}"
        if hidden.is_file() and not hidden.samefile(path):
            _say_hidden(config_path.replace("/", "=", 1), str(path.relative_to(self.path)))
        return super().load_config(config_path)

    def available(self) -> bool:
        """Always: a folder without named sweeps is no fault."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether it is the group of named sweeps, or a folder within."""
        return _is_named(config_path) and self._folder(config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether there is such a named sweep."""
        return _is_named(config_path) and config_path != EXPERIMENT and _is_file(self.file(config_path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The names in the group, of files or of folders."""
        found: list[str] = []
        for path in self._folder(config_path).iterdir():
            self._list_add_result(found, f"{config_path}/{path.name}", path.name, results_filter)
        return sorted(found)

    def _folder(self, config_path: str) -> Path:
        return own_experiments(self.path) / config_path.removeprefix(EXPERIMENT).lstrip("/")


class Parts(ConfigSource):
    """The user's own parts as configs, each of its name and its parameters' defaults."""

    @staticmethod
    def scheme() -> str:
        return "parts"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether it is a group that has such parts."""
        return bool(self.list(config_path, ObjectType.CONFIG))

    def is_config(self, config_path: str) -> bool:
        """Whether there is such a part."""
        group, _, name = self._bare(config_path).partition("/")
        return name in self.list(group, ObjectType.CONFIG)

    def load_config(self, config_path: str) -> ConfigResult:
        """The config of a part."""
        group, _, name = self._bare(config_path).partition("/")
        params = {param.name: param.default for param in REGISTRIES[group][name].params}
        config = OmegaConf.create(_completed(group, {"name": name, **plain_values(params)}))
        header: dict[str, str | None] = {"package": None}
        return ConfigResult(self.provider, f"{self.scheme()}://", config, header)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The names of the parts in a group."""
        if config_path not in REGISTRIES or results_filter == ObjectType.GROUP:
            return []
        return sorted(entry.name for entry in REGISTRIES[config_path] if origin_of(entry) is not None)

    def _bare(self, config_path: str) -> str:
        return config_path.removesuffix(SUFFIX)


def plain_values(params: Mapping[str, object]) -> dict[str, object]:
    """Parameters as OmegaConf takes them: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in params.items()}


def _completed(group: str, data: dict[str, Any]) -> dict[str, Any]:
    """A member's config with the parameters that its file need not have: a spec has them where somebody says them."""
    if group not in REGISTRIES:
        return data
    more = plain_values(unsaid(group, str(data.get("name"))))
    return data | {name: value for name, value in more.items() if name not in data}


def bases(result: ConfigResult) -> Iterator[str]:
    """The named sweeps that one extends: the plain names in its defaults."""
    for item in result.defaults_list or ():
        if isinstance(item, ConfigDefault) and not item.is_self() and item.path and "${" not in item.path:
            yield item.path.removeprefix(f"/{EXPERIMENT}/")


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  # false for names that no file can have, of which pathlib makes errors


def _is_named(config_path: str) -> bool:
    return config_path.split("/", 1)[0] == EXPERIMENT


@cache
def _say_hidden(choice: str, path: str) -> None:
    complain(f"{choice} is {path} here, not the one of that name that nnspec comes with")


@lru_cache(maxsize=128)
def _plain_data(content: bytes) -> Any:
    """What a file of that content says, not to be changed: the same few files are read in every composition."""
    return load_yaml(content, get_yaml_loader())
