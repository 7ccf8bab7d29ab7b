"""Where the two ways to train cross: networks side by side in lanes, or one after another by a kernel.

    python benchmarks/layouts.py [--depth 2] [--networks 256] [--bits 2]

Prints for each width the time of an update of one network in both and their ratio, on parity of so many bits (2: XOR).
``training.layout.LARGEST`` is set from it.
"""

from __future__ import annotations

import argparse
import time
from unittest import mock

import nnspec
from nnspec.specs import RunSpec
from nnspec.training import layout
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Chunk, Share

WIDTHS = (4, 8, 12, 16, 24, 32, 48, 64, 128, 256)


def seconds_an_update(spec: RunSpec, largest: float, rounds: int = 3) -> float:
    """Seconds of an update of one network, without what is compiled once; lanes up to ``largest`` weights x rows."""
    chunk = Chunk((Share(0, 0, spec.replicates),))
    best = float("inf")
    with mock.patch.object(layout, "LARGEST", largest):
        for _ in range(rounds):
            start = time.perf_counter()
            list(train_chunk([spec], chunk, pays=0))
            best = min(best, time.perf_counter() - start)
    return best / spec.train.epochs / spec.replicates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--networks", type=int, default=256)
    parser.add_argument("--bits", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--most", type=int, default=64, help="largest width")
    options = parser.parse_args()
    print("width  weights x rows  lanes, us  separate, us  lanes/separate  chosen")
    for width in (w for w in WIDTHS if w <= options.most):
        hidden = f"model.hidden={[width] * options.depth}".replace(" ", "")
        data = [f"data=parity data.bits={options.bits}", f"replicates={options.networks}"]
        words = [hidden, *data[0].split(), data[1], f"train.epochs={options.epochs}", "init=xavier_uniform"]
        spec = nnspec.spec([*words, "activation=tanh"])
        lanes, separate = (seconds_an_update(spec, largest) for largest in (float("inf"), 0))
        size = nnspec.build(spec).parameters()
        numbers = sum(tensor.numel() for tensor in size) * 2**options.bits
        chosen = "separate" if layout.is_separate(spec) else "lanes"
        row = f"{width:5d}  {numbers:14,d}  {1e6 * lanes:9.2f}  {1e6 * separate:12.2f}"
        print(f"{row}  {lanes / separate:14.2f}  {chosen}", flush=True)


if __name__ == "__main__":
    main()
