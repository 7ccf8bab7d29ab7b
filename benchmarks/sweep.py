"""Whole sweeps, from the start of the process to its exit, MLflow filled, beside the loop that people write today.

    python benchmarks/sweep.py --baselines ../shared/baselines [--only thousand ten_thousand share expansion ...]

The baseline (``hydra_loop``: Hydra's basic launcher, the textbook loop, one MLflow run a job) is timed over 40 jobs,
its start-up taken off, and scaled. Ratios are times a cell, or a network where a cell has replicates.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AXES = ["activation=relu,gelu,tanh,sigmoid,leaky_relu", "init=kaiming_uniform,xavier_uniform,zeros,orthogonal"]
ALL = "tracking.cells=all"


@dataclass(frozen=True)
class Target:
    """A sweep and what it is to reach: times the baseline a unit (a cell, or a network where a cell has replicates),
    at most so many MB and files in the store, so many GB of memory at the peak. It is run so many ``times_run``."""

    words: Sequence[str]
    units: int
    times: int
    megabytes: int | None = None
    files: int | None = None
    gigabytes: float | None = None
    times_run: int = 1


SWEEPS = {
    "thousand": Target([*AXES, "seed=range(0,50)"], 1000, 100, times_run=3),
    "ten_thousand": Target([*AXES, "seed=range(0,500)"], 10_000, 400, 100, 200),
    "ten_thousand_runs": Target([*AXES, "seed=range(0,500)", ALL], 10_000, 200, 400),
    "hundred_thousand": Target([*AXES, "seed=range(0,5000)"], 100_000, 1000, 1000, None, 3),
    "replicates": Target([*AXES, "replicates=1000"], 20_000, 600),
}
SHARE_TIMES = 5  # runs with everything, and as many without filing and report
SHARE = ["activation=relu,gelu,tanh", "init=kaiming_uniform,zeros", "seed=range(0,20)"]


# Removed at the very end: for half a minute after files are removed, ext4 takes several times as long to make new ones.
FOLDERS = tempfile.TemporaryDirectory()


@dataclass(frozen=True)
class Ran:
    """What a process took: seconds from start to exit, its largest child's or its own memory in bytes, what it left in
    its folder, and the numbers of its line of timings."""

    seconds: float
    memory: float
    bytes: int
    files: int
    timings: Mapping[str, float]


def ran(program: Path, *words: str) -> Ran:
    """Run one process in an empty folder."""
    folder = tempfile.mkdtemp(dir=FOLDERS.name)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, program, *words], cwd=folder, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - start
    left = [path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()]
    if done.returncode:
        sys.exit(f"{program.name} {' '.join(words)} failed: {done.stderr[-500:]}")
    said = [line for line in done.stdout.splitlines() if line.startswith("timings")]
    if said:
        print("  " + said[-1])
    parts = (part.rsplit(maxsplit=2) for part in said[-1].removeprefix("timings").split(",")) if said else ()
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024.0  # of the largest process so far
    return Ran(spent, memory, sum(left), len(left), {name.strip(): float(value) for name, value, _ in parts})


def baseline_job(baselines: Path) -> float:
    """Seconds a job of the baseline: 40 jobs less 4, over 36."""
    program = baselines.resolve() / "hydra_loop" / "run.py"
    ran(program)
    few = ran(program, "-m", "seed=range(0,4)").seconds
    many = ran(program, "-m", "activation=relu,gelu,tanh,sigmoid", "init=kaiming,xavier", "seed=range(0,5)").seconds
    return (many - few) / 36


def hydra_job(jobs: int = 40) -> float:
    """Seconds that Hydra's own composition of one job takes, once; its basic sweeper composes each job twice."""
    from nnspec.compose import Composer

    composer = Composer()
    words = ["activation=gelu", "init=orthogonal"]
    composer.mapping(words)
    start = time.perf_counter()
    for seed in range(jobs):
        composer.mapping([*words, f"seed={seed}"])
    return (time.perf_counter() - start) / jobs


def expansion_cell(cells: int) -> float:
    """Seconds a cell of expanding and checking so many cells."""
    from nnspec.sweep import plan

    start = time.perf_counter()
    found, _ = plan([*AXES, f"seed=range(0,{cells // 20})"])
    assert len(found.cells) == cells
    return (time.perf_counter() - start) / cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baselines", type=Path, default=Path("../shared/baselines"))
    choices = [*SWEEPS, "share", "expansion"]
    parser.add_argument("--only", nargs="+", choices=choices, default=choices)
    options = parser.parse_args()
    if "expansion" in options.only:
        hydra = hydra_job()
        for cells, wanted in ((10_000, "300 x"), (100_000, "40 us a cell")):
            ours = expansion_cell(cells)
            times = f"{1e6 * ours:.0f} us a cell, Hydra {1e3 * hydra:.1f} ms a job"
            print(f"expansion and checking, {cells:,} cells: {times}: {hydra / ours:.0f} x (to reach: {wanted})")
    names = [name for name in options.only if name in SWEEPS]
    if names and not options.baselines.exists():
        sys.exit(f"the baselines must be at {options.baselines}; say --baselines FOLDER")
    job = baseline_job(options.baselines) if names else 0.0
    if "share" in options.only:
        show_share()
    for name in names:
        show(name, SWEEPS[name], job)


def show_share() -> None:
    """Run a sweep with everything and without filing and report by turns, and print what these two add to the time
    that passes after imports: of medians."""
    whole, bare = [], []
    for _ in range(SHARE_TIMES):
        whole.append(ran(ROOT / "run.py", "-m", *SHARE, "--timings").timings["all"])
        bare.append(ran(ROOT / "run.py", "-m", *SHARE, "tracking=off", "--timings").timings["all"])
    all_of_it, rest = statistics.median(whole), statistics.median(bare)
    what = f"120 cells: {all_of_it:.2f} s after imports, {rest:.2f} s without report and filing"
    print(f"{what}: these add {1 - rest / all_of_it:.0%} of it (to reach: at most 50%)", flush=True)


def show(name: str, wanted: Target, job: float) -> None:
    """Run a sweep and print what it took beside what it is to reach; ``job`` is the baseline's, in seconds. Of several
    runs the median: making files takes several times as long just after others were removed."""
    runs = [ran(ROOT / "run.py", "-m", *wanted.words, "--timings") for _ in range(wanted.times_run)]
    found = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
    times = job * wanted.units / found.seconds
    print(f"{name}: {found.seconds:.1f} s, {times:.0f} x the baseline's {job:.3f} s a job (to reach: {wanted.times} x)")
    sizes = [f"{found.bytes / 1e6:.0f} MB" + (f" (at most {wanted.megabytes})" if wanted.megabytes else "")]
    sizes.append(f"{found.files} files" + (f" (at most {wanted.files})" if wanted.files else ""))
    sizes.append(f"{found.memory / 1e9:.2f} GB" + (f" (at most {wanted.gigabytes})" if wanted.gigabytes else ""))
    print(f"  {', '.join(sizes)}", flush=True)


if __name__ == "__main__":
    main()
