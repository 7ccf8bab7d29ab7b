"""What was said of a composed config: which keys, by whom, and whether anything listens to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

from nnspec.compose.composer import COMPOSE_ERRORS, Composer
from nnspec.compose.explain import choice_faults
from nnspec.effects import JOB, MAP, PAGE, RUN, SWEEPS, Command, idle_settings, tell
from nnspec.errors import Fault, SpecError
from nnspec.settings import Settings
from nnspec.specs import SCALARS, TRAIN, RunSpec

USUAL = {"launcher": "basic", "sweeper": "nnspec"}
_FIELDS = frozenset([*(f"train.{param.name}" for param in TRAIN), *(param.name for param in SCALARS)])


def heed(
    hydra: DictConfig,
    composer: Composer,
    specs: Sequence[RunSpec],
    settings: Settings,
    overrides: Sequence[str] | None = None,
    search: bool = False,
    page: bool = False,
) -> None:
    """Refuse or tell what one command says without effect. ``hydra`` is Hydra's own node, of a job or of a multirun,
    whose sweeper then gives its ``overrides``, and says whether it is a ``search``; or what a ``page`` is made of.

    Raises:
        SpecError: for what would change the outcome, had it an effect.
    """
    single = RUN if settings.sweep.map is None else MAP
    mode = JOB if hydra.mode == RunMode.MULTIRUN else single
    kind = PAGE if page else mode if overrides is None else SWEEPS
    lines = stated(hydra.overrides.task) if overrides is None else overrides
    parsed = [composer.parse(line) for line in lines]
    hydras = [composer.parse(line) for line in stated(hydra.overrides.hydra)]
    said = {override.key_or_group: _typed(override) for override in [*parsed, *hydras]} | _hydras(hydra)
    archived = said.get("spec", "null") != "null"
    kept = {key: said[key] for key in said if not archived or key not in _FIELDS}
    command = Command(specs, settings, kind, kept, archived, search)
    refused, told = idle_settings(command)
    if refused:
        raise SpecError(refused)
    if kind != JOB or hydra.job.num == 0:  # once, not in each of its jobs
        tell([*told, *_repeated(parsed)])


def heed_sweep(
    composer: Composer, specs: Sequence[RunSpec], settings: Settings, overrides: Sequence[str], kind: str = SWEEPS
) -> None:
    """Refuse or tell what the overrides of a sweep from Python say without effect; ``kind`` says if it is a map.

    Raises:
        SpecError: for what would change the outcome, had it an effect.
    """
    parsed = [composer.parse(line) for line in overrides]
    archived = any(override.key_or_group == "spec" for override in parsed)
    said = {override.key_or_group: _typed(override) for override in parsed}
    refused, told = idle_settings(Command(specs, settings, kind, said, archived))
    if refused:
        raise SpecError(refused)
    tell([*told, *_repeated(parsed)])


def stated(overrides: ListConfig) -> list[str]:
    """Overrides as they were written: read one by one, OmegaConf would resolve what they interpolate."""
    return cast(list[str], OmegaConf.to_container(overrides, resolve=False))


def refuse_choices(composer: Composer, lines: Sequence[str]) -> None:
    """Refuse what Hydra would take for a choice and nobody means: ``activation={}`` changes nothing, a list takes its
    last.

    Raises:
        SpecError: with a fault for each such override.
    """
    faults = []
    for line in lines:
        with suppress(*COMPOSE_ERRORS):  # which whoever composes the line is told
            faults += choice_faults(composer, composer.parse(line), sweeping=False)
    if faults:
        raise SpecError(faults)


def refuse_axes(composer: Composer, lines: Sequence[str]) -> None:
    """Refuse overrides with several values where there is one recipe.

    Raises:
        SpecError: with a fault for each such override.
    """
    faults = []
    for line in lines:
        with suppress(*COMPOSE_ERRORS):
            override = composer.parse(line)
            if override.is_sweep_override():
                key, remedy = override.key_or_group, "choose one, or train all of them with nnspec run -m"
                faults.append(Fault(key, "must be one value on a page", override.get_value_string(), remedy))
    if faults:
        raise SpecError(faults)


def _typed(override: Override) -> str:
    return str(override.input_line).partition("=")[2]


def _hydras(hydra: DictConfig) -> dict[str, str]:
    """What files and overrides chose of Hydra's own that a single run has no use for."""
    choices = OmegaConf.to_container(hydra.runtime.choices)
    assert isinstance(choices, dict)
    said = {
        f"hydra/{group}": str(choices[f"hydra/{group}"])
        for group, usual in USUAL.items()
        if choices.get(f"hydra/{group}") != usual
    }
    axes = hydra.sweeper.get("params")
    return said | ({"hydra.sweeper.params": ", ".join(map(str, axes))} if axes else {})


def _repeated(overrides: Sequence[Override]) -> list[Fault]:
    """A line for each key that is said more than once: Hydra takes the last."""
    counts = Counter(override.get_key_element() for override in overrides)
    values = {
        key: [_typed(o) for o in overrides if o.get_key_element() == key] for key, count in counts.items() if count > 1
    }
    rule = "is said more than once ({}) and the last counts"
    return [Fault(key, rule.format(", ".join(said)), remedy="keep one") for key, said in values.items()]
