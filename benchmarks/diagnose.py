"""What diagnosis costs beside the training that it explains: at most a fifth is allowed, at large sizes a tenth.

    python benchmarks/diagnose.py [--networks 1000] [--repeats 5]

Trains the textbook exercise and a few of its neighbours, one thread each, and prints for each the best time of training
and of diagnosis, their ratio, and the share of each verdict. The ratio is what to compare: both times are of one run.

Then 16 networks on classes of made-up rows, as large as those of digits and MNIST: milliseconds a network of the
diagnosis, as it comes (with the textbook loop's training beside it) and with the curvature measured for every network.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from nnspec.architecture import Architecture, Dense
from nnspec.check import checked_mapping
from nnspec.diagnostics import THRESHOLDS, Group, Thresholds, diagnose
from nnspec.problem import Problem
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import plan

Weights = dict[str, np.ndarray]
TEXTBOOK: dict[str, object] = {
    "model": {"name": "mlp"},
    "activation": {"name": "relu"},
    "init": {"name": "kaiming_uniform"},
    "optimizer": {"name": "adam", "lr": 0.1},
    "loss": {"name": "bce"},
    "data": {"name": "xor"},
}
CASES: dict[str, dict[str, object]] = {
    "textbook": {},
    "torch_default": {"init": {"name": "torch_default"}},
    "sigmoid, sgd": {
        "activation": {"name": "sigmoid"},
        "optimizer": {"name": "sgd", "lr": 0.1},
    },  # a Hessian for most of them
    "gelu": {"activation": {"name": "gelu"}},
    "identity": {"activation": {"name": "identity"}},
    "init=constant": {"activation": {"name": "sigmoid"}, "init": {"name": "constant"}},
    "parity 4, 8-8": {"data": {"name": "parity", "bits": 4}, "model": {"name": "mlp", "hidden": [8, 8]}},
}


LARGE = {  # widths, rows, batch, passes
    "64-128-10": ((64, 128, 10), 1797, 64, 10),
    "64-256-128-10": ((64, 256, 128, 10), 1797, 64, 10),
    "784-256-128-10": ((784, 256, 128, 10), 10_000, 128, 3),
}
NETWORKS = 16  # of the large ones


def train(spec: RunSpec) -> tuple[list[Group], float]:
    """The trained chunks of a spec as groups, and the seconds that training took."""
    groups, start = [], time.perf_counter()
    for chunk in plan([spec]).chunks():
        *_, last = train_chunk([spec], chunk)
        assert isinstance(last, Results)
        groups.append(Group(spec, last.initial, last.final, last.steps, last.loss, last.solved, last.nonfinite_at))
    return groups, time.perf_counter() - start


def judge(
    groups: Sequence[Group], limits: Thresholds = THRESHOLDS, clock: Callable[[], float] = time.perf_counter
) -> tuple[Counter[str], float]:
    """How often each verdict was given, and the seconds that it took."""
    start = clock()
    verdicts = [diagnose(group, limits).verdict for group in groups]
    return Counter(np.concatenate(verdicts).tolist()), clock() - start


def large_problem(spec: RunSpec, widths: Sequence[int], rows: int) -> Problem:
    """Rows around one centre a class, which overlap a little."""
    random = np.random.default_rng(0)
    labels = random.integers(widths[-1], size=rows)
    inputs = 0.5 * random.normal(size=(widths[-1], widths[0]))[labels] + random.normal(size=(rows, widths[0]))
    problem = Problem.of(spec)
    hidden, output = problem.shape.after[0], problem.shape.after[-1]
    dense = tuple(Dense(str(2 * i), *sizes) for i, sizes in enumerate(itertools.pairwise(widths)))
    shape = Architecture(widths[0], widths[-1], dense, (*[hidden] * (len(dense) - 1), output))
    return replace(problem, shape=shape, inputs=inputs, targets=np.eye(widths[-1])[labels])


def textbook_loop(problem: Problem, seed: int, batch: int, passes: int) -> tuple[list[Weights], list[float]]:
    """The weights of one network before and after the loop that everybody writes, and the loss after each pass."""
    torch.manual_seed(seed)
    layers = [[torch.nn.Linear(dense.fan_in, dense.fan_out), torch.nn.ReLU()] for dense in problem.shape.dense]
    module = torch.nn.Sequential(*itertools.chain(*layers))[:-1]
    inputs = torch.from_numpy(problem.inputs).float()
    labels = torch.from_numpy(problem.targets.argmax(1))
    optimizer, measure = torch.optim.Adam(module.parameters(), 1e-3), torch.nn.CrossEntropyLoss()
    weights, history = [_arrays(module)], [measure(module(inputs), labels).item()]
    for _ in range(passes):
        for some in torch.randperm(len(inputs)).split(batch):
            optimizer.zero_grad()
            measure(module(inputs[some]), labels[some]).backward()
            optimizer.step()
        history.append(measure(module(inputs), labels).item())
    return [*weights, _arrays(module)], history


def _arrays(module: torch.nn.Module) -> Weights:
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def large(repeats: int) -> None:
    """Print what the diagnosis of large networks costs: processor time, for it is one thread's."""
    torch.set_num_threads(1)
    clock = time.process_time
    print(f"\n{NETWORKS} networks   train, ms each  diagnose, ms each  ratio  with curvature  verdicts")
    for name, (widths, rows, batch, passes) in LARGE.items():
        fields: dict[str, object] = {"loss": {"name": "cross_entropy"}, "train": {"epochs": passes}}
        spec = checked_mapping({**TEXTBOOK, **fields})
        problem = large_problem(spec, widths, rows)
        start = clock()
        trained = [textbook_loop(problem, seed, batch, passes) for seed in range(NETWORKS)]
        seconds = (clock() - start) / NETWORKS
        first, last = ({key: np.stack([t[0][at][key] for t in trained]) for key in trained[0][0][0]} for at in (0, 1))
        never = np.zeros(NETWORKS, dtype=bool)
        steps, loss = np.arange(passes + 1), np.array([history for _, history in trained])
        group = Group(spec, first, last, steps, loss, never, np.full(NETWORKS, -1), problem)
        verdicts, cost = min((judge([group], clock=clock) for _ in range(repeats)), key=lambda found: found[1])
        _, dearest = judge([group], replace(THRESHOLDS, passage=0.0, stationary=np.inf), clock)
        shown = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common())
        each = 1e3 * np.array([seconds, cost / NETWORKS, dearest / NETWORKS])
        print(f"{name:15}  {each[0]:9.1f}  {each[1]:17.2f}  {each[1] / each[0]:5.3f}  {each[2]:14.1f}  {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{options.networks} networks\ncase             train, ms  diagnose, ms  ratio  verdicts")
    for name, fields in CASES.items():
        spec = checked_mapping(TEXTBOOK | fields | {"replicates": options.networks})
        judge(train(spec)[0])  # imports, caches
        tries = [train(spec) for _ in range(options.repeats)]
        trained = min(seconds for _, seconds in tries)
        verdicts, diagnosed = min((judge(groups) for groups, _ in tries), key=lambda found: found[1])
        shares = ", ".join(f"{verdict} {count / options.networks:.1%}" for verdict, count in verdicts.most_common())
        print(f"{name:15}  {1e3 * trained:9.0f}  {1e3 * diagnosed:12.1f}  {diagnosed / trained:5.3f}  {shares}")
    large(options.repeats)


if __name__ == "__main__":
    main()
