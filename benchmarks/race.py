"""How many networks a race (``sweep.race``) takes, beside the full grid, and how often it names a wrong best.

    python benchmarks/race.py [races]

1. Grids of activation x init x learning rate are trained with thousands of seeds a cell, then raced ``races`` times,
   the seeds in another order each time: by betting, as nnspec does, and by exact tests at looks whose number is known
   beforehand, which share out the error. The full grid at the same confidence has as many networks of every cell as the
   race needs of those that stay in to the end: with fewer the same rule does not know the best to within 0.02.
2. The same with other first looks, and with other growth from look to look.
3. Races between cells whose rates are known, drawn and not trained: in how many the cell that is named is worse than
   the best one by more than 0.02, where at most 5% may be.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

import nnspec
from nnspec.analysis.racing import CONFIDENCE, FIRST, GROWTH, Look, Replay, Rule, replayed

WITHIN = 0.02
SEEDS = 4000
BUDGET = 200_000
AXES = [
    "activation=relu,leaky_relu,gelu,tanh,sigmoid",
    "init=kaiming_uniform,xavier_uniform,orthogonal,zeros",
    "optimizer.lr=0.003,0.03,0.3",
]
GRIDS = {
    "XOR, 300 epochs": ["train.epochs=300"],
    "XOR, 100 epochs": ["train.epochs=100"],
    "XOR, 3 units, 300 epochs": ["model.hidden=[3]", "train.epochs=300"],
    "parity of 3, 8 units, 300 epochs": ["data=parity", "data.bits=3", "model.hidden=[8]", "train.epochs=300"],
}
RATES = {
    "all equal": [0.5] * 10,
    "one better by 0.03": [0.93, *[0.9] * 9],
    "one better by 0.03, near 1/2": [0.53, *[0.5] * 9],
    "a ladder": np.linspace(0.5, 0.95, 16).tolist(),
    "many at 1": [1.0] * 5 + [0.97] * 5,
}


@dataclass(frozen=True)
class Exact:
    """The rule of a race by exact tests. A cell is out by McNemar's against the one that leads; two are apart by less
    than the margin where Clopper and Pearson's limits of both kinds of pairs say so. The error is split over all other
    cells, over ``looks`` and over both questions."""

    cells: int
    within: float
    looks: int

    def look(self, solved: np.ndarray) -> Look:
        error = (1 - CONFIDENCE) / (self.cells - 1) / self.looks / 2
        counts, networks = solved.sum(axis=1), solved.shape[1]
        first = int(counts.argmax())
        better = (solved & ~solved[first]).sum(axis=1)
        worse = (~solved & solved[first]).sum(axis=1)
        beaten = stats.binom.cdf(better, better + worse, 0.5) <= error
        beaten[first] = False
        most = stats.beta.isf(error / 2, better + 1, np.maximum(networks - better, 1e-9))
        least = np.where(worse > 0, stats.beta.ppf(error / 2, np.maximum(worse, 1e-9), networks - worse + 1), 0.0)
        near = most - least <= self.within
        near[first] = True
        return Look(beaten, np.array([first]), bool(near[~beaten].all()))


def grid(words: list[str]) -> np.ndarray:
    """What solved, [c, n] bool."""
    outcome = nnspec.sweep([*AXES, *words, f"replicates={SEEDS}"]).outcome
    return np.stack([outcome.outcomes[cell]["solved"] for cell in sorted(outcome.outcomes)]).astype(bool)


def races(
    solved: np.ndarray, count: int, rule: Callable[[int], Rule | Exact], first: int = FIRST, growth: float = GROWTH
) -> list[tuple[Replay, float]]:
    """Races with the seeds in another order each time; of each how much worse the cell is that it names."""
    rng, rates = np.random.default_rng(0), solved.mean(axis=1)
    found = []
    for _ in range(count):
        order = rng.permutation(solved.shape[1])
        race = replayed(solved[:, order], WITHIN, BUDGET, first, growth, rule(len(solved)))  # type: ignore[arg-type]
        found.append((race, float(rates.max() - rates[race.best])))
    return found


def betting(cells: int) -> Rule:
    return Rule(cells, WITHIN)


def exact(cells: int) -> Exact:
    return Exact(cells, WITHIN, int(np.ceil(np.log(SEEDS / FIRST) / np.log(GROWTH))) + 1)


def shown(found: list[tuple[Replay, float]], cells: int) -> str:
    networks = np.array([race.networks for race, _ in found])
    whole = np.array([race.looks[-1] * cells for race, _ in found])
    worse = max(loss for _, loss in found)
    known = sum(race.known for race, _ in found)
    share = networks.sum() / whole.sum()
    return (
        f"{networks.mean():8,.0f} networks (most {networks.max():,}), {share:.2f} of the grid's {whole.mean():,.0f}; "
        f"known {known}/{len(found)}; worst pick {worse:.4f} below the best"
    )


def drawn(rates: list[float], seeds: int, alike: float, rng: np.random.Generator) -> np.ndarray:
    own, shared = rng.standard_normal((len(rates), seeds)), rng.standard_normal(seeds)
    return np.asarray(np.sqrt(alike) * shared + np.sqrt(1 - alike) * own < stats.norm.ppf(rates)[:, None])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    solved = {name: grid(words) for name, words in GRIDS.items()}
    for name, found in solved.items():
        print(f"{name}: {len(found)} cells, {(found.mean(axis=1) > found.mean(axis=1).max() - WITHIN).sum()} best ones")
        for how, rule in (("betting", betting), ("exact tests", exact)):
            print(f"  {how:12}{shown(races(found, count, rule), len(found))}", flush=True)  # type: ignore[arg-type]
    first = next(iter(solved))
    print(f"first look and growth, {first}: networks")
    for start in (10, 20, 40):
        for growth in (1.2, 1.5, 2.0):
            taken = races(solved[first], count, betting, start, growth)
            looks = np.mean([len(race.looks) for race, _ in taken])
            print(f"  {start:3} x {growth}: {np.mean([race.networks for race, _ in taken]):8,.0f} in {looks:.0f} looks")
    print("drawn: wrong bests, networks of a race")
    rng = np.random.default_rng(1)
    for name, rates in RATES.items():
        for alike in (0.0, 0.6):
            raced = [replayed(drawn(rates, 20_000, alike, rng), WITHIN, BUDGET) for _ in range(4 * count)]
            wrong = sum(max(rates) - rates[race.best] > WITHIN for race in raced)
            mean = np.mean([race.networks for race in raced])
            print(f"  {name:30} alike {alike}: {wrong}/{len(raced)}, {mean:8,.0f}", flush=True)


if __name__ == "__main__":
    main()
