"""Which group choices can be exchanged without composing again.

A choice is a leaf if its file has no defaults of its own, and if no other file of the composition writes below the key
where it goes. Then choosing another leaf of the group replaces that section and touches nothing else, so that a product
of groups needs one composition and one small file an option. Whatever is not plainly so is left to Hydra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf

from nnspec.compose.composer import Composer
from nnspec.sweep.axes import Axis


@dataclass(frozen=True)
class Leaf:
    """The section ``key`` that each value of a group axis gives."""

    key: str
    sections: tuple[dict[str, Any], ...]


def leaves(composer: Composer, lines: Sequence[str], axes: Sequence[Axis]) -> list[Leaf] | None:
    """The leaf of each group axis, in their order; None if one of them is none.

    ``lines`` are the overrides of the first row, which compose.
    """
    overrides = [*composer.hydra_overrides, *lines]
    defaults = composer.loader.compute_defaults_list(composer.config_name, overrides, RunMode.RUN).defaults
    writers: dict[str, int] = {}
    for element in defaults:
        if str(element.config_path).startswith("hydra/"):
            continue
        loaded = _load(composer, str(element.config_path))
        if loaded is None or _interpolates(loaded.config):
            return None
        for key in _written(loaded, element.package):
            writers[key] = writers.get(key, 0) + 1
    found = [_leaf(composer, axis, defaults, writers) for axis in axes]
    return None if any(leaf is None for leaf in found) else [leaf for leaf in found if leaf is not None]


def _leaf(composer: Composer, axis: Axis, defaults: Sequence[Any], writers: dict[str, int]) -> Leaf | None:
    elements = [e for e in defaults if e.override_key == axis.key]
    if len(elements) != 1 or not elements[0].package:
        return None
    path, package = str(elements[0].config_path), str(elements[0].package).split(".")
    group = path.removesuffix(f"/{axis.values[0]}")
    if group == path or writers.get(package[0]) != 1 or package[0] in ("hydra", "_global_"):
        return None
    first = _load(composer, path)
    sections = []
    for value in axis.values:
        loaded = _load(composer, f"{group}/{value}") if isinstance(value, str) else None
        if (
            first is None
            or loaded is None
            or "defaults" in loaded.config
            or loaded.header["package"] != first.header["package"]
        ):
            return None
        section = OmegaConf.to_container(loaded.config, resolve=False)
        for part in reversed(package[1:]):
            section = {part: section}
        assert isinstance(section, dict)
        sections.append({str(key): content for key, content in section.items()})
    return Leaf(package[0], tuple(sections))


def _load(composer: Composer, path: str) -> ConfigResult | None:
    """The file itself; None where it is missing, no mapping, named after its option, or typed by a schema."""
    sources = [source for source in composer.loader.get_sources() if source.is_config(path)]
    if not sources or any(source.scheme() == "structured" for source in sources):
        return None
    loaded = sources[0].load_config(path)
    named = "_name_" in str(loaded.header["package"])
    return loaded if isinstance(loaded.config, DictConfig) and not named else None


def _written(loaded: ConfigResult, package: str | None) -> set[str]:
    where = loaded.header["package"] if package is None else package
    if where and where != "_global_":
        return {where.split(".")[0]}
    return {str(key) for key in loaded.config} - {"defaults"}


def _interpolates(config: Container) -> bool:
    written = OmegaConf.to_container(config, resolve=False)
    return isinstance(written, dict) and "${" in str(written.get("defaults"))
