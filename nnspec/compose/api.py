"""Specs and settings from overrides and from composed configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nnspec.catalog.origins import ORIGINS
from nnspec.compose.archived import load_spec as load_spec
from nnspec.compose.archived import with_archived
from nnspec.compose.composer import COMPOSE_ERRORS, Composer, plain
from nnspec.compose.explain import examine_config, one_line, refusal
from nnspec.compose.folders import conf_dir, own_experiments
from nnspec.compose.said import refuse_choices
from nnspec.errors import Fault, SpecError
from nnspec.settings import Settings
from nnspec.specs import RunSpec


def spec(overrides: Sequence[str] = ()) -> RunSpec:
    """The checked spec that overrides state, as on the command line: ``spec(["model=mlp", "activation=gelu"])``.

    Raises:
        SpecError: with every fault of the overrides and of the spec.
    """
    if isinstance(overrides, str):
        raise SpecError(
            [Fault("overrides", "must be a list of texts", f"the text '{overrides}'", f"write ['{overrides}']")]
        )
    return compose(overrides)[0]


def compose(overrides: Sequence[str] = (), composer: Composer | None = None) -> tuple[RunSpec, Settings]:
    """The checked spec and the settings that overrides state."""
    composer = composer or _composer(_stamps())
    lines = with_archived(overrides)
    try:
        container = composer.container(lines)
        _refuse_choices(composer, tuple(lines))
        config = composer.resolved(container)
    except COMPOSE_ERRORS as error:
        raise SpecError(refusal(composer, lines, error)) from None
    return checked_config(config)


_refuse_choices = lru_cache(maxsize=1000)(refuse_choices)


@lru_cache(maxsize=1)
def _composer(stamps: tuple[object, ...]) -> Composer:
    """A composer that keeps what it has composed, as long as nobody changes a config."""
    return Composer()


def _stamps() -> tuple[object, ...]:
    """What tells that a config has been changed."""
    folder = conf_dir()
    files = [*folder.glob("*.yaml"), *folder.glob("*/*.yaml"), *folder.glob("*/*/*.yaml")]
    files += own_experiments(Path.cwd()).glob("**/*.yaml")
    known = [(str(file), file.stat()) for file in sorted(files)]
    return Path.cwd(), len(ORIGINS), *((name, stat.st_mtime_ns, stat.st_size) for name, stat in known)


def checked_config(config: Mapping[str, object]) -> tuple[RunSpec, Settings]:
    """The checked spec and the settings of a composed config, as a plain mapping.

    Raises:
        SpecError: with every fault of both.
    """
    found, settings, faults = examine_config(config)
    if faults or found is None:
        raise SpecError(faults)
    return found, settings


def resolved(config: DictConfig) -> dict[str, Any]:
    """A config of Hydra's as plain data, interpolations resolved.

    Raises:
        SpecError: an interpolation leads nowhere.
    """
    try:
        return plain(config, resolve=True)
    except COMPOSE_ERRORS as error:
        raise SpecError(
            [Fault("the config", "must resolve", one_line(error), "mend the ${...} that it names")]
        ) from None
