"""Maps from Python: trained, and back from a store."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.api.training import settings_of
from nnspec.compose import Composer, compose, heed_sweep
from nnspec.effects import MAP
from nnspec.errors import Fault, SpecError, TrainingError
from nnspec.maps.axes import axes_of
from nnspec.maps.command import MapOutcome, run_map
from nnspec.maps.filing import read_map
from nnspec.maps.result import Map
from nnspec.maps.study import MapStudy, run_map_study
from nnspec.settings import Settings
from nnspec.specs import RunSpec
from nnspec.sweep import plan as expand_all
from nnspec.tracking import find_run, opened


def map(
    overrides: Sequence[str],
    *,
    tracking: bool | str = False,
    workers: int | None = None,
    progress: bool = False,
) -> Map:
    """Train a map over two continuous parameters, one network a pixel, as ``nnspec run`` does with ``sweep.map``:
    ``nnspec.map(["optimizer=sgd", "sweep.map=[[optimizer.lr,0.01,1000,log,64],[init.gain,0.1,10,log,64]]"])``.

    It prints as the command line does; its arrays are [y, x], ``figure()`` draws it. ``tracking`` files it: True where
    the command line would, or the URI of a store. ``progress`` shows what the command line shows.

    Raises:
        SpecError: with every fault of the overrides, or if it does not fit into memory.
        TrainingError: pixels could not be trained.
    """
    if isinstance(overrides, (str, RunSpec)):
        remedy = "write nnspec.map(['optimizer=sgd', 'sweep.map=[...]'])"
        raise SpecError([Fault("overrides", "must be a list of texts", f"'{overrides!s:.80}'", remedy)])
    spec, stated = compose(overrides)
    if stated.sweep.map is None:
        raise SpecError([Fault("sweep.map", "must be said in nnspec.map", "null", "say its axes, or use nnspec.train")])
    _refuse_flags(stated, "map")
    if stated.study is not None:
        raise SpecError([Fault("study", "must be left out of nnspec.map", "a study", "use nnspec.map_study")])
    settings = settings_of(stated, tracking, workers)
    axes = axes_of(spec, settings.sweep)
    heed_sweep(Composer(), [spec], settings, overrides, MAP)
    outcome = run_map(spec, axes, settings, f"nnspec.map({list(overrides)})", quiet=not progress)
    _refuse_unfinished(outcome)
    assert outcome.map is not None
    return outcome.map


def map_study(
    overrides: Sequence[str],
    *,
    tracking: bool | str = False,
    workers: int | None = None,
    progress: bool = False,
) -> MapStudy:
    """Train the maps of a study and judge its claims: ``nnspec.map_study(["experiment=fractal_boundary"])``. Each of
    ``replicates`` seeds has maps of its own; the arguments are those of ``nnspec.map``.

    Raises:
        SpecError: with every fault of every cell, if its claims cannot be answered, or it does not fit into memory.
        TrainingError: pixels could not be trained.
    """
    composer = Composer()
    expanded, stated = expand_all(overrides, composer)
    if stated.sweep.map is None or stated.study is None:
        rule, remedy = "must have a study and sweep.map in nnspec.map_study", "use nnspec.sweep, or nnspec.map"
        raise SpecError([Fault("overrides", rule, f"{list(overrides)}", remedy)])
    _refuse_flags(stated, "map_study")
    settings = settings_of(stated, tracking, workers)
    specs = [cell.spec for cell in expanded.cells]
    heed_sweep(composer, specs, settings, overrides)
    found = run_map_study(specs, settings, f"nnspec.map_study({list(overrides)})", quiet=not progress)
    _refuse_unfinished(found)
    return found


def _refuse_flags(stated: Settings, name: str) -> None:
    if stated.sweep.plan_only or stated.json or stated.quiet:
        rule = f"must be false in nnspec.{name}, which returns what came out"
        raise SpecError([Fault("sweep.plan_only, json and quiet", rule, "true", "leave them out")])


def _refuse_unfinished(outcome: MapOutcome | MapStudy) -> None:
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.lost:
        raise TrainingError("; ".join(dict.fromkeys(outcome.lost)))


def load_map(run: str, *, uri: str | None = None) -> Map:
    """A map that was filed, as ``nnspec.map`` gives it. Runs are named as on the command line.

    Raises:
        TrackingError: there is no such run, it is no map, or what it filed is not as it must be.
    """
    with opened(uri) as store:
        return read_map(store, find_run(store, run))
