"""``nnspec run``: Hydra's application, with its errors translated.

Hydra's flags (-m, --cfg, --info, --help, --config-dir, ...) are parsed here, once, and its commands called with a
loader of ours, which checks whatever is composed before Hydra instantiates anything. Whatever the job raises passes
through Hydra as a ``Carried``, which is no ``Exception``, so that Hydra adds no text of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nnspec.cli.flags import Flags, UsageError
from nnspec.compose.carried import Carried, carried
from nnspec.errors import Fault, NnspecError, PathError, SpecError

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

    from nnspec.compose.composer import Composer
    from nnspec.execute.engine import Carry
    from nnspec.settings import Settings
    from nnspec.specs import RunSpec

CONFIG = "config"
# flags that are keys
FLAGS = {"plan": "sweep.plan_only=true", "timings": "timings=true", "quiet": "quiet=true", "json": "json=true"}


def run(arguments: Sequence[str]) -> int:
    """Run Hydra's application with ``arguments`` and return the exit status."""
    from nnspec.cli.main import full_errors
    from nnspec.compose import loader, with_archived
    from nnspec.compose.composer import COMPOSE_ERRORS

    parser = _parser()
    try:
        flags = parser.parsed(arguments)
        if flags.help:
            from nnspec.cli.run_help import help_text

            print(help_text(parser.flags(), (*FLAGS, "zoom", "multirun", "help")), end="")
            return 0
        _require_one_command(flags)
        said = [override for flag, override in FLAGS.items() if getattr(flags, flag)]
        said += [] if flags.zoom is None else [f"sweep.zoom={flags.zoom}"]
        overrides = opened([*with_archived(flags.overrides), *said], flags.multirun)
        configs = loader(flags.config_path, flags.config_dir)
        try:
            _call(parser, flags, overrides, configs)
        except COMPOSE_ERRORS as error:
            if full_errors():
                raise
            raise translated(flags, overrides, configs, error) from None
    except Carried as carried:
        raise carried.error from None
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _parser() -> Flags:
    """Hydra's flags and ours."""
    from hydra._internal.utils import get_args_parser

    parser = Flags("run", "Trains a spec or a sweep.", parents=[get_args_parser()], add_help=False)
    parser.add_argument("--plan", action="store_true", help="show what would train together, and train nothing")
    parser.add_argument("--timings", action="store_true", help="say where the time went")
    parser.add_argument("--quiet", "-q", action="store_true", help="print errors only, and show no progress")
    zoom = "train this part of the map that sweep.map states, at its full count"
    parser.add_argument("--zoom", type=zoomed, metavar="X0:X1,Y0:Y1", help=zoom)
    parser.json()
    parser.parts()
    return parser


def zoomed(value: str) -> str:
    """The part of a map as ``sweep.zoom`` takes it, for argparse."""
    try:
        parts = [[float(end) for end in part.split(":")] for part in value.split(",")]
    except ValueError:
        parts = []
    if [len(part) for part in parts] != [2, 2]:
        raise argparse.ArgumentTypeError(f"must be X0:X1,Y0:Y1 in numbers, but got '{value}'; try 0.1:1,0.5:2")
    return "[" + ",".join(f"[{low!r},{high!r}]" for low, high in parts) + "]"


def _require_one_command(flags: argparse.Namespace) -> None:
    if flags.experimental_rerun is not None:
        raise NnspecError(
            "--experimental-rerun reads a pickle, which can run any code; give spec=spec.yaml of the run instead"
        )
    commands = (flags.run, flags.multirun, flags.cfg, flags.info, flags.shell_completion)
    if sum(command is not None and command is not False for command in commands) > 1:
        raise UsageError(
            "only one of --run, --multirun, --cfg, --info and --shell-completion can be given; keep one of them"
        )
    if flags.resolve and not flags.cfg:
        raise UsageError("--resolve goes with --cfg; add it, or leave --resolve out")
    if flags.json and (flags.cfg or flags.info or flags.shell_completion):
        raise UsageError("--json goes with training and --plan, but Hydra's own commands print text; leave it out")


def _call(parser: Flags, flags: argparse.Namespace, overrides: list[str], configs: Any) -> None:
    """Call the command of Hydra's that the flags name."""
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra

    version.setbase(None)
    hydra, name = Hydra("nnspec", configs), flags.config_name or CONFIG
    flags.overrides = overrides
    GlobalHydra.instance().clear()
    GlobalHydra.instance().initialize(hydra)
    try:
        if flags.hydra_help:
            hydra.hydra_help(config_name=name, args_parser=parser, args=flags)
        elif flags.cfg:
            hydra.show_cfg(name, overrides, flags.cfg, flags.package, flags.resolve)
        elif flags.shell_completion:
            hydra.shell_completion(config_name=name, overrides=overrides)
        elif flags.info:
            hydra.show_info(flags.info, config_name=name, overrides=overrides)
        else:
            _train(hydra, name, overrides, flags.multirun)
    finally:
        GlobalHydra.instance().clear()


def _train(hydra: Hydra, name: str, overrides: list[str], multirun: bool) -> None:
    """One job, or a sweep where the flag, an override or an experiment says so."""
    from hydra.types import RunMode

    sweeping = multirun or hydra.get_mode(name, overrides) == RunMode.MULTIRUN
    mode = RunMode.MULTIRUN if sweeping else RunMode.RUN
    start = hydra.multirun if sweeping else hydra.run
    start(
        config_name=name,
        task_function=lambda config: carried(lambda: job(config)),
        overrides=[*overrides, f"hydra.mode={mode.name}"],
    )


def opened(overrides: Sequence[str], multirun: bool) -> list[str]:
    """``overrides`` with ``activation.negative_slope=0.2`` as a choice of one where ``activation`` is swept.

    Hydra composes a multirun once with none of its sweeps, where that key need not exist; a choice waits for the cells.
    """
    if not multirun:
        return list(overrides)
    from hydra.core.override_parser.types import OverrideType

    from nnspec.compose.archived import where_keys
    from nnspec.compose.composer import COMPOSE_ERRORS, Composer

    composer, parsed = Composer(), {}
    for word in overrides:
        with suppress(*COMPOSE_ERRORS):
            parsed[word] = composer.parse(word)
    swept = {override.key_or_group for override in parsed.values() if override.is_sweep_override()}
    swept |= set(where_keys(overrides))
    for word, override in parsed.items():
        key = override.key_or_group
        waits = (
            override.type == OverrideType.CHANGE
            and not override.is_sweep_override()
            and "." in key
            and key.split(".")[0] in swept
        )
        parsed[word] = composer.parse(f"{key}=choice({override.get_value_element_as_str()})") if waits else override
    return [str(parsed[word].input_line) if word in parsed else word for word in overrides]


def translated(flags: argparse.Namespace, overrides: Sequence[str], configs: Any, error: Exception) -> NnspecError:
    """What was wrong with the command line, which Hydra refused."""
    from nnspec.compose import Composer, explain
    from nnspec.search.space import with_ends
    from nnspec.sweep import plan

    composer = Composer(configs, flags.config_name or CONFIG)
    if not flags.multirun and not _multirun(composer, overrides):
        faults = explain(composer, overrides)
        return SpecError(faults) if faults else _unexplained(error, "hydra.run.dir")
    if "hydra/sweeper=nnspec_search" in overrides:
        overrides, found = with_ends(composer, overrides)  # what lies between is no axis of a sweep
        if found:
            return SpecError(found)
    try:
        plan(overrides, composer)
    except SpecError as refused:
        return refused
    return _unexplained(error, "hydra.sweep.dir")


def _unexplained(error: Exception, key: str) -> NnspecError:
    """An error of Hydra's that the configs do not explain; ``key`` says which folder it writes first."""
    from nnspec.compose.explain import one_line

    if isinstance(error, OSError) and error.filename is not None:
        value = f"'{error.filename}' ({error.strerror})"
        remedy = f"go to a folder that you may write, or name one with {key}=FOLDER"
        return PathError(Fault(key, "must be a folder that can be written", value, remedy))
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
    if settings.sweep.map is not None:
        _map(spec, settings, command_line(), lambda: heed(hydra, composer, [spec], settings))
        return None
    heed(hydra, composer, [spec], settings)
    from nnspec import runner

    outcome = runner.run([Cell(spec)], settings, axes=(), sweep=False, command=command_line())
    status = outcome.exit_status
    if settings.remedy and not settings.sweep.plan_only:
        from nnspec.cli.remedy import after_run

        status = after_run(outcome, settings) or status
    if status:
        raise SystemExit(status)
    return getattr(outcome, "objective", None)


def _launcher() -> Carry | None:
    """What trains the pieces of a map where another launcher of Hydra's than the basic one is chosen: its jobs."""
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import HydraContext

    from nnspec.execute.launchers import chosen_launcher

    context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
    return chosen_launcher(context, HydraConfig.instance().cfg)


def _map(spec: RunSpec, settings: Settings, command: str, heeded: Callable[[], None]) -> None:
    """A job that is a map: which axes it can have is said before what has no effect beside them."""
    from nnspec.maps.axes import axes_of

    axes = axes_of(spec, settings.sweep)
    heeded()
    from nnspec.maps.command import run_map
    from nnspec.maps.study import run_map_study

    if settings.study is None:
        status = run_map(spec, axes, settings, command, carry=_launcher()).exit_status
    else:
        status = run_map_study([spec], settings, command, carry=_launcher()).exit_status
    if status:
        raise SystemExit(status)
