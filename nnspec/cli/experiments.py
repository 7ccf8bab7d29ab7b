"""``nnspec experiments``: the studies with question, cost and last verdict; running them, and their pages for git."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.cli.flags import Flags, UsageError
from nnspec.compose.folders import experiment_files, own_experiments
from nnspec.documents import document
from nnspec.errors import Fault, NnspecError, SpecError, nearest
from nnspec.files import write_folder
from nnspec.settings import Settings, examine_settings, split
from nnspec.study import Study
from nnspec.terminal import complain

if TYPE_CHECKING:
    from nnspec.api.result import TrainResult
    from nnspec.compose import Composer
    from nnspec.maps.study import MapStudy
    from nnspec.specs import RunSpec

RESULTS = "results"  # below experiments/
ALL = "all"
_VERDICT = re.compile(r"^verdict: (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Planned:
    """One named sweep: what it asks, what it costs, and how its claims came out last."""

    name: str
    study: Study | None
    search: bool
    cells: int  # of a search its trials
    networks: int
    updates: int  # of all networks together
    last: str | None

    def info(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        question = None if self.study is None else self.study.question
        claims = 0 if self.study is None else len(self.study.claims)
        return {
            "name": self.name,
            "question": question,
            "claims": claims,
            "cells": self.cells,
            "networks": self.networks,
            "updates": self.updates,
            "last_verdict": self.last,
        }


def experiments(arguments: Sequence[str]) -> int:
    """List the studies, or run some, or all, and write what came out."""
    parser = Flags("experiments", "The studies: what each asks and costs, how its claims came out; and running them.")
    parser.add_argument(
        "--run", nargs="+", metavar="NAME", help=f"studies to run, or '{ALL}'; without it they are listed"
    )
    folder = own_experiments() / RESULTS
    parser.add_argument(
        "--results", type=Path, default=folder, metavar="FOLDER", help=f"of the pages; {folder} unless said"
    )
    parser.add_argument("--file", action="store_true", help="file the sweeps in MLflow too, as run.py does")
    parser.json()
    parser.parts()
    asked = parser.parsed(arguments)
    files = experiment_files()
    if not asked.run:
        if asked.file:
            raise UsageError("--file goes with --run; say which studies to run, or leave it out")
        found = list(_planned(files, asked.results))
        print(document([each.info() for each in found]) if asked.json else "\n".join(_table(found)))
        return int(len(found) < len(files))
    return _run(_chosen(asked.run, files), asked.results, asked.file, asked.json)


def _chosen(names: Sequence[str], files: Mapping[str, Path]) -> list[str]:
    for name in names:
        if name not in files and name != ALL:
            raise UsageError(f"there is no study '{name}'; {nearest(name, [*files, ALL])}")
    return list(files) if ALL in names else list(dict.fromkeys(names))


def _planned(names: Iterable[str], results: Path) -> Iterator[Planned]:
    """The named sweeps; ``results`` is the folder of the pages of earlier runs. One that is not as it must be is told,
    and left out."""
    from nnspec.compose import Composer
    from nnspec.duration import updates

    composer = Composer()
    for name in names:
        try:
            specs, settings = _stated(name, composer)
        except NnspecError as error:
            complain(f"{name}: {error}")
            continue
        each = _pixels(settings)
        networks = sum(spec.replicates for spec in specs) * each
        work = sum(spec.replicates * updates(spec) for spec in specs) * each
        last = _last(results / f"{name}.md")
        yield Planned(name, settings.study, settings.sweep.trials is not None, len(specs), networks, work, last)


def _override(name: str) -> str:
    """What chooses a named sweep, whatever is in its name."""
    from nnspec.compose.stating import typed

    return f"experiment={typed(name)}"


def _stated(name: str, composer: Composer) -> tuple[list[RunSpec], Settings]:
    """The specs and the settings of a named sweep; of a search, whose cells nobody knows, its costliest end as often as
    it has trials.

    Raises:
        SpecError: with every fault of every cell.
    """
    from nnspec.compose.composer import COMPOSE_ERRORS
    from nnspec.duration import updates
    from nnspec.search.space import Space
    from nnspec.sweep import plan
    from nnspec.sweep.expand import named_axes

    override = _override(name)
    try:
        settings = examine_settings(split(composer.mapping([override]))[1])[0]
    except COMPOSE_ERRORS:
        settings = Settings()  # the plan says what is wrong
    if settings.sweep.trials is None:
        found, settings = plan([override], composer)
        return [cell.spec for cell in found.cells], settings
    ends = Space([*named_axes(composer, [override]), override], settings, composer).specs
    costliest = max(ends, key=lambda spec: spec.replicates * updates(spec))
    return [costliest] * settings.sweep.trials, settings


def _pixels(settings: Settings) -> int:
    """The networks of one seed of a cell: one, or those of its maps."""
    axes = settings.sweep.map
    return 1 if axes is None else axes[0][-1] * axes[1][-1] * (settings.sweep.zooms + 1)


def _last(page: Path) -> str | None:
    found = _VERDICT.search(page.read_text("utf-8", errors="replace")) if page.is_file() else None
    return found[1] if found else None


def _table(found: Sequence[Planned]) -> Iterator[str]:
    width = max(len(each.name) for each in found)
    yield f"{'study':<{width}}  {'networks':>9}  {'updates':>8}  {'last verdict':<12}  question"
    for each in found:
        unasked = "(a search)" if each.search else "(no claims)"
        question = unasked if each.study is None else each.study.question
        cost = f"{each.networks:>9,}  {each.updates / 1e6:>7.3g}M"
        yield f"{each.name:<{width}}  {cost}  {each.last or '-':<12}  {question}"


def _run(names: Sequence[str], results: Path, file: bool, as_json: bool) -> int:
    """Run studies one after the other; the page of each is written as soon as it is known."""
    from nnspec.claims.writing import content, lines, tally

    write_folder("--results", results, {})  # refused before anything trains
    status, infos = 0, []
    for name in names:
        started = time.perf_counter()
        try:
            result = _trained(name, file)
        except NnspecError as error:  # the others still run
            complain(f"{name}: {error}")
            status = max(status, error.exit_status)
            continue
        study, judged = result.study, result.claims
        spent = time.perf_counter() - started
        status = max(status, result.exit_status)
        if study is None:
            if not as_json:
                print(f"{name}: no claims to judge ({spent:.1f} s)", flush=True)
            continue
        for fault in result.unjudged:
            complain(f"{name}: {fault}")
        elsewhere = len(study.claims) - len(judged) - len(result.unjudged)
        if elsewhere:
            complain(f"{name}: {elsewhere} claims speak of cells that it does not have")
            status = max(status, 1)
        if not judged:
            continue
        _write(name, result, results)
        if as_json:
            infos.append({"name": name, **content(study, judged)})
            continue
        print(f"{name}: {tally(judged)} ({spent:.1f} s)", flush=True)
        if any(not each.as_expected for each in judged):
            print("\n".join(f"    {line}" for line in lines(study, judged)), flush=True)
    if as_json:
        print(document(infos))
    return status


def _trained(name: str, file: bool) -> TrainResult | MapStudy:
    """What a study gave, of networks or of maps.

    Raises:
        SpecError: it is a search, or cannot be trained as it is.
    """
    from nnspec.api.maps import map_study
    from nnspec.api.training import sweep
    from nnspec.compose import Composer

    override = _override(name)
    settings = _stated(name, Composer())[1].sweep
    if settings.trials is not None:
        remedy = f"run it with: {shlex.join(['nnspec', 'run', '-m', 'hydra/sweeper=nnspec_search', override])}"
        raise SpecError([Fault("a study", "must have cells that are known beforehand", "a search", remedy)])
    return map_study([override], tracking=file) if settings.map is not None else sweep([override], tracking=file)


def _write(name: str, result: TrainResult | MapStudy, results: Path) -> None:
    """The page of a study and its figure, of maps also their picture."""
    from nnspec.analysis.figures.claims import claims_figure
    from nnspec.analysis.figures.draw import WIDTH
    from nnspec.analysis.figures.files import Column, figure_file
    from nnspec.claims.writing import page
    from nnspec.maps.study import MapStudy

    assert result.study is not None
    figure = f"{name}.svg"
    drawn = figure_file(lambda width: claims_figure(result.claims, width), "svg", Column(WIDTH, 1.0))
    pictures = {figure: drawn}
    maps = f"{name}.png" if isinstance(result, MapStudy) else None
    if isinstance(result, MapStudy):
        pictures[f"{name}.png"] = result.picture()
    command = shlex.join(["python", "run.py", _override(name)])
    text = page(name, result.study, result.claims, command, figure, maps)
    write_folder("--results", results, {**pictures, f"{name}.md": text.encode()})
