"""Which places of many are shown."""

from __future__ import annotations

import numpy as np


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers below ``count``, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [int(i) for i in np.unique(np.round(np.linspace(0, count - 1, most)))]
