"""How much faster modules of one's own train together, by torch.vmap, than one by one; and than a textbook loop.

    python benchmarks/modules.py [--networks 64] [--only WORD]

Prints for each case the microseconds of an update of one network: of many together, of as many one by one, of one in a
loop as a textbook has it, the two ratios, and how the plan trains them. ``training.layout.TOGETHER`` is set from it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from nnspec.builder import build
from nnspec.catalog import MODELS, Model
from nnspec.catalog.models import OUTPUT
from nnspec.check import checked_mapping
from nnspec.params import Integer, Param
from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.training import layout
from nnspec.training.modules.chunk import Modules
from nnspec.training.plan import Chunk, Share
from nnspec.training.spans import Span


class Dense(nn.Sequential):
    """Three linear layers."""

    def __init__(self, inputs: int, outputs: int, width: int):
        layers = [nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)]
        super().__init__(*layers)


class Convolutions(nn.Module):
    """Two convolutions of 3 x 3 and a linear layer."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.side = math.isqrt(inputs)
        self.first, self.second = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, padding=1)
        self.out = nn.Linear(2 * width * (self.side // 4) ** 2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        images = x.view(-1, 1, self.side, self.side)
        half = torch.max_pool2d(torch.relu(self.first(images)), 2)
        quarter = torch.max_pool2d(torch.relu(self.second(half)), 2)
        out: Tensor = self.out(quarter.flatten(1))
        return out


class Attention(nn.Module):
    """One head of self-attention over the lines of an image."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.side = math.isqrt(inputs)
        self.query, self.key, self.value = (nn.Linear(self.side, width) for _ in range(3))
        self.out = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        lines = x.view(-1, self.side, self.side)
        scores = self.query(lines) @ self.key(lines).transpose(1, 2)
        out: Tensor = self.out((torch.softmax(scores, -1) @ self.value(lines)).mean(1))
        return out


CASES: list[tuple[Callable[..., nn.Module], int, int]] = [  # module, width, rows of a batch of digits
    (Dense, 32, 32),
    (Dense, 64, 128),
    (Dense, 128, 128),
    (Convolutions, 4, 32),
    (Convolutions, 4, 64),
    (Convolutions, 8, 32),
    (Convolutions, 4, 128),
    (Convolutions, 8, 128),
    (Attention, 16, 32),
    (Attention, 16, 64),
    (Attention, 16, 128),
]
UPDATES = 12


def spec_of(name: str, width: int, batch: int, networks: int) -> RunSpec:
    """A spec of some updates of networks of a module."""
    fields: dict[str, Any] = {
        "model": {"name": name, "width": width},
        "activation": {"name": "auto"},
        "init": {"name": "torch_default"},
        "optimizer": {"name": "adam"},
        "loss": {"name": "cross_entropy"},
        "data": {"name": "digits", "standardize": True},
    }
    train = {"epochs": 1, "batch_size": batch, "log_every": 10**6}
    return checked_mapping(fields | {"train": train, "replicates": networks})


def seconds_an_update(spec: RunSpec, together: bool, rounds: int = 3) -> float:
    """Seconds of an update of one network of a chunk, without what is done once."""
    chunk = Chunk((Share(0, 0, spec.replicates),))
    with mock.patch.object(layout, "TOGETHER", math.inf if together else 0), torch.no_grad():
        networks = Modules([spec], chunk)
        networks.advance(Span(1, 1, 1))
        best = math.inf
        for number in range(rounds):
            start = time.perf_counter()
            networks.advance(Span(2 + number * UPDATES, 1, UPDATES))
            best = min(best, time.perf_counter() - start)
    return best / UPDATES / spec.replicates


def textbook_seconds(spec: RunSpec, rounds: int = 3) -> float:
    """Seconds of an update in a plain loop of torch."""
    net, problem = build(spec).train(), Problem.of(spec)
    x, y = torch.from_numpy(problem.inputs).float(), torch.from_numpy(problem.targets).argmax(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    size, best = spec.train.batch_size, math.inf
    for _ in range(rounds):
        start = time.perf_counter()
        for rows in torch.randperm(len(x)).split(size or len(x))[:UPDATES]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net.net(x[rows]), y[rows]).backward()
            optimizer.step()
        best = min(best, time.perf_counter() - start)
    return best / UPDATES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--only", default="", help="cases whose module has this word in its name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for made in {case[0] for case in CASES}:
        width = Param("width", 8, Integer(1), "units")
        MODELS.add(Model(made.__name__.lower(), "of a benchmark", lambda p: (), None, (width, OUTPUT), module=made))
    print(
        "module        width  batch  together, us  one by one, us  loop, us  one by one/together  loop/together  plan"
    )
    for made, width, batch in CASES:
        name = made.__name__.lower()
        if options.only not in name:
            continue
        spec = spec_of(name, width, batch, options.networks)
        plan = "one by one" if layout.why_single(spec) else "together"
        together, single = (seconds_an_update(spec, way) for way in (True, False))
        loop = textbook_seconds(spec)
        times = f"{1e6 * together:12.0f}  {1e6 * single:14.0f}  {1e6 * loop:8.0f}"
        ratios = f"{single / together:19.1f}  {loop / together:13.1f}"
        print(f"{name:12}  {width:5d}  {batch:5d}  {times}  {ratios}  {plan}", flush=True)


if __name__ == "__main__":
    main()
