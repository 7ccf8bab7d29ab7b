"""Networks per second on a graphics card, beside the processor and JAX's vmap on the same card.

    python benchmarks/gpu.py --baselines ../shared/baselines [--networks 10000 1000000 10000000] [--only xor digits]

XOR 2-4-1 as in ``train.py``: 1000 full-batch updates, the history every ten. Digits 64-128-10 as in ``data.py``: ten
passes in batches of 64. "trainer": first weights, training and the history; "whole": with planning, diagnosis and
gathering. A small call before it, which loads the libraries, is not counted. JAX is asked where it is installed with
CUDA. ``--workers`` share the card. ``--cpu`` tries the script out without a card; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import nnspec
from nnspec.errors import SpecError
from nnspec.execute.budget import card as room_of_card
from nnspec.execute.engine import Training
from nnspec.results.arrays import Results
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.training import Room, plan
from nnspec.training.device.card import found
from nnspec.training.loop import train_chunk

XOR = ["model=mlp", "activation=relu", "init=torch_default"]
DIGITS = ["data=digits", "activation=relu", "loss=cross_entropy", "optimizer.lr=0.003", "model.hidden=[128]"]
DIGITS += ["train.batch_size=64", "train.epochs=10"]
ASK_JAX = "import jax; print(jax.devices()[0].platform)"


@dataclass(frozen=True)
class Work:
    """A line: a name, the words of its spec, how many networks, and the words of the baseline beside it."""

    name: str
    words: list[str]
    networks: int
    program: str
    asks: list[str]


def works(networks: list[int], digits: list[int]) -> list[Work]:
    """All lines."""
    small = [Work("xor 2-4-1", XOR, count, "jax_vmap.py", [str(count)]) for count in networks]
    asks = ["--hidden", "128", "--batch", "64", "--epochs", "10", "--networks"]
    return small + [Work("digits 64-128-10", DIGITS, count, "data.py", [*asks, str(count)]) for count in digits]


def trainer(spec: RunSpec, device: torch.device) -> tuple[float, float]:
    """Networks per second of training alone, and the share that is solved."""
    start, solved = time.perf_counter(), 0
    card = room_of_card([spec], here=True) if device.type == "cuda" else None
    for chunk in plan([spec], Room(card=card)).chunks():
        for event in train_chunk([spec], chunk, device=device):
            solved += int(event.solved.sum()) if isinstance(event, Results) else 0
    return spec.replicates / (time.perf_counter() - start), solved / spec.replicates


def whole(spec: RunSpec, workers: int | None) -> float:
    """Networks per second with planning, diagnosis and gathering."""
    start = time.perf_counter()
    for _ in Training([spec], Runtime(workers=workers)):
        pass
    return spec.replicates / (time.perf_counter() - start)


def jax(work: Work, baselines: Path) -> float | None:
    """Networks per second of a later call of the baseline, on a card; None where it is not there."""
    program = baselines / work.program
    asked = subprocess.run([sys.executable, "-c", ASK_JAX], capture_output=True, text=True, check=False)
    if asked.stdout.strip() not in ("gpu", "cuda") or not program.exists():
        return None
    done = subprocess.run([sys.executable, program, *work.asks], capture_output=True, text=True, check=False)
    a_second, seconds = re.search(r"later (\d+)/s", done.stdout), re.search(r"call, ([\d.]+) later", done.stdout)
    if a_second:
        return float(a_second[1])
    return 1 / float(seconds[1]) if seconds else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baselines", type=Path, default=Path("../shared/baselines"))
    parser.add_argument("--networks", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--digits", type=int, nargs="+", default=[16, 256, 1024])
    parser.add_argument("--workers", type=int, help="processes that share the card; one unless said")
    parser.add_argument("--only", nargs="+", default=[""], help="lines whose names hold one of these")
    parser.add_argument("--cpu", action="store_true", help="try the script out without a card")
    options = parser.parse_args()
    try:
        device = torch.device("cpu") if options.cpu else found()
    except SpecError as error:
        sys.exit(f"no graphics card to measure: {error}")
    on_card = device.type == "cuda"
    print(f"{torch.cuda.get_device_name() if on_card else 'the processor'}, torch {torch.__version__}", flush=True)
    for work in works(options.networks, options.digits):
        if not any(part in work.name for part in options.only):
            continue
        spec = replace(nnspec.spec(work.words), replicates=work.networks, device=device.type)
        trainer(replace(spec, replicates=min(work.networks, 1000)), device)
        alone, solved = trainer(spec, device)
        parts = [f"trainer {alone:,.0f}/s", f"whole {whole(spec, options.workers):,.0f}/s", f"solved {solved:.3f}"]
        parts.append(
            f"the processor {whole(replace(spec, device='cpu'), None):,.0f}/s" if work.networks <= 1_000_000 else ""
        )
        later = jax(work, options.baselines)
        parts.append(f"jax later {later:,.0f}/s = {alone / later:.2f} x faster" if later else "no jax on a card")
        print(f"{work.name}, {work.networks:,} networks: {', '.join(filter(None, parts))}", flush=True)


if __name__ == "__main__":
    main()
