"""The same sweep on one and two processes of this machine, on jobs of launchers, on Ray with one, two and three nodes.

    python benchmarks/scale.py [--replicates 5000] [--epochs 5000] [--only "1 worker" "2 workers" ...]

Each is run twice, with one network a cell and one epoch, and whole: the first is its start-up, the difference its work.
All nodes are processes of this machine, so more of them than it has cores cannot be quicker: what is seen is what
carrying costs. Then what a cell weighs on its way: what a million cells cost.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nnspec.execute.elsewhere import ChunkTask, Surroundings
from nnspec.execute.engines.on_ray import LOOPBACK, QUIET
from nnspec.execute.pool import Finished
from nnspec.execute.worker import after_training
from nnspec.sweep import plan as expanded
from nnspec.training.memory import Room
from nnspec.training.plan import plan

RUN = Path(__file__).resolve().parents[1] / "run.py"
AXES = ["activation=relu,gelu,tanh", "init=orthogonal,kaiming_uniform"]
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}  # bytes
LOCAL = {
    "1 worker": ["train.workers=1"],
    "2 workers": ["train.workers=2"],
    "joblib, 2 jobs": ["train.workers=2", "hydra/launcher=joblib"],
    "submitit_local, 2 jobs": ["train.workers=2", "hydra/launcher=submitit_local"],
}
NODES = {"Ray, 1 node": 1, "Ray, 2 nodes": 2, "Ray, 3 nodes": 3}
FOLDERS = tempfile.TemporaryDirectory()


def seconds(replicates: int, epochs: int, words: Sequence[str]) -> float:
    """From the start of the process to its exit."""
    sweep = ["-m", *AXES, f"replicates={replicates}", f"train.epochs={epochs}", "tracking=off", *words]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, RUN, *sweep],
        cwd=tempfile.mkdtemp(dir=FOLDERS.name),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed: {done.stderr[-500:]}")
    return time.perf_counter() - start


@contextmanager
def cluster(nodes: int) -> Iterator[list[str]]:
    """The words that join a Ray of so many nodes on the loopback interface."""
    os.environ.update({**QUIET, **LOOPBACK})
    from ray.cluster_utils import Cluster

    start = time.perf_counter()
    found = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    for _ in range(nodes - 1):
        found.add_node(**NODE)
    print(f"  (a cluster of {nodes}: {time.perf_counter() - start:.1f} s)")
    try:
        yield ["train.engine=ray", f"train.address={found.address}"]
    finally:
        found.shutdown()


def show(name: str, replicates: int, epochs: int, words: Sequence[str], reference: float | None) -> float:
    """Print what a sweep took; its seconds of work."""
    start = seconds(1, 1, words)
    work = seconds(replicates, epochs, words) - start
    print(f"{name:<24} start-up {start:5.1f} s, work {work:6.1f} s, {(reference or work) / work:.2f} x", flush=True)
    return work


def weights(cells: int, chunks: int = 2) -> None:
    """Print what a cell of one network weighs on its way, there and back, and how long it trains on one core."""
    found, _ = expanded([*AXES, f"seed=range(0,{cells // 6})"])
    specs = [cell.spec for cell in found.cells]
    there = Surroundings.here()
    for number, chunk in zip(range(chunks), plan(specs, Room(workers=2)).chunks(), strict=False):
        task = ChunkTask.of(specs, chunk, number, after_training, there)
        sent = pickle.dumps(task, protocol=5)
        begun = time.process_time()
        event = task()
        spent = time.process_time() - begun
        assert isinstance(event, Finished)
        back = pickle.dumps(event, protocol=5)
        count = chunk.networks
        print(
            f"a chunk of {count:,} cells: {len(sent) / count:,.0f} bytes a cell there, {len(back) / count:,.0f} bytes "
            f"back, {1e6 * spent / count:,.0f} us of one core to train and diagnose"
        )


def main() -> None:
    names = [*LOCAL, *NODES, "weights"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=5000)
    parser.add_argument("--cells", type=int, default=12_000, help="of the sweep whose cells are weighed")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    size, reference = (options.replicates, options.epochs), None
    for name, words in LOCAL.items():
        if name in options.only:
            work = show(name, *size, words, reference)
            reference = reference or work
    for name, nodes in NODES.items():
        if name in options.only:
            with cluster(nodes) as words:
                show(name, *size, words, reference)
    if "weights" in options.only:
        weights(options.cells)


if __name__ == "__main__":
    main()
