"""One command from a checked spec and two axes to a filed map."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field

from nnspec.documents import document
from nnspec.execute.cost import plan_seconds
from nnspec.execute.engine import Carry
from nnspec.execute.engines import chosen
from nnspec.execute.interrupts import Interrupts
from nnspec.execute.pool import cores
from nnspec.maps.axes import Axis
from nnspec.maps.filing import MapRun
from nnspec.maps.result import Map
from nnspec.maps.training import MapTraining
from nnspec.processes import INTERRUPTED, collect_garbage
from nnspec.report import console
from nnspec.report.as_json import placed
from nnspec.report.voice import SILENT, Voice, voice
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
        _show_plan(training, settings, speak)
        return outcome
    speak.note(_plan_line(training))
    with Interrupts() as interrupts:
        run = MapRun.begin(spec, axes, settings.tracking, command) if settings.tracking.enabled else None
        try:
            try:
                shown = console.shown_on_bar(interrupts.each(training), training.networks, speak.bar)
                with closing(shown) as events:
                    for _ in events:
                        pass
            except KeyboardInterrupt:
                outcome.interrupted = True
            outcome.lost = training.lost
            outcome.map = Map(spec, *axes, training.arrays, run.run_id if run is not None else "")
            training.seconds["all"] = time.perf_counter() - started
            if run is not None:
                _file(run, outcome, training)
        except BaseException:
            if run is not None:
                run.abandon()
            raise
    _show(outcome, settings, training, run, speak)
    return outcome


def _file(run: MapRun, outcome: MapOutcome, training: MapTraining) -> None:
    assert outcome.map is not None
    status = "KILLED" if outcome.interrupted else "FAILED" if outcome.lost else "FINISHED"
    run.end(outcome.map, status, {"seconds": training.seconds["all"]})
    outcome.unfiled = run.unfiled


def _plan_line(training: MapTraining) -> str:
    processes = console.count(min(training.workers, len(training.pieces)), "process", "processes")
    what = f"map of {training.x.key} by {training.y.key}, {training.x.count:,} by {training.y.count:,} pixels"
    counts = f"{console.count(training.networks, 'network')} in {console.count(len(training.pieces), 'piece')}"
    return f"{what}, {console.summary(training.spec)}: {counts} on {processes}"


def _show_plan(training: MapTraining, settings: Settings, speak: Voice) -> None:
    from nnspec.training.loop import probe

    first = [training.pixels[pixel] for pixel in training.pieces.pixels(0)]
    shares = tuple(Share(place, 0, training.spec.replicates) for place in range(len(first)))
    chunk = Chunk(shares, training.pieces.compiled)
    plan = Plan(tuple(first), (Stack(tuple(range(len(first))), (chunk,)),))
    one = plan_seconds(plan, 1, probe)
    workers = min(training.workers, cores(), len(training.pieces))
    seconds = None if one is None else one * training.networks / chunk.networks / workers
    if settings.json:
        info = {"kind": "map", "networks": training.networks, "pieces": len(training.pieces)}
        info |= {"processes": min(training.workers, len(training.pieces))}
        print(document({**info, "memory_mib": training.memory / 2**20, "seconds": seconds}))
    lines = [_plan_line(training), f"about {max(1, round(training.memory / 2**20)):,} MiB of memory"]
    lines.append("time unknown: too large to be tried out" if seconds is None else _about(seconds))
    speak.asked("\n".join(lines))


def _about(seconds: float) -> str:
    return f"about {console.duration(seconds)} of training"


def _show(outcome: MapOutcome, settings: Settings, training: MapTraining, run: MapRun | None, speak: Voice) -> None:
    assert outcome.map is not None
    place = run.place if run is not None else None
    if settings.json and speak is not SILENT:
        info = {"kind": "map", "exit_status": outcome.exit_status, "interrupted": outcome.interrupted}
        info |= {"all_filed": run is not None and not outcome.unfiled, **placed(place), **outcome.map.info()}
        info |= {"failures": outcome.lost} | ({"seconds": training.seconds} if settings.timings else {})
        print(document(info))
    speak.result(repr(outcome.map))
    if place is not None:
        speak.result(f"run         {place.name} in experiment {place.experiment}")
        speak.result("pictures    below map/ in its artifacts")
        speak.result(place.url if place.command is None else f"look at it  {place.command}\n            {place.url}")
    if settings.timings:
        speak.asked(console.timings_text(training.seconds, training.updaters))
    for reason in dict.fromkeys(outcome.lost):
        speak.error(f"{console.count(outcome.lost.count(reason), 'piece')} of the map did not train: {reason}")
    if outcome.interrupted:
        kept = "; what is known is filed" if run is not None else ""
        speak.error(f"interrupted: {int(outcome.map.trained.sum()):,} of {len(training.pixels):,} pixels done{kept}")
