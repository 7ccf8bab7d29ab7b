"""What a map costs: seconds of 512 x 512 networks over 100 updates, and memory up to 4096 x 4096 pixels.

    python benchmarks/maps.py [--memory]

The first table is of maps as in the notebook of arXiv 2402.06184: 2-8-1, tanh, mean squared error, full batch, 100
updates, once with outputs that are bounded and once without, where networks overflow. `cores` is user and system time
of all processes, what two free cores would take at best; `train` of it the training alone, without diagnosis.
With ``--memory`` one map of 4096 x 4096 pixels, of two updates, is filed with its pictures, and smaller ones: `peak` is
the largest resident size of the process that holds the arrays, `more` what each pixel adds to it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = Path(__file__).resolve().parent.parent / "run.py"
SPEC = ["model.hidden=[8]", "activation=tanh", "loss=mse", "optimizer=sgd"]


def axes(side: int) -> str:
    """The map's axes."""
    return f"sweep.map=[[optimizer.lr,0.01,1000,log,{side}],[init.gain,0.1,10,log,{side}]]"


def measured(words: list[str]) -> tuple[float, float, float, str]:
    """Seconds on the clock and of processors, MiB at the peak of one process, and what was printed."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, str(RUN), *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, spent, usage.ru_maxrss / 1024, said


def seconds() -> None:
    """The first table."""
    print("| outputs | side | wall s | cores s | timings |\n|---|---|---|---|---|")
    for name in ("sigmoid", "identity"):
        for side in (128, 512):
            words = [*SPEC, f"model.output={name}", "train.epochs=100", axes(side), "--timings"]
            wall, spent, _, said = measured(words)
            timings = next(line for line in said.splitlines() if line.startswith("timings")).split(maxsplit=1)[1]
            print(f"| {name} | {side} | {wall:.1f} | {spent:.1f} | {timings} |", flush=True)


def memory(largest: int) -> None:
    """The second table."""
    print("| side | wall s | peak MiB | more bytes a pixel |\n|---|---|---|---|")
    first: tuple[int, float] | None = None
    side = 256
    while side <= largest:
        words = [*SPEC, "train.epochs=2", "train.memory=3000", axes(side)]
        wall, _, peak, _ = measured(words)
        first = first or (side, peak)
        pixels = side**2 - first[0] ** 2
        more = f"{(peak - first[1]) * 2**20 / pixels:.0f}" if pixels else ""
        print(f"| {side} | {wall:.1f} | {peak:.0f} | {more} |", flush=True)
        side *= 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=int, nargs="?", const=4096, metavar="SIDE", help="up to this side (4096)")
    asked = parser.parse_args()
    seconds() if asked.memory is None else memory(asked.memory)


if __name__ == "__main__":
    main()
