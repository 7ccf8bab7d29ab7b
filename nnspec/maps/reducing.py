"""What a map keeps of its networks: a few numbers a pixel, made where they trained. Weights and histories stay
there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnspec.diagnostics import VERDICTS
from nnspec.execute.judge import judge
from nnspec.execute.pool import Only
from nnspec.results.arrays import NEVER, Results, quantile
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk

Arrays = dict[str, np.ndarray]
UNTRAINED = 255  # the verdict of a pixel that did not train
MOST = 1e6  # times its first loss, beyond which a loss is as good as none
TAIL = 5  # the last fifth of the history tells whether training converged


@dataclass(frozen=True)
class Reduced:
    """A piece's pixels in its order, [k] each by name (see ``empty``), and how many of its networks are solved."""

    values: Arrays
    solved: int
    seconds: float  # of the diagnosis


@dataclass(frozen=True)
class Reduce(Only):
    """Reduces a trained piece, whose pixels have so many ``replicates`` each."""

    replicates: int

    def __call__(self, specs: Sequence[RunSpec], chunk: Chunk, trained: Results) -> Reduced:
        judged = judge(specs, chunk, trained)
        codes = np.array([VERDICTS.index(name) for name in judged.verdict.tolist()], np.uint8)
        shape = (-1, self.replicates)
        converged, score = convergence(trained.loss)
        values = {
            "final_loss": _median(trained.final_loss.reshape(shape)),
            "convergence": _median(score.reshape(shape)),
            "converged": converged.reshape(shape).sum(1),
            "solved": trained.solved.reshape(shape).sum(1),
            "solved_at": _solved_at(trained.solved_at.reshape(shape)),
            "verdict": _most_common(codes.reshape(shape)),
        }
        return Reduced(values, int(trained.solved.sum()), judged.seconds)


def empty(pixels: int, replicates: int, dtype: str) -> Arrays:
    """Room for a map, [pixels] each, as it is where nothing has trained:

    ``final_loss``, the median over replicates (NaN: untrained); ``convergence``, see there, their median;
    ``converged`` and ``solved``, how many of the replicates are; ``solved_at``, the median number of updates of those
    that are solved, or ``NEVER``; ``verdict``, the place of the most common one in ``VERDICTS``, or ``UNTRAINED``.
    """
    counts = np.uint8 if replicates < 2**8 else np.int32
    return {
        "final_loss": np.full(pixels, np.nan, dtype),
        "convergence": np.full(pixels, np.nan, np.float32),
        "converged": np.zeros(pixels, counts),
        "solved": np.zeros(pixels, counts),
        "solved_at": np.full(pixels, NEVER, np.int32),
        "verdict": np.full(pixels, UNTRAINED, np.uint8),
    }


def convergence(loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether networks with losses [m, t] converged, bool [m], and how fast, float32 [m].

    As Sohl-Dickstein (2024, arXiv 2402.06184) colours the boundary of trainability: losses are divided by the first
    and cut at 10^6, which stands for what is not finite too; a network converged if their mean over the last fifth of
    the history is below 1. The number is then minus their mean (the nearer to 0 the faster), else the mean of their
    inverses (the nearer to 0 the faster it diverged).
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.asarray(loss, np.float64) / loss[:, :1]
        ratio[loss == 0] = 0.0  # none left, whatever the first was
        ratio = np.where(np.isfinite(ratio), np.minimum(ratio, MOST), MOST)
    tail = max(1, ratio.shape[1] // TAIL)
    converged = ratio[:, -tail:].mean(1) < 1
    score = np.where(converged, -ratio.mean(1), (1 / np.maximum(ratio, 1 / MOST)).mean(1))
    return converged, score.astype(np.float32)


def _median(values: np.ndarray) -> np.ndarray:
    """[k] the medians of values [k, r], a NaN the worst of all; of one replicate the value itself, to the last bit."""
    return values[:, 0] if values.shape[1] == 1 else quantile(values.T, 0.5)


def _solved_at(at: np.ndarray) -> np.ndarray:
    """[k] the medians of updates to solve [k, r] over those that are solved; ``NEVER`` where none is."""
    if at.shape[1] == 1:
        return at[:, 0]
    found = np.sort(np.where(at == NEVER, np.iinfo(np.int64).max, at), axis=1)
    solved = (at != NEVER).sum(1)
    middle = np.take_along_axis(found, np.maximum(0, (solved - 1) // 2)[:, None], 1)[:, 0]
    return np.where(solved > 0, middle, NEVER)


def _most_common(codes: np.ndarray) -> np.ndarray:
    """[k] the most common of verdicts [k, r]; of equally common ones the first in ``VERDICTS``."""
    if codes.shape[1] == 1:
        return codes[:, 0]
    counts = np.stack([(codes == code).sum(1) for code in range(len(VERDICTS))])
    return counts.argmax(0).astype(np.uint8)
