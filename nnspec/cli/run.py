"""``nnspec run``: Hydra's application, with its errors translated.

Hydra owns the command line (-m, --cfg, --info, --help, --config-dir, hydra.*). It is told to raise its errors
(HYDRA_FULL_ERROR) instead of printing them, and whatever the job raises passes through it as a ``Carried``, which is
no ``Exception``, so that Hydra adds no text of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.compose.carried import Carried, carried
from nnspec.errors import NnspecError, SpecError

if TYPE_CHECKING:
    from nnspec.compose.composer import Composer

FLAGS = {"--plan": "sweep.plan_only=true", "--timings": "timings=true"}


def run(arguments: Sequence[str]) -> int:
    """Run Hydra's application with ``arguments`` and return the exit status."""
    from nnspec.cli.main import full_errors
    from nnspec.compose import find_plugin, with_archived

    find_plugin()
    words = opened(with_archived(ordered([FLAGS.get(word, word) for word in arguments])))
    show_all = full_errors()
    _refuse_pickles(words)
    refuse_targets(words)
    try:
        with _environment(words):
            _application()()
    except Carried as carried:
        raise carried.error from None
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except NnspecError:
        raise
    except Exception as error:
        if show_all:
            raise
        raise translated(words, error) from None
    return 0


def _refuse_pickles(words: Sequence[str]) -> None:
    if any(word.startswith("--experimental-rerun") for word in words):
        raise NnspecError("--experimental-rerun reads a pickle, which can run any code; give spec=spec.yaml of the run instead")


def ordered(words: Sequence[str]) -> list[str]:
    """``words`` with the overrides behind the flags: Hydra's argparse takes them in one piece only."""
    overrides = [word for word in words if not word.startswith("-") and ("=" in word or word.startswith("~"))]
    return [*(word for word in words if word not in overrides), *overrides]


def opened(words: Sequence[str]) -> list[str]:
    """``words`` with ``activation.negative_slope=0.2`` as a choice of one where ``activation`` is swept.

    Hydra composes a multirun once with none of its sweeps, where that key need not exist; a choice waits for the cells.
    """
    if not {"-m", "--multirun"} & set(words):
        return list(words)
    from hydra.core.override_parser.types import OverrideType

    from nnspec.compose.composer import COMPOSE_ERRORS, Composer

    composer, parsed = Composer(), {}
    for word in words:
        with suppress(*COMPOSE_ERRORS):
            parsed[word] = composer.parse(word)
    swept = {override.key_or_group for override in parsed.values() if override.is_sweep_override()}
    for word, override in parsed.items():
        key = override.key_or_group
        waits = override.type == OverrideType.CHANGE and not override.is_sweep_override() and "." in key and key.split(".")[0] in swept
        parsed[word] = composer.parse(f"{key}=choice({override.get_value_element_as_str()})") if waits else override
    return [str(parsed[word].input_line) if word in parsed else word for word in words]


def refuse_targets(words: Sequence[str]) -> None:
    """Refuse a ``_target_`` for Hydra's own node: Hydra would call it before any check of ours."""
    from nnspec.compose import Composer, hydra_targets

    if any("_target_" in word for word in words):
        faults = hydra_targets(Composer(), [word for word in words if not word.startswith("-")])
        if faults:
            raise SpecError(faults)


def translated(words: Sequence[str], error: Exception) -> Exception:
    """What was wrong with the command line, if Hydra refused it; otherwise the error itself."""
    from hydra._internal.utils import get_args_parser

    from nnspec.compose import Composer, explain
    from nnspec.compose.composer import COMPOSE_ERRORS
    from nnspec.compose.explain import one_line
    from nnspec.sweep import plan

    if not isinstance(error, COMPOSE_ERRORS):
        return error
    known, _ = get_args_parser().parse_known_args(list(words))
    composer = Composer(_loader(known), known.config_name or "config")
    if not known.multirun and not _multirun(composer, known.overrides):
        faults = explain(composer, known.overrides)
        return SpecError(faults) if faults else NnspecError(one_line(error))
    try:
        plan(known.overrides, composer)
    except SpecError as refused:
        return refused
    return NnspecError(one_line(error))


def _multirun(composer: Composer, overrides: Sequence[str]) -> bool:
    """Whether one of the overrides alone, as an experiment's, says that this is a sweep."""
    from hydra.types import RunMode

    from nnspec.compose.composer import COMPOSE_ERRORS

    for line in overrides:
        if line.split("=", 1)[0] in ("experiment", "hydra.mode"):
            try:
                if composer.config([line]).hydra.mode == RunMode.MULTIRUN:
                    return True
            except COMPOSE_ERRORS:
                continue
    return False


def _loader(flags: Any) -> Any:
    """Hydra's loader for the search path that the flags state."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery

    from nnspec.compose import conf_dir

    search_path = create_config_search_path(flags.config_path or str(conf_dir()))
    if flags.config_dir is not None:
        extra = f"file://{Path(flags.config_dir).resolve()}"
        search_path.prepend("command-line", extra, SearchPathQuery(provider="schema", path=None))
    return ConfigLoaderImpl(search_path)


@contextmanager
def _environment(words: Sequence[str]) -> Iterator[None]:
    """The arguments and the environment that Hydra's entry reads; both are put back."""
    argv, before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0], *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _application() -> Any:
    import hydra

    from nnspec.compose import conf_dir

    @hydra.main(version_base=None, config_path=str(conf_dir()), config_name="config")
    def application(config: Any) -> float | None:
        return carried(lambda: job(config))

    return application


def job(config: Any) -> float | None:
    """One job of Hydra: one cell, trained and filed. Returns the median final loss, for sweepers that optimise."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    from nnspec.compose import Composer, checked_config, command_line, heed, refuse_choices, resolved, stated
    from nnspec.sweep import Cell

    hydra: Any = HydraConfig.get()
    composer = Composer(GlobalHydra.instance().config_loader())
    refuse_choices(composer, stated(hydra.overrides.task))
    spec, settings = checked_config(resolved(config))
    heed(hydra, composer, [spec], settings)
    from nnspec import runner

    outcome = runner.run([Cell(spec)], settings, axes=(), sweep=False, command=command_line())
    if outcome.exit_status:
        raise SystemExit(outcome.exit_status)
    loss: float | None = getattr(outcome, "objective", None)
    return loss
