"""The network that somebody wrote, as verify sees it, and what it must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from nnspec.errors import NnspecError, first_line


class VerifyError(NnspecError):
    """A network that cannot be compared, and why."""

    exit_status = 2


class NotCompared(Exception):
    """What cannot be compared of a network that may be right, and why: a sentence for the report."""


class Given(Protocol):
    """Parameters and gradients come in the network's own order and shapes."""

    def parameters(self) -> list[np.ndarray]:
        """The parameters as they are now."""

    def put(self, arrays: Sequence[np.ndarray]) -> None:
        """Write these numbers into the parameters."""

    def outputs(self, x: np.ndarray) -> Any:
        """What the forward pass makes of rows [n, i], in evaluation."""

    def differs_in_training(self, x: np.ndarray) -> bool:
        """Whether training has other outputs than evaluation."""

    def loss(self, x: np.ndarray, y: np.ndarray) -> float | None:
        """The network's own loss; None if it has none."""

    def gradients(self, x: np.ndarray, y: np.ndarray, logits: bool) -> list[np.ndarray | None] | None:
        """A gradient a parameter; None if it gives none. ``logits``: the outputs are those before the output
        activation."""

    def step(self, x: np.ndarray, y: np.ndarray, logits: bool) -> bool:
        """Make one update; False if it makes none."""

    def done(self) -> None:
        """Leave the network as a user expects it."""


def called(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of the user's gives.

    Raises:
        VerifyError: it raised.
    """
    try:
        return function(*arguments)
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        raise VerifyError(f"{what} must run on the spec's data, but raised {said}; run it by hand first") from error


def checked_array(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A user's array in double precision.

    Raises:
        VerifyError: it has another shape, or numbers that are not finite.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        found = type(value).__name__
        raise VerifyError(f"{what} must be an array of numbers, but got {found}; return an array") from error
    if array.shape != shape:
        raise VerifyError(f"{what} must have the shape {list(shape)}, but got {list(array.shape)}; reshape it")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise VerifyError(
            f"{what} must be finite, but {bad} of {array.size} numbers are NaN or infinite; look for a log of 0, a "
            "division by 0 or an exp that overflows"
        )
    return array
