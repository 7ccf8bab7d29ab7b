"""Do the intervals of ``nnspec compare`` hold the difference as often as they say, and do they agree with their
p-values?

    python benchmarks/coverage.py [samples]

Sweeps are drawn, not trained: networks of one seed share a normal strength, so that those of several cells solve
together to a share ``alike``; a cell of rate 0 or 1 is constant. For each design and number of seeds: how often the
95% interval holds the true difference, its mean width, and in how many samples 0 lies in it though p < 0.05, or not
though p >= 0.05.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from nnspec.analysis import Difference, independent_difference, paired_difference

SEEDS = (10, 20, 50, 100, 1000)
ALIKE = (0.0, 0.6)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Design:
    """The cells of a seed: the solve rates of both levels in each, [c, 2]."""

    name: str
    cells: tuple[tuple[float, float], ...]

    def difference(self) -> float:
        return float(np.mean([a - b for a, b in self.cells]))

    def draw(
        self, rng: np.random.Generator, seeds: int, alike: float, share: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """What solved, [s, c] each under a and b; with ``share`` the seeds of a and b are the same."""
        strength = [rng.normal(size=(seeds, 1)) for _ in range(2)]
        return tuple(
            np.sqrt(alike) * strength[level * (not share)]
            + np.sqrt(1 - alike) * rng.normal(size=(seeds, len(self.cells)))
            < norm.ppf([cell[level] for cell in self.cells])
            for level in range(2)
        )


DESIGNS = (
    Design("1 cell, equal", ((0.5, 0.5),)),
    Design("1 cell", ((0.7, 0.5),)),
    Design("1 cell, near 1", ((0.98, 0.9),)),
    Design("1 cell, near 0", ((0.02, 0.05),)),
    Design("1 cell, apart", ((0.95, 0.05),)),
    Design("1 cell, one always solves", ((1.0, 0.95),)),
    Design("2 cells, one never solves", ((0.6, 1.0), (0, 0))),
    Design("2 cells, one always solves", ((0.6, 0.9), (1, 1))),
    Design("2 cells, one decides", ((1, 0), (0.05, 0.0))),
    Design("4 cells", ((0.2, 0.3), (0.5, 0.6), (0.9, 0.8), (0.4, 0.7))),
    Design("4 cells, near 1", ((0.99, 0.97),) * 4),
    Design("8 cells, equal", tuple((p, p) for p in (0.1, 0.2, 0.4, 0.5, 0.5, 0.6, 0.9, 0.99))),
    Design(
        "8 cells, three constant", ((0.6, 0.9), (0.6, 0.7), (0.2, 0.4), (0.9, 0.95), (0.5, 0.5), (0, 0), (1, 1), (0, 0))
    ),
    Design("8 cells, seven constant", ((0.6, 0.9), *((0.0, 0.0),) * 7)),
    Design("8 cells, interacting", ((0.9, 0.1),) * 4 + ((0.1, 0.8),) * 4),
)


@dataclass(frozen=True)
class Score:
    """Of the samples of one design: the share of intervals that hold the difference, mean width, share of
    contradictions."""

    coverage: float
    width: float
    contradictions: float


def paired(design: Design, rng: np.random.Generator, seeds: int, alike: float, missing: float = 0.0) -> Difference:
    """One sample of both levels at the same seeds; a share ``missing`` of pairs is left out, as of an incomplete
    sweep."""
    a, b = design.draw(rng, seeds, alike)
    kept = rng.random(a.shape) >= missing
    sizes = kept.sum(axis=1)
    seen = sizes > 0
    return paired_difference((a & kept).sum(axis=1)[seen], (b & kept).sum(axis=1)[seen], sizes[seen], CONFIDENCE)


def independent(design: Design, rng: np.random.Generator, seeds: int, alike: float, missing: float = 0.0) -> Difference:
    """One sample of levels whose seeds differ."""
    a, b = design.draw(rng, seeds, alike, share=False)
    return independent_difference(a.sum(axis=1), b.sum(axis=1), a.shape[1], b.shape[1], CONFIDENCE)


def score(sample, design: Design, seeds: int, alike: float, samples: int, missing: float = 0.0) -> Score:
    rng = np.random.default_rng(20)
    found = np.array([sample(design, rng, seeds, alike, missing) for _ in range(samples)])
    low, high, p = found.T
    true = design.difference()
    held = (low - 1e-12 <= true) & (true <= high + 1e-12)
    return Score(held.mean(), (high - low).mean(), ((p < 1 - CONFIDENCE) != ((low > 0) | (high < 0))).mean())


def lines(samples: int) -> Iterator[str]:
    yield f"{samples} samples a line; coverage has a standard error of {np.sqrt(0.05 * 0.95 / samples):.1%}"
    for sample, missing in ((paired, 0.0), (paired, 0.3), (independent, 0.0)):
        yield f"\n{sample.__name__}{f', {missing:.0%} of pairs missing' if missing else ''}"
        yield f"{'design':28s} {'alike':>5s} {'seeds':>5s} {'coverage':>8s} {'width':>6s} {'contradictions':>14s}"
        for design in DESIGNS:
            for alike in ALIKE:
                for seeds in SEEDS:
                    s = score(sample, design, seeds, alike, samples, missing)
                    yield (
                        f"{design.name:28s} {alike:5.1f} {seeds:5d} {s.coverage:8.1%} {s.width:6.3f} "
                        f"{s.contradictions:14.1%}"
                    )


if __name__ == "__main__":
    for line in lines(int(sys.argv[1]) if len(sys.argv) > 1 else 1000):
        print(line, flush=True)
