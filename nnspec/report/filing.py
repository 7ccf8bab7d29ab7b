"""What a command is going to file, before it trains: how many runs and megabytes, and how there would be fewer."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from nnspec.execute.disk import filed_bytes, packed_bytes
from nnspec.report.console import count
from nnspec.settings import ALL, MOST_RUNS
from nnspec.specs import RunSpec, by_combination
from nnspec.sweep import Cell

SEED = "seed"


def filing_text(specs: Sequence[RunSpec], sweep: bool, runs: str = ALL) -> str:
    """'9 MLflow runs, about 2 MB', the sweep's own among them; ``runs`` says which cells get one, see
    ``settings.Tracking.runs_of``."""
    packed = runs != ALL
    megabytes = max(1, round((packed_bytes(specs) if packed else filed_bytes(specs, sweep)) / 1e6))
    what = (
        f"{count(len(specs), 'cell')} packed in one MLflow run" if packed else count(len(specs) + sweep, "MLflow run")
    )
    return f"{what}, about {megabytes:,} MB"


def replicates_hint(cells: Sequence[Cell], command: str = "") -> str:
    """Of many runs whose axis ``seed`` could be replicates: the same networks in few runs, and the ``command`` for it.
    Else nothing."""
    seeds = _seeds(cells) if len(cells) > MOST_RUNS else None
    if seeds is None:
        return ""
    fewer = [replace(cell.spec, replicates=len(seeds)) for cell in cells if cell.spec.seed == seeds.start]
    small = filing_text(fewer, len(fewer) > 1)
    return f"the axis {SEED} could be replicates: the same networks in {small}: {_shorter(command, seeds, len(fewer))}"


def _shorter(command: str, seeds: range, cells: int) -> str:
    """The command with replicates for seeds."""
    typed = shlex.split(command)
    left_out = ("--plan", "-m", "--multirun") if cells == 1 else ("--plan",)
    kept = [word for word in typed if not word.startswith(f"{SEED}=") and word not in left_out]
    of_a_file = bool(typed) and not any(word.startswith(f"{SEED}=") for word in typed)  # where its axis still stands
    said = [f"{SEED}={seeds.start}"] if seeds.start or of_a_file else []
    return shlex.join([*kept, *said, f"replicates={len(seeds)}"])


def _seeds(cells: Sequence[Cell]) -> range | None:
    """The seeds of each combination of the other axes, where all have the same consecutive ones, a network each."""
    specs = [cell.spec for cell in cells]
    found = [sorted(specs[place].seed for place in places) for places in by_combination(specs)]
    seeds = range(found[0][0], found[0][-1] + 1)
    single = all(spec.replicates == 1 for spec in specs)
    return seeds if single and len(seeds) > 1 and all(other == list(seeds) for other in found) else None
