"""How near the page of ``nnspec play`` is to nnspec: the same start weights, trained by both, in headless Chromium.

    python benchmarks/agreement.py [WORD ...] [--only NAME ...] [--beside]

For every activation, optimizer and loss that the page offers (or those named by ``--only``), XOR 2-4-1 and Adam unless
the ``WORD``s say otherwise: the largest difference of a weight after 20 updates; of 64 networks those within 0.001
after 200, and those that are the same to the last bit; of 1000 networks those with the same verdict at the end.
``--beside`` shows nnspec in the page's place, every start weight one bit beside: how well nnspec knows its own numbers.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from play import browser, written

import nnspec
from nnspec.documents import plain
from nnspec.play.entries import entries

FEW, MANY = 64, 1000  # networks whose weights, and whose verdicts, are compared
SOON, LATER = 20, 200  # updates after which weights are compared
NEAR = 1e-3
TRAIN = """
const [said, weights, done] = arguments;
const { spec } = JSON.parse(document.getElementById("nnspec-data").textContent).start;
const found = window.nnspec.train({ spec: { ...spec, ...said }, weights });
found.then(({ weights, verdicts }) => done({ weights, verdicts }));
"""
PARTS = {"activation": "activations", "optimizer": "optimizers", "loss": "losses"}
Weights = dict[str, np.ndarray]  # tensor name: [networks, ...]
Other = Callable[[list[str], Weights], tuple[Weights, np.ndarray]]  # what is compared: words and start weights


def main() -> None:
    """Print a line an entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--beside", action="store_true")
    asked = parser.parse_args()
    known = entries(nnspec.spec(asked.words))
    print(f"entry, difference after {SOON}, near after {LATER}, same bits after {LATER}, same verdicts of {MANY}")
    with tempfile.TemporaryDirectory() as folder, browser() as driver:
        driver.set_script_timeout(600)
        driver.get(written(Path(folder), asked.words))
        other: Other = partial(nnspec_beside, Path(folder)) if asked.beside else partial(page_in, driver)
        for part, plural in PARTS.items():
            for name in known[plural]:
                if not asked.only or name in asked.only:
                    words = [*asked.words, f"{part}={name}"]
                    print(f"{part}={name}".ljust(24), figures(words, other), flush=True)


def figures(words: list[str], other: Other) -> str:
    """What is printed of one entry."""
    soon, _ = compared([*words, f"replicates={FEW}", f"train.epochs={SOON}"], other)
    later, _ = compared([*words, f"replicates={FEW}", f"train.epochs={LATER}"], other)
    _, same = compared([*words, f"replicates={MANY}"], other)
    return f"{soon.max():8.1e} {(later < NEAR).sum():4d} {(later == 0).sum():4d} {same.sum():6d}"


def compared(words: list[str], other: Other) -> tuple[np.ndarray, np.ndarray]:
    """The largest difference of each network's weights, and whether its verdict is the same [networks]."""
    wanted = nnspec.train(nnspec.spec(words)).result
    weights, verdicts = other(words, wanted.initial)
    gaps = [np.abs(weights[name] - tensor).reshape(len(tensor), -1).max(1) for name, tensor in wanted.final.items()]
    return np.max(gaps, 0), verdicts == wanted.verdict


def page_in(driver: Any, words: list[str], start: Weights) -> tuple[Weights, np.ndarray]:
    """The final weights and the verdicts of the page that the browser shows."""
    spec = nnspec.spec(words)
    said = {part: {"name": getattr(spec, part).name, **dict(getattr(spec, part).params)} for part in PARTS}
    tensors = {name: tensor.tolist() for name, tensor in start.items()}
    found = driver.execute_async_script(TRAIN, plain({**said, "epochs": spec.train.epochs}), tensors)
    final = {name: np.array(tensor, np.float32) for name, tensor in found["weights"].items()}
    return final, np.array(found["verdicts"])


def nnspec_beside(folder: Path, words: list[str], start: Weights) -> tuple[Weights, np.ndarray]:
    """The same of nnspec, with every start weight that is not 0 one bit further from it."""
    file = folder / "beside.safetensors"
    moved = {name: tensor * np.float32(1 + 2**-23) for name, tensor in start.items()}
    safetensors.numpy.save_file(moved, file)
    result = nnspec.train(nnspec.spec([*words, "init=from_file", f"init.path={file}"])).result
    return result.final, result.verdict


if __name__ == "__main__":
    main()
