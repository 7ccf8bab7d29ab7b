"""Where the two memory layouts cross: network axis last (loops over a layer's short side) or first (batched products).

    python benchmarks/layouts.py [--depth 2] [--networks 256]

Prints for each width the time of a training step in both layouts and their ratio. ``training.layout.WIDE`` is set from
it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from unittest import mock

import nnspec
from nnspec.training import stacking as params
from nnspec.training.layout import is_wide
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Chunk, Share

WIDTHS = (4, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512)
EPOCHS = 30


def seconds_a_step(width: int, depth: int, networks: int, wide: bool) -> float:
    """Seconds of one training step of ``networks`` networks with ``depth`` hidden layers of this width."""
    spec = nnspec.spec([f"model.hidden={[width] * depth}".replace(" ", ""), "init=xavier_uniform", "activation=tanh"])
    spec = replace(spec, replicates=networks, train=replace(spec.train, epochs=EPOCHS, log_every=EPOCHS))
    with mock.patch.object(params, "is_wide", return_value=wide):
        start = time.perf_counter()
        list(train_chunk([spec], Chunk((Share(0, 0, networks),))))
    return (time.perf_counter() - start) / EPOCHS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--networks", type=int, default=256)
    parser.add_argument("--most", type=int, default=512, help="largest width")
    options = parser.parse_args()
    print("width  last, ms/step  first, ms/step  last/first  chosen")
    for width in (w for w in WIDTHS if w <= options.most):
        networks = min(options.networks, max(1, 2_000_000 // (width * width)))
        last, first = (
            min(seconds_a_step(width, options.depth, networks, wide) for _ in range(6)) for wide in (False, True)
        )
        hidden = f"model.hidden={[width] * options.depth}".replace(" ", "")
        chosen = "first" if is_wide(nnspec.spec([hidden])) else "last"
        print(f"{width:5d}  {1e3 * last:13.3f}  {1e3 * first:14.3f}  {last / first:10.2f}  {chosen}", flush=True)


if __name__ == "__main__":
    main()
