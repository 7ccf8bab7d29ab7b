"""Networks per second of the trainer beside the baselines, in one run, as ratios.

    python benchmarks/train.py --baselines ../shared/baselines [--networks 1 64 4096 65536]

Every program does the same work: 2-4-1 ReLU networks on XOR, BCE, Adam(lr 0.1), 1000 full-batch epochs, from PyTorch's
default initialisation. nnspec also draws the weights from each network's own seed, writes the history down every ten
epochs, checks after every update whether a network is solved, and diagnoses it; all of that is in its time.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

import nnspec
from nnspec.execute.engine import Training
from nnspec.settings import Runtime

TEXTBOOK = ["model=mlp", "activation=relu", "init=torch_default"]


def textbook_loop() -> float:
    """Networks per second of the loop that every tutorial shows, on one thread: the baseline's own training, without
    its tracking."""
    torch.set_num_threads(1)
    x = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float32)
    y = torch.tensor([[0], [1], [1], [0]], dtype=torch.float32)
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    loss_fn, optimizer = torch.nn.BCEWithLogitsLoss(), torch.optim.Adam(model.parameters(), lr=0.1)
    start = time.perf_counter()
    for _ in range(1000):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return 1 / (time.perf_counter() - start)


def ours(networks: int, workers: int | None) -> float:
    """Networks per second of nnspec: plan, initial weights, training, diagnosis, gathering."""
    spec = replace(nnspec.spec(TEXTBOOK), replicates=networks)
    start = time.perf_counter()
    for _ in Training([spec], Runtime(workers=workers)):
        pass
    return networks / (time.perf_counter() - start)


def jax(baselines: Path, networks: int) -> tuple[float, float] | None:
    """Networks per second of jax_vmap.py: its first call, with compilation, and its later calls; None without JAX."""
    done = subprocess.run(
        [sys.executable, baselines / "jax_vmap.py", str(networks)], capture_output=True, text=True, check=False
    )
    found = re.search(r"first call (\d+)/s .*later (\d+)/s", done.stdout)
    return (float(found[1]), float(found[2])) if found else None


def simd(baselines: Path) -> float | None:
    """Networks per second of simd_limit.c on one core; None without gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "simd_limit"
        subprocess.run(
            [gcc, "-O3", "-march=native", "-ffast-math", "-o", program, baselines / "simd_limit.c", "-lm"], check=True
        )
        done = subprocess.run([program, "65536"], capture_output=True, text=True, check=True)
    return float(done.stdout.split("models/s")[1].split()[0])


def best(measure: object, times: int) -> float:
    """The best of several measurements: what disturbs a machine only ever makes it slower."""
    assert callable(measure)
    return max(measure() for _ in range(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baselines", type=Path, default=Path("../shared/baselines"))
    parser.add_argument("--networks", type=int, nargs="+", default=[1, 64, 4096, 65536])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args()
    loop = best(textbook_loop, options.repeat)
    print(f"textbook loop              {loop:10.1f} networks/s")
    limit = simd(options.baselines) if options.baselines.exists() else None
    if limit:
        print(f"simd_limit.c, one core     {limit:10.1f} networks/s")
    ours(64, 1)  # torch's first calls set up what later ones reuse
    for networks in options.networks:
        rate = best(lambda n=networks: ours(n, options.workers), options.repeat)
        parts = [f"{rate / loop:.1f} x textbook loop"]
        if limit:
            parts.append(f"{rate / limit:.3f} x simd_limit")
        compared = jax(options.baselines, networks) if options.baselines.exists() else None
        if compared:
            parts.append(f"{rate / compared[0]:.2f} x jax first call, {rate / compared[1]:.2f} x jax later calls")
        print(f"nnspec, {networks:6d} at once   {rate:10.1f} networks/s = " + ", ".join(parts), flush=True)


if __name__ == "__main__":
    main()
