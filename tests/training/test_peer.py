"""A peer's numbers: networks on the digits generalise as well as those of scikit-learn's ``MLPClassifier``."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import nnspec

SEEDS = 20  # the number
# Both are at 95% after five passes, where accuracies still rise by a percent a pass and seeds differ by half a percent:
# the intervals, half a percent wide, would show what is learnt a pass too late, and 40 networks take some ten seconds.
EPOCHS = 5
HIDDEN, BATCH, RATE = 128, 64, 0.003


@pytest.fixture(scope="module")
def parts() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training inputs, test inputs, training labels, test labels: one split for both."""
    x, y = load_digits(return_X_y=True)
    found = train_test_split(x / 16, y, test_size=0.3, stratify=y, random_state=0)
    return found[0], found[1], found[2], found[3]


def ours(parts: tuple[np.ndarray, ...], folder: Path, passes: int) -> np.ndarray:
    """Test accuracies [seed] of networks that train on the training part, outputs made by NumPy from their weights."""
    x, x_test, y, y_test = parts
    path = folder / "digits.npz"
    np.savez(path, x=x, y=y)
    words = ["data=npz", f"data.path={path}", "data.target=y", f"model.hidden=[{HIDDEN}]", "activation=relu"]
    words += ["loss=cross_entropy", "optimizer=adam", f"optimizer.lr={RATE}", f"train.batch_size={BATCH}"]
    # scikit-learn draws weights and biases from Glorot's uniform distribution
    words += ["init=xavier_uniform", f"train.epochs={passes}", f"replicates={SEEDS}"]
    trained = nnspec.train(nnspec.spec(words)).result
    first, bias, last, shift = trained.final.values()
    hidden = np.maximum(x_test @ first.transpose(0, 2, 1) + bias[:, None], 0)
    return ((hidden @ last.transpose(0, 2, 1) + shift[:, None]).argmax(2) == y_test).mean(1)


def theirs(parts: tuple[np.ndarray, ...]) -> np.ndarray:
    """Test accuracies [seed] of scikit-learn's networks."""
    x, x_test, y, y_test = parts
    found = []
    for seed in range(SEEDS):
        # the optimizer is Adam, with the betas and the epsilon that nnspec has by default too
        peer = MLPClassifier(
            (HIDDEN,), alpha=0.0, batch_size=BATCH, learning_rate_init=RATE, max_iter=EPOCHS, tol=0.0, random_state=seed
        )
        # threads would cost more than they give on products of these sizes
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is to end after these passes
            found.append(peer.fit(x, y).score(x_test, y_test))
    return np.array(found)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Student's 95% interval of the mean."""
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - half), float(values.mean() + half)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two intervals have a value in common."""
    return one[0] <= other[1] and other[0] <= one[1]


@pytest.mark.slow
def test_digits_are_learnt_as_well_as_by_scikit_learn(parts: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    peer = interval(theirs(parts))
    assert overlap(interval(ours(parts, tmp_path, EPOCHS)), peer)
    assert not overlap(interval(ours(parts, tmp_path, EPOCHS - 1)), peer)  # it would notice a pass fewer
