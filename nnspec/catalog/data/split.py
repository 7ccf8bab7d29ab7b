"""Training and test part of a data set: which rows, and standardised by what the training part alone says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnspec.catalog.data.sets import Params, real, whole
from nnspec.errors import Fault

_STREAM = 0x5917  # so that the split draws other numbers than the noise does from the same seed


@dataclass(frozen=True)
class Parts:
    """Inputs [n, i] and targets [n, k] of the training part, and those of the test part, which may have no rows."""

    inputs: np.ndarray
    targets: np.ndarray
    test_inputs: np.ndarray
    test_targets: np.ndarray


def test_rows(params: Params, rows: int) -> int:
    """Rows of the test part: the share of all, rounded; not fewer than one, and never all."""
    fraction = real(params, "test_fraction") if "test_fraction" in params else 0.0
    return min(max(1, int(fraction * rows + 0.5)), rows - 1) if fraction else 0


def stratified(counts: Sequence[int], test: int) -> list[int]:
    """Test rows of each class, ``test`` in all: in proportion, what is left over to the largest remainders."""
    rows = sum(counts)
    shares = [test * count // rows for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda c: -(test * counts[c] % rows))  # a stable sort
    for number in by_remainder[: test - sum(shares)]:
        shares[number] += 1
    return shares


def class_faults(params: Params, counts: Sequence[int], names: Sequence[str] = ()) -> Iterator[Fault]:
    """What keeps the rows of each class (none of regression) from being in both parts."""
    rows = sum(counts)
    test = test_rows(params, rows)
    if not test or not counts:
        return
    fraction = f"{real(params, 'test_fraction'):g}"
    for number, (count, share) in enumerate(zip(counts, stratified(counts, test), strict=True)):
        name = names[number] if number < len(names) else str(number)
        if 0 < share < count:
            continue
        if count < 2:
            rule, remedy = "needs two rows or more of every class", "leave the class out, or try data.test_fraction=0"
        else:
            part, change = ("test", "raise") if share == 0 else ("training", "lower")
            rule, remedy = f"must leave every class a row in the {part} part", f"{change} data.test_fraction"
        yield Fault("data.test_fraction", rule, f"{fraction} with {count} of class '{name}'", remedy)
        return  # of the first class: the others break the same rule


def split(
    params: Params, rows: int, labels: np.ndarray | None, counts: Sequence[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the training and of the test rows, both rising. ``labels`` [n] are None for regression, then the
    rows are drawn from all; ``seed`` is the network's, which matters with ``split=per_network``."""
    test = test_rows(params, rows)
    if not test:
        return np.arange(rows), np.arange(0)
    own = [seed] if params["split"] == "per_network" else []
    random = np.random.RandomState([_STREAM, whole(params, "seed"), *own])
    if labels is None:
        chosen = random.permutation(rows)[:test]
    else:
        shares = stratified(counts, test)
        chosen = np.concatenate(
            [random.permutation(np.flatnonzero(labels == c))[:share] for c, share in enumerate(shares)]
        )
    kept = np.ones(rows, bool)
    kept[chosen] = False
    return np.flatnonzero(kept), np.flatnonzero(~kept)


def parts(
    params: Params, inputs: np.ndarray, targets: np.ndarray, labels: np.ndarray | None, classes: int, seed: int
) -> Parts:
    """The two parts of rows ``inputs`` [n, i] with ``targets`` [n, k]; ``labels`` [n] where these stand for classes."""
    counts = () if labels is None else np.bincount(labels, minlength=classes).tolist()
    train, test = split(params, len(inputs), labels, counts, seed)
    if not len(test):
        found = Parts(inputs, targets, inputs[:0], targets[:0])
    else:
        found = Parts(inputs[train], targets[train], inputs[test], targets[test])
    if not params.get("standardize"):
        return found
    pairs = [standardized(found.inputs, found.test_inputs), (found.targets, found.test_targets)]
    if labels is None:
        pairs[1] = standardized(*pairs[1])
    (inputs, test_inputs), (targets, test_targets) = pairs
    return Parts(inputs, targets, test_inputs, test_targets)


def standardized(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts less the mean of the training part and over its standard deviation, column by column; a column that
    is constant there is only shifted."""
    mean, deviation = train.mean(0), train.std(0)
    # rounding leaves a constant column a deviation of some last digits
    constant = train.min(0) == train.max(0)
    mean, deviation = np.where(constant, train[0], mean), np.where(constant, 1.0, deviation)
    return (train - mean) / deviation, (test - mean) / deviation
