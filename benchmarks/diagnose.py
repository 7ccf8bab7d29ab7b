"""What diagnosis costs beside the training that it explains: at most a fifth is allowed.

    python benchmarks/diagnose.py [--networks 1000] [--repeats 5]

Trains the textbook exercise and a few of its neighbours, one thread each, and prints for each the best time of training
and of diagnosis, their ratio, and the share of each verdict. The ratio is what to compare: both times are of one run.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from nnspec.check import checked_mapping
from nnspec.diagnostics import Group, diagnose
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import plan

TEXTBOOK = {
    "model": {"name": "mlp"},
    "activation": {"name": "relu"},
    "init": {"name": "kaiming_uniform"},
    "optimizer": {"name": "adam", "lr": 0.1},
    "loss": {"name": "bce"},
    "data": {"name": "xor"},
}
CASES = {
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


def train(spec: RunSpec) -> tuple[list[Group], float]:
    """The trained chunks of a spec as groups, and the seconds that training took."""
    groups, start = [], time.perf_counter()
    for chunk in plan([spec]).chunks():
        *_, last = train_chunk([spec], chunk)
        assert isinstance(last, Results)
        groups.append(Group(spec, last.initial, last.final, last.steps, last.loss, last.solved, last.nonfinite_at))
    return groups, time.perf_counter() - start


def judge(groups: Sequence[Group]) -> tuple[Counter[str], float]:
    """How often each verdict was given, and the seconds that it took."""
    start = time.perf_counter()
    verdicts = [diagnose(group).verdict for group in groups]
    return Counter(np.concatenate(verdicts).tolist()), time.perf_counter() - start


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


if __name__ == "__main__":
    main()
