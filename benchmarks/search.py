"""A search whose batches train as one stack, beside the same search one trial at a time.

    python benchmarks/search.py [--trials 60] [--searches 3] [--replicates 200]

Both search learning rate, activation and gain for the fewest updates to solve XOR, by TPE, without a store and on one
core: seconds are those of asking, training, diagnosing and telling. Printed are the seconds of each; the share of
asking and telling; what each has found in the end and by the time the faster one is done, as the value of the best
cell on 1000 seeds that no search has seen; and how long each takes to what is nearly the best that either found.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from statistics import median

import torch

from nnspec.compose import Composer
from nnspec.execute.engine import Training
from nnspec.results.events import TrainedCell
from nnspec.results.table import outcome_rows
from nnspec.search.objectives import OBJECTIVES
from nnspec.search.space import Space
from nnspec.search.training import SearchTraining, study_of
from nnspec.settings import Runtime, Settings, Sweep, Tracking
from nnspec.specs import RunSpec

AXES = ["optimizer.lr=tag(log, interval(0.0001,10))", "activation=relu,tanh,gelu,sigmoid", "init.gain=interval(0.2,3)"]
OBJECTIVE = OBJECTIVES["updates_to_solve"]
FRESH = 100_000  # the first seed that no search has seen
BATCH = 10


@dataclass(frozen=True)
class Searched:
    """A search: by trial when it was told and its value, the cells, seconds in all and of asking and telling."""

    at: list[float]
    values: list[float]
    specs: list[RunSpec]
    seconds: float
    asking: float

    def best_at(self, seconds: float) -> RunSpec:
        """The best cell that is known then."""
        known = [i for i, at in enumerate(self.at) if at <= seconds] or [0]
        return self.specs[min(known, key=self.values.__getitem__)]

    def reached(self, value: float) -> float:
        """When the best is at most so much; infinite if never."""
        return next((at for at, own in zip(self.at, self.values, strict=True) if own <= value), float("inf"))


def searched(space: Space, batch: int, trials: int) -> Searched:
    """One search from start to end."""
    sweep = Sweep(trials=trials, batch=batch, objectives=(OBJECTIVE.name,))
    settings = Settings(sweep=sweep, tracking=Tracking(enabled=False), runtime=Runtime(workers=1))
    started = time.perf_counter()
    training = SearchTraining(study_of(space, settings), settings)
    training.begin({})
    found = Searched([], [], [], 0.0, 0.0)
    for event in training:
        if isinstance(event, TrainedCell):
            found.at.append(time.perf_counter() - started)
            found.values.append(OBJECTIVE.value(outcome_rows(event.result), event.spec))
            found.specs.append(event.spec)
    return replace(found, seconds=time.perf_counter() - started, asking=training.seconds["ask and tell"])


def fresh(spec: RunSpec) -> float:
    """The value of a cell on seeds that no search has seen."""
    spec = replace(spec, seed=FRESH, replicates=1000)
    (cell,) = (event for event in Training([spec], Runtime(workers=1)) if isinstance(event, TrainedCell))
    return OBJECTIVE.value(outcome_rows(cell.result), spec)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--searches", type=int, default=3)
    parser.add_argument("--replicates", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    composer, pairs = Composer(), []
    for number in range(options.searches):
        said = [*AXES, f"replicates={options.replicates}", "train.epochs=300", f"seed={1000 * number}"]
        space = Space(said, Settings(), composer)
        if not number:
            searched(space, BATCH, 2 * BATCH)  # what is loaded and compiled once is no search's
        pairs.append((searched(space, BATCH, options.trials), searched(space, 1, options.trials)))
    print(f"{options.trials} trials of {options.replicates} networks, {options.searches} searches each, medians")
    for name, place in ((f"{BATCH} at a time", 0), ("1 at a time", 1)):
        own = [pair[place] for pair in pairs]
        quick = median(fresh(pair[place].best_at(pair[0].seconds)) for pair in pairs)
        print(
            f"{name:>14}: {median(each.seconds for each in own):6.2f} s, asking and telling "
            f"{100 * median(each.asking / each.seconds for each in own):4.1f}%; updates to solve of the best "
            f"{median(fresh(each.best_at(each.seconds)) for each in own):6.1f}, when the first one is done {quick:6.1f}"
        )
    levels = [1.1 * min(*stacked.values, *alone.values) for stacked, alone in pairs]
    spent = [
        (stacked.reached(level), alone.reached(level)) for level, (stacked, alone) in zip(levels, pairs, strict=True)
    ]
    times = [f"{stacked:.2f} s and {alone:.2f} s" for stacked, alone in spent]
    print(f"to within 10% of the best that either found, {BATCH} and 1 at a time: {'; '.join(times)}")


if __name__ == "__main__":
    main()
