"""The difference of two recipes on the page is what ``nnspec compare`` says of the same counts."""

from __future__ import annotations

from typing import Any

import chromium as pages
import numpy as np
import pytest

from nnspec.analysis import paired_difference

pytestmark = pages.MARKS
FEW = [(first, second, n) for n in (1, 2, 3, 7) for first in range(n + 1) for second in range(n + 1 - first)]


def tables(seed: int, most: int, count: int) -> list[tuple[int, int, int]]:
    """Pairs in which only the first succeeds, only the second, and all pairs; few or many of which differ."""
    random = np.random.default_rng(seed)
    pairs = random.integers(1, most + 1, count)
    either = (pairs * random.uniform(size=count) ** 3).astype(int)
    first = random.integers(0, either + 1)
    return [(int(a), int(b - a), int(n)) for a, b, n in zip(first, either, pairs, strict=True)]


EXTREME = [(10_000, 0, 10_000), (0, 10_000, 10_000), (0, 0, 10_000), (5000, 5000, 10_000), (1, 9999, 10_000)]


@pytest.mark.parametrize(
    "cases",
    [FEW, tables(1, 200, 300), tables(2, 10_000, 100), EXTREME],
    ids=["few", "hundreds", "thousands", "extreme"],
)
def test_the_difference_is_nnspecs(driver: Any, cases: list[tuple[int, int, int]]) -> None:
    """To 1e-9: the logarithm of a factorial of 10,000, some 80,000, is known to about 1e-10."""
    found = driver.execute_script("return arguments[0].map(case_ => window.nnspec.difference(...case_))", cases)
    for (first, second, pairs), page in zip(cases, found, strict=True):
        a, b = np.zeros((2, pairs), int)
        a[:first] = b[first : first + second] = 1
        wanted = paired_difference(a, b)
        np.testing.assert_allclose((page["low"], page["high"], page["p"]), wanted, rtol=0, atol=1e-9)
        assert page["difference"] == (first - second) / pairs
        # the two cannot contradict each other
        assert (page["low"] <= 0 <= page["high"]) == (page["p"] >= 0.05)
