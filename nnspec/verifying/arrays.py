"""A network of NumPy arrays and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnspec.verifying.given import VerifyError, called

GRADIENTS = ("gradients", "backward")  # the names that a function of gradients may have


class Arrays:
    """An object or a mapping with ``parameters``, a list of arrays or a function that gives it, and ``forward(x)``;
    if it can, with ``loss(x, y)``, ``gradients(x, y)`` or ``backward(x, y)``, and ``step(x, y)``."""

    def __init__(self, net: Any, step: Callable[..., Any] | None):
        self.net = net
        if isinstance(net, type):
            raise VerifyError(
                f"a network for verify must be an object, but got the class {net.__name__}; make one of it"
            )
        self.own_step = step or self._function("step")
        if self._function("forward") is None or self._part("parameters") is None:
            raise VerifyError(
                "a network for verify must be a torch.nn.Module, or have `parameters` (a list of arrays) and "
                f"`forward(x)`, but got {type(net).__name__}; see docs/verify.md"
            )

    def _part(self, name: str) -> Any:
        return self.net.get(name) if isinstance(self.net, Mapping) else getattr(self.net, name, None)

    def _function(self, *names: str) -> Callable[..., Any] | None:
        return next((part for part in map(self._part, names) if callable(part)), None)

    def parameters(self) -> list[np.ndarray]:
        part = self._part("parameters")
        found = called("parameters()", part) if callable(part) else part
        if not isinstance(found, (list, tuple)):
            raise VerifyError(f"parameters must be a list of arrays, but got {type(found).__name__}; make it a list")
        arrays = list(found)
        for number, array in enumerate(arrays):
            if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise VerifyError(f"parameters[{number}] must be an array of floats, but got {kind}; use dtype=float")
        return arrays

    def put(self, arrays: Sequence[np.ndarray]) -> None:
        for number, (own, array) in enumerate(zip(self.parameters(), arrays, strict=True)):
            if not own.flags.writeable:
                raise VerifyError(f"parameters[{number}] must be writeable, but is read-only; use array.copy()")
            own[...] = array
        for number, (own, array) in enumerate(zip(self.parameters(), arrays, strict=True)):
            if not np.array_equal(own, array.astype(own.dtype)):
                raise VerifyError(
                    f"parameters[{number}] must be the array that the network computes with, but does not keep what "
                    "is written into it; do not make a new one at each call"
                )

    def outputs(self, x: np.ndarray) -> Any:
        return called("forward(x)", self._part("forward"), x.copy())

    def differs_in_training(self, x: np.ndarray) -> bool:
        return False

    def loss(self, x: np.ndarray, y: np.ndarray) -> float | None:
        function = self._function("loss")
        return None if function is None else called("loss(x, y)", function, x.copy(), y.copy())

    def gradients(self, x: np.ndarray, y: np.ndarray, logits: bool) -> list[np.ndarray | None] | None:
        function = self._function(*GRADIENTS)
        if function is None:
            return None
        self.outputs(x)  # which may leave behind what the way back needs
        found = called("gradients(x, y)", function, x.copy(), y.copy())
        if not isinstance(found, (list, tuple)):
            kind = type(found).__name__
            raise VerifyError(f"gradients(x, y) must return a list, but got {kind}; return one array a parameter")
        return [None if array is None else np.array(array) for array in found]

    def step(self, x: np.ndarray, y: np.ndarray, logits: bool) -> bool:
        if self.own_step is None:
            return False
        called("step(x, y)", self.own_step, x.copy(), y.copy())
        return True

    def done(self) -> None:
        pass
