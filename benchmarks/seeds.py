"""Are networks of consecutive seeds as independent as those of seeds at random?

    python benchmarks/seeds.py [networks]

Each network draws its first weights from its own ``torch.Generator().manual_seed(seed)``, and replicates have
consecutive seeds. The first table has the largest correlation between a weight of seed s and one of seed s + lag over
all pairs of weights, of the weights and of their sizes, in standard errors, beside what the largest of so many
independent ones comes to: median and 99% quantile.

The second has the networks of experiment=prototype_xor that start mirrored and fail: of consecutive seeds from several
first ones and of seeds that a hash scrambles, and their spread over blocks of 1000: the variance over that of
independent networks of one rate, with its p-value by chi-square. Such a network starts from two numbers, and by the
symmetries of XOR its fate is that of their sizes, the larger first. So those are trained once, on a grid by direction
and length, and every seed has the fate of its cell; how far that is right is told for seeds that train themselves.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.stats import chi2, chi2_contingency, norm

import nnspec
from nnspec.initial import initial_weights

NETWORKS, BLOCK, LAGS = 500_000, 1000, (1, 2, 3, 5, 10, 100, 1000)
FIRST = (0, 1_000_000, 10_000_000, 1_000_000_000)
KNOWN = ((0, 6000), (100_000, 3000))  # first seed and networks, of which it was asked whether both are chance
DIRECTIONS, LENGTHS, LONGEST = 400, 40, 4.5  # cells of the first unit's two weights, whose standard deviation is 1
STUDY, MIRRORED = "experiment=prototype_xor", "init.per_layer=[mirror,constant]"
UPDATES, RATE, FIRST_BETA, SECOND_BETA = 800, 0.02, 0.9, 0.99
XOR = (((-1, -1), 0), ((-1, 1), 1), ((1, -1), 1), ((1, 1), 0))
TOGETHER = 10_000  # networks


def scrambled(seeds: np.ndarray) -> np.ndarray:
    """31 bits of the SplitMix64 hash of each seed."""
    mixed = (seeds.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(33)).astype(np.int64)


def correlations(networks: int) -> None:
    """The first table."""
    spec = nnspec.spec(["init=normal", "model.hidden=[2]"])
    weights = initial_weights(spec, np.arange(networks))
    drawn = np.concatenate([weights[name].reshape(networks, -1) for name in ("0.weight", "2.weight")], axis=1)
    pairs = drawn.shape[1] ** 2
    usual = norm.isf((1 - np.array([0.5, 0.99]) ** (1 / pairs)) / 2)
    print(f"{networks:,} seeds; the largest of {pairs}: median {usual[0]:.1f}, 99% {usual[1]:.1f}\n")
    print("| lag | weights | sizes |\n|---|---|---|")
    for lag in LAGS:
        print(f"| {lag} | {largest(drawn, lag):.1f} | {largest(np.abs(drawn), lag):.1f} |", flush=True)


def largest(drawn: np.ndarray, lag: int) -> float:
    """The largest correlation of columns ``lag`` rows apart, in standard errors."""
    scaled = (drawn - drawn.mean(0)) / drawn.std(0)
    return float(np.abs(scaled[:-lag].T @ scaled[lag:]).max() / np.sqrt(len(drawn) - lag))


def failures(seeds: np.ndarray) -> np.ndarray:
    """Whether the networks of these seeds fail, bool [m]: trained here by hand, hundreds of thousands at a time."""
    weights = initial_weights(nnspec.spec([STUDY, MIRRORED]), seeds)["0.weight"]
    parts = np.array_split(weights, max(1, len(weights) // TOGETHER))
    return np.concatenate([trained_in_vain(part.transpose(1, 2, 0).copy()) for part in parts])


def trained_in_vain(weight: np.ndarray) -> np.ndarray:
    """Which networks of hidden weights [unit, input, m] fail after Adam's 800 updates of them and of their biases. The
    output is half the sum of both units."""
    at = np.concatenate([weight, np.zeros_like(weight[:, :1])], axis=1)  # the bias sees an input of 1
    slope, square = np.zeros_like(at), np.zeros_like(at)
    for step in range(1, UPDATES + 1):
        gradient = np.zeros_like(at)
        for row, target in XOR:
            units, error = output(at, row)
            passed = (units > 0) * (error - target) * np.float32(0.25)  # 2 / 4 rows, and half of each unit
            for place, value in enumerate((*row, 1)):
                gradient[:, place] += passed if value > 0 else -passed
        slope += np.float32(1 - FIRST_BETA) * (gradient - slope)
        square += np.float32(1 - SECOND_BETA) * (gradient * gradient - square)
        size = np.sqrt(square) * np.float32((1 - SECOND_BETA**step) ** -0.5) + np.float32(1e-8)
        at -= np.float32(RATE / (1 - FIRST_BETA**step)) * slope / size
    wrong = [np.abs(output(at, row)[1] - target) >= 0.5 for row, target in XOR]
    failed: np.ndarray = np.any(wrong, axis=0)
    return failed


def output(at: np.ndarray, row: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Of each network both hidden units [2, m] and the output [m] for a row of -1 and 1."""
    units = at[:, 2] + (at[:, 0] if row[0] > 0 else -at[:, 0]) + (at[:, 1] if row[1] > 0 else -at[:, 1])
    np.maximum(units, 0, out=units)
    return units, np.float32(0.5) * (units[0] + units[1])


def fates() -> np.ndarray:
    """Whether networks fail whose first unit starts in the middle of each cell of direction and length, bool [d, l]."""
    directions = (np.arange(DIRECTIONS, dtype=np.float32) + np.float32(0.5)) * np.float32(np.pi / 4 / DIRECTIONS)
    lengths = (np.arange(LENGTHS, dtype=np.float32) + np.float32(0.5)) * np.float32(LONGEST / LENGTHS)
    unit = np.stack([np.outer(turn(directions), lengths).ravel() for turn in (np.cos, np.sin)])
    parts = np.array_split(np.stack([unit, -unit]), max(1, unit.shape[1] // TOGETHER), axis=2)
    return np.concatenate([trained_in_vain(part) for part in parts]).reshape(DIRECTIONS, LENGTHS)


def looked_up(seeds: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Whether the networks of these seeds fail by the table of ``fates``, bool [m]."""
    unit = np.abs(initial_weights(nnspec.spec([STUDY, MIRRORED]), seeds)["0.weight"][:, 0])
    direction = np.arctan2(unit.min(1), unit.max(1)) * (DIRECTIONS * 4 / np.pi)
    length = np.hypot(*unit.T) * (LENGTHS / LONGEST)
    fate: np.ndarray = table[
        np.minimum(direction, DIRECTIONS - 1).astype(int), np.minimum(length, LENGTHS - 1).astype(int)
    ]
    return fate


def failing(networks: int) -> None:
    """The second table."""
    table = fates()
    for first, count in KNOWN:
        seeds = first + np.arange(count)
        trained, guessed = failures(seeds), looked_up(seeds, table)
        print(f"\nof {count:,} seeds from {first:,} that train {trained.sum()} fail; so the table says of ", end="")
        print(f"{guessed.sum()}, {(trained & guessed).sum()} of them the same", flush=True)
    ranges = [(f"from {first:,}", first + np.arange(networks)) for first in FIRST]
    ranges.append(("scrambled", scrambled(np.arange(networks))))
    print("\n| seeds | networks | fail | share | spread over blocks | p |\n|---|---|---|---|---|---|")
    counts = []
    for name, seeds in ranges:
        blocks = looked_up(seeds, table).reshape(-1, BLOCK).sum(1)
        counts.append(int(blocks.sum()))
        rate = blocks.mean() / BLOCK
        ratio = blocks.var(ddof=1) / (BLOCK * rate * (1 - rate))
        p = chi2.sf(ratio * (len(blocks) - 1), len(blocks) - 1)
        print(f"| {name} | {networks:,} | {counts[-1]:,} | {rate:.3%} | {ratio:.3f} | {p:.2g} |", flush=True)
    found = chi2_contingency(np.array([counts, networks - np.array(counts)]))
    print(f"\none rate for all of them: chi-square {found.statistic:.1f} on {found.dof}, p = {found.pvalue:.2g}")


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS
    correlations(asked)
    failing(asked)
