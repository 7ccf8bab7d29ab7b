"""Does `train.memory` hold? Peak memory of whole commands, all their processes together, beside what they may hold.

    python benchmarks/memory.py [--only WORD] [--timeout 120]

Each case runs in an empty folder with `train.memory=M`. Its peak is the sum of the resident memory of all its processes
(pages that they share are counted in each). `idle` is the peak of a command of the same kind and number of processes
that trains next to nothing; `used` is what the case takes beyond it and must not be above M. A case that does not fit
must be refused: status 2.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

OFF = "tracking=off"
ONE, TWO = "train.workers=1", "train.workers=2"
WIDE = "model.hidden=[512,512]"
CASES: list[tuple[float, list[str]]] = [  # MiB and arguments
    (100, [WIDE, "replicates=64", "train.epochs=20", TWO, OFF]),
    (100, [WIDE, "replicates=8", "train.epochs=20", TWO]),
    (300, [WIDE, "replicates=64", "train.epochs=20", TWO, OFF]),
    (400, [WIDE, "replicates=64", "train.epochs=20", TWO]),
    (100, ["model.hidden=[1000,1000]", "train.epochs=20", OFF]),
    (200, ["model.hidden=[1000,1000]", "train.epochs=20", OFF]),
    (800, ["model.hidden=[1000,1000]", "replicates=64", "train.epochs=3", TWO, OFF]),
    (100, ["data=parity", "data.bits=14", "replicates=64", "train.epochs=20", TWO, OFF]),
    (400, ["data=parity", "data.bits=14", "replicates=64", "train.epochs=20", TWO, OFF]),
    (100, ["replicates=4000", "train.epochs=2000", "train.log_every=1", TWO]),
    (500, ["replicates=4000", "train.epochs=2000", "train.log_every=1", TWO]),
    (100, ["replicates=4000", "train.epochs=2000", TWO]),
    (300, ["replicates=4000", "train.epochs=2000", TWO]),
    (100, ["replicates=1000000", "train.log_every=1", OFF]),
    (100, ["train.epochs=10000000", "train.log_every=1", OFF]),
    (100, ["train.epochs=100000", "train.log_every=1"]),
    (100, ["loss=cross_entropy", "replicates=4000", "train.epochs=200", TWO, OFF]),
    (100, ["loss=cross_entropy", "replicates=4000", "train.epochs=200", TWO]),
    (100, ["dtype=float64", "activation=gelu", "optimizer=rprop", "replicates=5000", "train.epochs=200", TWO, OFF]),
    (
        100,
        ["model.hidden=[16,16,16,16,16,16,16,16]", "optimizer=adagrad", "replicates=500", "train.epochs=100", TWO, OFF],
    ),
    (150, ["model.hidden=[64,64]", "replicates=100", "train.epochs=200", "train.snapshot_every=20", TWO, OFF]),
    (
        150,
        [
            "data=parity",
            "data.bits=10",
            "model.hidden=[32]",
            "dtype=float64",
            "replicates=20",
            "train.epochs=50",
            TWO,
            OFF,
        ],
    ),
    (100, ["replicates=auto", "train.precision=0.1", "train.epochs=200", OFF]),
    (100, ["replicates=auto", "train.precision=0.1", "train.epochs=200", TWO]),
    (100, ["-m", "seed=range(0,2000)", "train.epochs=300", "train.log_every=1", TWO]),
    (100, ["-m", "seed=range(0,2000)", "train.epochs=300", TWO]),
    (400, ["-m", "seed=range(0,64)", WIDE, "train.epochs=20", TWO]),
    (
        100,
        ["-m", "activation=glob(*,exclude=[heaviside,softmax,auto])", "seed=range(0,50)", "train.epochs=50", TWO, OFF],
    ),
    (300, ["-m", "activation=relu,tanh", "replicates=3000", "train.epochs=500", "train.workers=4", OFF]),
    (150, ["-m", "optimizer.lr=range(0.001,2,0.001)", "train.epochs=1000", ONE, OFF]),
]


@dataclass(frozen=True)
class Peak:
    """What a command held at most in MiB, all its processes together, and how it ended."""

    mebibytes: float
    status: int | None
    seconds: float
    text: str
    processes: int


def peak(arguments: list[str], timeout: float) -> Peak:
    """Run a command of ours and watch its memory; ``status`` None: it was stopped after ``timeout`` seconds."""
    run, start, most, processes = Path(__file__).resolve().parents[1] / "run.py", time.perf_counter(), 0.0, 0
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as output:
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        command = subprocess.Popen([sys.executable, run, *arguments], cwd=folder, start_new_session=True, **streams)  # type: ignore[call-overload]
        while command.poll() is None and time.perf_counter() - start < timeout:
            held = resident(command.pid)
            most, processes = max((most, processes), (sum(held), len(held)))
            time.sleep(0.03)
        status = command.poll()
        if status is None:
            os.killpg(command.pid, 9)
            command.wait()
        output.seek(0)
        return Peak(most / 2**20, status, time.perf_counter() - start, output.read(), processes)


def resident(session: int) -> list[int]:
    """The resident memory of each process of a session."""
    held = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(fields[3]) == session:
            held.append(int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    return held


def idle(arguments: list[str], processes: int, timeout: float) -> float:
    """The peak of a command of the same kind on about so many processes that trains next to nothing."""
    plain = [word for word in arguments if word == OFF]
    sweep = "-m" in arguments
    workers = max(1, processes - 1 - (sweep and OFF not in arguments))
    size = ["replicates=1"] if workers == 1 else [f"replicates={300 * workers}"]
    return peak(
        [*(["-m", "seed=0,1"] if sweep else []), *plain, *size, f"train.workers={workers}", "train.epochs=1"], timeout
    ).mebibytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases that contain this")
    parser.add_argument("--timeout", type=float, default=120)
    options = parser.parse_args()
    known: dict[tuple[object, ...], float] = {}
    print(f"{'allowed':>8} {'used':>6} {'peak':>6} {'idle':>6}  processes  seconds  end       case")
    for memory, arguments in CASES:
        if options.only not in " ".join(arguments):
            continue
        found = peak([*arguments, f"train.memory={memory:g}"], options.timeout)
        kind = ("-m" in arguments, OFF in arguments, found.processes)
        if kind not in known:
            known[kind] = idle(arguments, found.processes, options.timeout)
        refused = "refused" if found.status == 2 else "stopped" if found.status is None else str(found.status)
        used = found.mebibytes - known[kind]
        row = (
            f"{memory:8.0f} {used:6.0f} {found.mebibytes:6.0f} {known[kind]:6.0f}  {found.processes:9d}  "
            f"{found.seconds:7.1f}  {refused:8}"
        )
        print(row, " ".join(arguments), "" if used <= memory else "  <-- too much", flush=True)
        if found.status not in (0, None):
            print("        ", " ".join(found.text.split())[-200:])


if __name__ == "__main__":
    main()
