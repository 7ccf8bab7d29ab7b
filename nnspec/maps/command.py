"""One command from a checked spec and two axes to a filed map."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nnspec.execute.cost import plan_seconds
from nnspec.execute.engine import Carry
from nnspec.execute.engines import chosen
from nnspec.execute.pool import cores
from nnspec.maps.axes import Axis
from nnspec.maps.filing import MapRun
from nnspec.maps.result import Map
from nnspec.maps.training import MapTraining, lost_lines, trained
from nnspec.processes import INTERRUPTED, collect_garbage
from nnspec.report import console
from nnspec.report.as_json import Place, placed
from nnspec.report.voice import SILENT, Say, voice
from nnspec.runner.command import begun, show
from nnspec.runner.plans import Planned, show_plan
from nnspec.settings import Settings
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk, Plan, Share, Stack


@dataclass
class MapOutcome:
    """What a command did: the map as far as it came (None of a plan), and what went wrong."""

    map: Map | None = None
    interrupted: bool = False
    lost: list[str] = field(default_factory=list)
    unfiled: bool = False

    @property
    def exit_status(self) -> int:
        """0 done; 1 pixels could not train, or the map is not filed; 130 interrupted."""
        return INTERRUPTED if self.interrupted else int(bool(self.lost) or self.unfiled)


def run_map(
    spec: RunSpec,
    axes: tuple[Axis, Axis],
    settings: Settings,
    command: str = "",
    quiet: bool = False,
    carry: Carry | None = None,
) -> MapOutcome:
    """Train a map of a checked spec and file it, and show how it goes. ``carry`` trains its pieces elsewhere.
    Interruption files what is done and is told by the exit status. ``quiet`` says nothing at all.

    Raises:
        SpecError: an axis leaves what its parameter can be, or the map does not fit into memory.
        TrackingError: the store cannot be reached; nothing has trained then.
    """
    started = time.perf_counter()
    collect_garbage()
    carry, runtime = chosen(settings.runtime, carry, settings.sweep.plan_only)
    training = MapTraining(spec, *axes, runtime, carry)
    speak, outcome = SILENT if quiet else voice(settings), MapOutcome()
    if settings.sweep.plan_only:
        show_plan(_planned(training), settings, speak)
        return outcome
    speak.note(_plan_line(training))
    begin = partial(MapRun.begin, spec, axes, settings.tracking, command)
    with begun(begin, settings.tracking.enabled) as (run, stops):
        outcome.interrupted = not trained(stops.each(training), training.networks, speak.bar)
        outcome.lost = training.lost
        outcome.map = Map(spec, *axes, training.arrays, run.run_id if run is not None else "")
        training.seconds["all"] = time.perf_counter() - started
        if run is not None:
            status = "KILLED" if outcome.interrupted else "FAILED" if outcome.lost else "FINISHED"
            run.end(outcome.map, status, {"seconds": training.seconds["all"]})
            outcome.unfiled = run.unfiled
    place = run.place if run is not None else None
    info = partial(_info, outcome, place, training.seconds if settings.timings else None)
    show(settings, speak, training, info, partial(_tell, outcome.map, place))
    _tell_failures(outcome, run is not None, speak.error)
    return outcome


def _plan_line(training: MapTraining) -> str:
    processes = console.count(min(training.workers, len(training.pieces)), "process", "processes")
    what = f"map of {training.x.key} by {training.y.key}, {training.x.count:,} by {training.y.count:,} pixels"
    counts = f"{console.count(training.networks, 'network')} in {console.count(len(training.pieces), 'piece')}"
    return f"{what}, {console.summary(training.spec)}: {counts} on {processes}"


def _planned(training: MapTraining) -> Planned:
    from nnspec.training.loop import probe

    first = [training.pixels[pixel] for pixel in training.pieces.pixels(0)]
    shares = tuple(Share(place, 0, training.spec.replicates) for place in range(len(first)))
    chunk = Chunk(shares, training.pieces.compiled)
    plan = Plan(tuple(first), (Stack(tuple(range(len(first))), (chunk,)),))
    one, processes = plan_seconds(plan, 1, probe), min(training.workers, len(training.pieces))
    seconds = None if one is None else one * training.networks / chunk.networks / min(processes, cores())
    info = {"kind": "map", "networks": training.networks, "pieces": len(training.pieces), "processes": processes}
    lines = [_plan_line(training), f"about {max(1, round(training.memory / 2**20)):,} MiB of memory"]
    about = "time unknown: too large to be tried out"
    lines.append(about if seconds is None else f"about {console.duration(seconds)} of training")
    return Planned("\n".join(lines), {**info, "memory_mib": training.memory / 2**20, "seconds": seconds})


def _info(outcome: MapOutcome, place: Place | None, seconds: dict[str, float] | None) -> dict[str, Any]:
    assert outcome.map is not None
    info = {"kind": "map", "exit_status": outcome.exit_status, "interrupted": outcome.interrupted}
    info |= {"all_filed": place is not None and not outcome.unfiled, **placed(place), **outcome.map.info()}
    return info | {"failures": outcome.lost} | ({"seconds": seconds} if seconds is not None else {})


def _tell(found: Map, place: Place | None, say: Say) -> None:
    say(repr(found))
    for line in [] if place is None else place.lines("pictures    below map/ in its artifacts"):
        say(line)


def _tell_failures(outcome: MapOutcome, filed: bool, say: Say) -> None:
    assert outcome.map is not None
    for line in lost_lines(outcome.lost, "the map"):
        say(line)
    if outcome.interrupted:
        done, kept = outcome.map.trained, "; what is known is filed" if filed else ""
        say(f"interrupted: {int(done.sum()):,} of {done.size:,} pixels done{kept}")
