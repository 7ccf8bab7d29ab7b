"""The same training step eager, by torch.compile and by nnspec's own compiled code, on one core, compilation counted
apart.

    python benchmarks/compilers.py [--networks 4096] [--epochs 1000]

2-4-1 ReLU networks on XOR, BCE, Adam(lr 0.1), the backward pass written by hand, the network axis last in memory. What
torch.compile is given is the bare step: no history, no check whether a network is solved or diverges; nnspec does all
that. torch.compile needs a C++ compiler on the machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import torch

import nnspec
from nnspec.training.compiled import Compiler
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Chunk, Share

X = torch.tensor(
    [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
)  # the last column is the bias's input
Y = torch.tensor([0.0, 1.0, 1.0, 0.0])[:, None]
Step = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]
]


def step(
    w: torch.Tensor, m: torch.Tensor, v: torch.Tensor, t: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One update of weights [17, M] and Adam's two moments; t counts updates."""
    networks = w.shape[1]
    first, second, bias = w[:12].view(3, 4, networks), w[12:16], w[16]
    z = (X[:, :, None, None] * first).sum(1)
    h = z.clamp(min=0)
    dz = (torch.sigmoid((h * second).sum(1) + bias) - Y) / 4
    dh = dz[:, None] * second * (z > 0)
    g = torch.cat(
        [(X[:, :, None, None] * dh[:, None]).sum(0).view(12, networks), (h * dz[:, None]).sum(0), dz.sum(0)[None]]
    )
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return w - 0.1 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8), m, v


def seconds(one: Step, networks: int, epochs: int) -> float:
    """Seconds of ``epochs`` updates."""
    w = torch.randn(17, networks, generator=torch.Generator().manual_seed(0))
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    start = time.perf_counter()
    for t in range(1, epochs + 1):
        w, m, v = one(w, m, v, torch.tensor(float(t)))
    return time.perf_counter() - start


def ours(networks: int, epochs: int, pays: float, compiler: Compiler) -> float:
    """Seconds of nnspec's trainer from initial to final weights, history and checks included."""
    spec = nnspec.spec(["model=mlp", "activation=relu", "init=torch_default", f"train.epochs={epochs}"])
    start = time.perf_counter()
    list(train_chunk([replace(spec, replicates=networks)], Chunk((Share(0, 0, networks),)), pays, compiler))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=4096)
    parser.add_argument("--epochs", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    size = (options.networks, options.epochs)

    def line(name: str, first: float, later: float) -> None:
        print(
            f"{name:22s} first {first:7.3f} s  later {later:7.3f} s = {options.networks / later:8.0f} networks/s",
            flush=True,
        )

    with torch.inference_mode():
        line("the step, eager", seconds(step, *size), seconds(step, *size))
        quick = torch.compile(step)
        line("the step, torch.compile", seconds(quick, *size), seconds(quick, *size))
    for name, pays in (("nnspec, eager", float("inf")), ("nnspec, compiled", 0.0)):
        compiler = Compiler()
        line(name, ours(*size, pays, compiler), ours(*size, pays, compiler))


if __name__ == "__main__":
    main()
