"""Whole sweeps, from the start of the process to its exit, MLflow filled, beside the loop that people write today.

    python benchmarks/sweep.py --baselines ../shared/baselines [--only thousand ten_thousand replicates expansion]

The baseline (``hydra_loop``: Hydra's basic launcher, the textbook loop, one MLflow run a job) is timed over 40 jobs,
its start-up taken off, and scaled. Ratios are times a cell, or a network where a cell has replicates.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AXES = ["activation=relu,gelu,tanh,sigmoid,leaky_relu", "init=kaiming_uniform,xavier_uniform,zeros,orthogonal"]
SWEEPS = {
    "thousand": ([*AXES, "seed=range(0,50)"], 1000, 40),
    "ten_thousand": ([*AXES, "seed=range(0,500)"], 10_000, 120),
    "replicates": ([*AXES, "replicates=1000"], 20_000, 600),
}


def seconds(program: Path, *words: str) -> float:
    """Time of one process from start to exit, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, program, *words], cwd=folder, capture_output=True, text=True, check=False
        )
        spent = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{program.name} {' '.join(words)} failed: {done.stderr[-500:]}")
    timings = [line for line in done.stdout.splitlines() if line.startswith("timings")]
    if timings:
        print("  " + timings[-1])
    return spent


def baseline_job(baselines: Path) -> float:
    """Seconds a job of the baseline: 40 jobs less 4, over 36."""
    program = baselines.resolve() / "hydra_loop" / "run.py"
    seconds(program)
    few = seconds(program, "-m", "seed=range(0,4)")
    many = seconds(program, "-m", "activation=relu,gelu,tanh,sigmoid", "init=kaiming,xavier", "seed=range(0,5)")
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


def expansion_cell() -> float:
    """Seconds a cell of expanding and checking 10,000 cells."""
    from nnspec.sweep import plan

    words, cells, _ = SWEEPS["ten_thousand"]
    start = time.perf_counter()
    found, _ = plan(words)
    assert len(found.cells) == cells
    return (time.perf_counter() - start) / cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baselines", type=Path, default=Path("../shared/baselines"))
    parser.add_argument("--only", nargs="+", choices=[*SWEEPS, "expansion"], default=[*SWEEPS, "expansion"])
    options = parser.parse_args()
    if "expansion" in options.only:
        hydra, ours = hydra_job(), expansion_cell()
        times = f"{1e6 * ours:.0f} us a cell, Hydra {1e3 * hydra:.1f} ms a job"
        print(f"expansion and checking, 10,000 cells: {times}: {hydra / ours:.0f} x (to reach: 300 x)")
    names = [name for name in options.only if name in SWEEPS]
    if names and not options.baselines.exists():
        sys.exit(f"the baselines must be at {options.baselines}; say --baselines FOLDER")
    job = baseline_job(options.baselines) if names else 0.0
    for name in names:
        words, units, wanted = SWEEPS[name]
        spent = seconds(ROOT / "run.py", "-m", *words, "--timings")
        print(
            f"{name}: {spent:.1f} s, {job * units / spent:.0f} x the baseline's {job:.3f} s a job (to reach: {wanted} "
            "x)",
            flush=True,
        )


if __name__ == "__main__":
    main()
