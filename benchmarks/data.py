"""Networks on real data beside the textbook loop, the bare matrix products and JAX, in one run on the same cores.

    python benchmarks/data.py --baselines ../shared/baselines [--quick] [--jax] [--only digits xor]

Two figures for nnspec, in seconds a network. "trainer": initial weights, training and the history, on all cores, after
a first call that compiled. "whole": ``nnspec.train`` of a composed spec without tracking, which also checks, plans,
diagnoses, gathers and prints. The best of several calls counts; of loops and JAX the best of two.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

import nnspec
from nnspec.architecture import architecture
from nnspec.duration import batch_size
from nnspec.execute.pool import Finished, cores, train_chunks
from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.training import Chunk, Room, plan

MULTICLASS = ["activation=relu", "loss=cross_entropy", "optimizer.lr=0.003"]
BINARY = ["activation=relu", "loss=bce", "optimizer.lr=0.01"]
DIGITS = ["data=digits", "data.standardize=false", *MULTICLASS]
SPIRALS = ["data=spirals", "data.rows=200", "model.hidden=[16,16]", "train.epochs=500", *BINARY]
XOR = ["data=xor", "model.hidden=[4]", "activation=relu", "init=torch_default", "optimizer.lr=0.1"]
ONE = "1.0 x the loop; 2.0 below 10,000 weights"
STACK = "1.5 x the products at most"


@dataclass(frozen=True)
class Work:
    """A line of the benchmark. ``digits`` are the words of the baseline's own program, where it measures the peers."""

    name: str
    words: Sequence[str]
    networks: int
    to_reach: str
    digits: tuple[str, ...] = ()
    jax: bool = False
    against: str = ""  # the line before that it is compared with, instead of with peers


def works(quick: bool, folder: Path) -> list[Work]:
    """All lines; with ``quick`` fewer epochs where these only repeat, and fewer networks."""
    passes, updates, epochs = (1, 20, 4) if quick else (5, 200, 10)
    many, sixty_five = (100, 4096) if quick else (1000, 65536)
    found = [
        Work("xor 2-4-1", [*XOR, "train.epochs=1000"], 1, ONE),
        Work(
            "1024 x 10 rows, 64 units",
            ["data=parity", "data.bits=10", "model.hidden=[64]", f"train.epochs={updates}", *BINARY],
            1,
            ONE,
        ),
    ]
    for networks, to_reach in ((1, ONE), (16, STACK)):
        found.append(_digits((128,), 64, epochs, networks, to_reach))
        if networks == 1:
            found.append(_digits((128,), 0, updates, networks, to_reach))
        found.append(_digits((256, 128), 64, epochs, networks, to_reach))
    wide = ["data=npz", f"data.path={table(folder)}", "data.target=y", "model.hidden=[256,128]", "train.batch_size=128"]
    found.insert(5, Work("784-256-128-10, 10,000 rows", [*wide, *MULTICLASS, f"train.epochs={passes}"], 1, ONE))
    to_reach = "40 x the loop; 2 x JAX's later calls"
    found.append(Work("spirals 2-16-16-1, full", SPIRALS, many, to_reach, jax=True))
    for name, words, wanted in (
        ("xor, sigmoid float32", ["loss=bce"], "what was reached before"),
        ("xor, sigmoid float64", ["loss=bce", "dtype=float64"], "0.5 x sigmoid float32"),
        ("xor, softmax float32", ["loss=cross_entropy"], "0.5 x sigmoid float32"),
        ("xor, softmax float64", ["loss=cross_entropy", "dtype=float64"], "0.5 x sigmoid float32"),
    ):
        first = "" if wanted.startswith("what") else "xor, sigmoid float32"
        found.append(Work(name, [*XOR, "train.epochs=1000", *words], sixty_five, wanted, against=first))
    return found


def _digits(hidden: tuple[int, ...], batch: int, epochs: int, networks: int, to_reach: str) -> Work:
    sizes = [str(size) for size in hidden]
    name = f"digits 64-{'-'.join(sizes)}-10, {f'batch {batch}' if batch else 'full'}"
    words = [*DIGITS, f"model.hidden=[{','.join(sizes)}]", f"train.epochs={epochs}"]
    words += [f"train.batch_size={batch}"] if batch else []
    return Work(name, words, networks, to_reach, ("--hidden", *sizes, "--batch", str(batch), "--epochs", str(epochs)))


def table(folder: Path) -> Path:
    """An npz of 10,000 rows of 784 inputs in ten classes, which a random linear map decides."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((10_000, 784), dtype=np.float32)
    np.savez(folder / "table.npz", x=x, y=(x @ draw.standard_normal((784, 10))).argmax(1))
    return folder / "table.npz"


# -- nnspec --------------------------------------------------------------------------------------------------------


def nothing(specs: Sequence[RunSpec], chunk: Chunk, trained: object) -> None:
    """What the workers do with a trained chunk when the trainer alone is timed."""


def trainer(spec: RunSpec) -> float:
    """Seconds a network of training alone."""
    chunks = list(plan([spec], Room(workers=cores())).chunks())
    start = time.perf_counter()
    for event in train_chunks([spec], chunks, cores(), nothing):
        assert isinstance(event, Finished) or "Advanced" in type(event).__name__, event
    return (time.perf_counter() - start) / spec.replicates


def whole(spec: RunSpec) -> float:
    """Seconds a network of ``nnspec.train``."""
    start = time.perf_counter()
    nnspec.train(spec)
    return (time.perf_counter() - start) / spec.replicates


def composing(words: Sequence[str]) -> float:
    """Seconds that it takes to compose a spec."""
    start = time.perf_counter()
    nnspec.spec(words)
    return time.perf_counter() - start


# -- peers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peers:
    """Seconds a network, or None where a peer was not asked or is not there."""

    loop: float | None = None
    products: float | None = None
    jax: float | None = None  # later calls


@cache
def digits_peers(program: Path, words: tuple[str, ...], networks: int) -> Peers:
    """The baseline's own program for the digits; without JAX if ``networks`` is 0."""
    more = ["--networks", str(networks)] if networks else ["--skip-jax"]
    done = subprocess.run([sys.executable, "-W", "ignore", program, *words, *more], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program.name} {' '.join(words)} failed: {done.stderr[-500:]}")
    loop, products = (float(re.search(rf"{name} +([\d.]+)", done.stdout)[1]) for name in ("loop", "products"))  # type: ignore[index]
    later = re.search(r"call, ([\d.]+) later", done.stdout)
    return Peers(loop, products, float(later[1]) if later else None)


def loop(spec: RunSpec) -> float:
    """Seconds of the textbook loop for one network of the spec, on one thread or on all, whichever is faster."""
    return min(_loop(spec, threads) for threads in (1, cores()))


def _loop(spec: RunSpec, threads: int) -> float:
    torch.set_num_threads(threads)
    problem, several = Problem.of(spec), spec.loss.name == "cross_entropy"
    x = torch.from_numpy(problem.inputs).to(getattr(torch, spec.dtype))
    y = torch.from_numpy(problem.targets).to(x.dtype)
    y, fault = (y.argmax(1), torch.nn.CrossEntropyLoss()) if several else (y, torch.nn.BCEWithLogitsLoss())
    dense, batch, draw = architecture(spec).dense, batch_size(spec), np.random.default_rng(0)
    layers = [part for one in dense for part in (torch.nn.Linear(one.fan_in, one.fan_out), torch.nn.ReLU())][:-1]
    model = torch.nn.Sequential(*layers).to(x.dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=spec.optimizer.number("lr"))
    start = time.perf_counter()
    for _ in range(spec.train.epochs):
        order = torch.from_numpy(draw.permutation(len(x))) if batch < len(x) else None
        for first in range(0, len(x), batch):
            rows, wanted = (
                (x, y) if order is None else (x[order[first : first + batch]], y[order[first : first + batch]])
            )
            value = fault(model(rows), wanted)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    spent = time.perf_counter() - start
    torch.set_num_threads(1)
    return spent


JAX = """
import sys, time
import jax, jax.numpy as jnp, numpy as np, optax

file, networks, epochs, lr, *sizes = sys.argv[1:]
data, networks, adam, sizes = np.load(file), int(networks), optax.adam(float(lr)), [int(size) for size in sizes]
x, y = jnp.asarray(data["x"], jnp.float32), jnp.asarray(data["y"], jnp.float32)

def initial(key):
    layers = []
    for i, o in zip(sizes, sizes[1:]):
        key, one, two = jax.random.split(key, 3)
        draw = lambda k, shape: jax.random.uniform(k, shape, minval=-(i**-0.5), maxval=i**-0.5)
        layers.append((draw(one, (i, o)), draw(two, (o,))))
    return layers

def loss(params):
    h = x
    for w, b in params[:-1]:
        h = jax.nn.relu(h @ w + b)
    w, b = params[-1]
    return optax.sigmoid_binary_cross_entropy(h @ w + b, y).mean()

def train(key):
    def step(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = adam.update(grads, state)
        return (optax.apply_updates(params, updates), state), value
    params = initial(key)
    return jax.lax.scan(step, (params, adam.init(params)), None, length=int(epochs))[1][-1]

fused, keys = jax.jit(jax.vmap(train)), jax.random.split(jax.random.key(0), networks)
times = []
for _ in range(3):
    start = time.perf_counter()
    jax.block_until_ready(fused(keys))
    times.append((time.perf_counter() - start) / networks)
print(min(times[1:]))
"""


def jax_full_batch(spec: RunSpec, folder: Path) -> float | None:
    """Seconds a network of a later call of jit(vmap(scan)) on one output at full batch; None without JAX."""
    problem, dense = Problem.of(spec), architecture(spec).dense
    np.savez(folder / "full.npz", x=problem.inputs, y=problem.targets)
    sizes = [dense[0].fan_in, *(one.fan_out for one in dense)]
    words = [folder / "full.npz", spec.replicates, spec.train.epochs, spec.optimizer.number("lr"), *sizes]
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", JAX, *map(str, words)], capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else None


def peers(work: Work, spec: RunSpec, options: argparse.Namespace, folder: Path) -> Peers:
    """What the line is compared with."""
    if work.digits and options.baselines.exists():
        return digits_peers(options.baselines / "data.py", work.digits, work.networks if options.jax else 0)
    jax = jax_full_batch(spec, folder) if work.jax and options.jax else None
    return Peers(best(lambda: loop(spec), 2), None, jax)


# -- the table -----------------------------------------------------------------------------------------------------


def best(measure: Callable[[], float], times: int) -> float:
    """The best of several measurements: what disturbs a machine only ever makes it slower."""
    return min(measure() for _ in range(times))


def line(work: Work, options: argparse.Namespace, folder: Path, before: dict[str, float]) -> str:
    """Measure a line's work and what it is compared with; ``before`` has and gets the seconds of whole lines."""
    spec = replace(nnspec.spec(work.words), replicates=work.networks)
    nnspec.train(replace(spec, replicates=1))  # compiles
    alone, all_ = best(lambda: trainer(spec), options.repeat), best(lambda: whole(spec), options.repeat)
    before[work.name] = all_
    with_ = Peers() if work.against else peers(work, spec, options, folder)
    parts = [f"trainer {alone:.6f}", f"whole {all_:.6f}"]
    for name, seconds in (("loop", with_.loop), ("jax later", with_.jax), ("products", with_.products)):
        if seconds is not None:
            ratio = f"{all_ / seconds:.2f} x its time" if name == "products" else f"{seconds / all_:.2f} x faster"
            trained = f"{alone / seconds:.2f}" if name == "products" else f"{seconds / alone:.2f}"
            parts.append(f"{name} {seconds:.6f} = {ratio} (trainer {trained})")
    if work.against in before:
        parts.append(f"{before[work.against] / all_:.2f} x the speed of {work.against}")
    weights = f"{architecture(spec).parameters} weights"
    return f"{work.name}, {work.networks} at once, {weights}: {', '.join(parts)}; to reach: {work.to_reach}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baselines", type=Path, default=Path("../shared/baselines"))
    parser.add_argument(
        "--repeat", type=int, default=None, help="calls, of which the best counts: 3, or 2 with --quick"
    )
    parser.add_argument("--quick", action="store_true", help="fewer epochs and networks: a minute or two")
    parser.add_argument("--jax", action="store_true", help="ask JAX too; it must be installed")
    parser.add_argument("--only", nargs="+", default=[""], help="lines whose names hold one of these")
    options = parser.parse_args()
    options.repeat = options.repeat or (2 if options.quick else 3)
    if not options.baselines.exists():
        print(f"no baselines at {options.baselines} (--baselines FOLDER): digits without the bare products")
    print(f"seconds a network, {cores()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder, before = Path(name), dict[str, float]()
        for work in works(options.quick, folder):
            if any(part in work.name for part in options.only):
                print(line(work, options, folder, before), flush=True)
    words = [*DIGITS, "model.hidden=[128]", "train.batch_size=64"]
    print(f"composing a spec takes {best(lambda: composing(words), options.repeat):.3f} s more, once a command")
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
