"""In which layer an unknown fault of the forward pass is: layers are cut off from below by matrices of 0.

What is below a matrix of 0 has no part in the outputs. From the last layer down, the first matrix at whose being 0 the
outputs part shows the layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnspec.problem import Problem
from nnspec.reference import Tensors
from nnspec.verifying.numbers import Tolerance
from nnspec.verifying.outputs import layer_words, logits_agree


def cut_at(problem: Problem, weights: Tensors, number: int) -> Tensors:
    """The weights with the matrix of one layer at 0."""
    name = f"{problem.shape.dense[number].name}.weight"
    return {**weights, name: np.zeros_like(weights[name])}


def place_words(problem: Problem, weights: Tensors, theirs: Sequence[np.ndarray], tolerance: Tolerance) -> str:
    """Which layer to look at; ``theirs`` are the network's outputs with each layer's matrix at 0."""
    last = len(theirs) - 1
    for number in reversed(range(last + 1)):
        points = {"": cut_at(problem, weights, number)}
        if logits_agree(problem, points, {"": theirs[number]}, tolerance) is None:
            break
    else:
        return f"They agree where the matrix of {layer_words(problem, 0)} is 0: look at that matrix."
    here = layer_words(problem, number)
    if number == last:
        return f"They part even where the matrix of {here} is 0: look at its bias and the output activation."
    above = layer_words(problem, number + 1)
    return (
        f"They agree where the matrix of {above} is 0, and part where that of {here} is: look at the bias and the "
        f"activation of {here}, and at the matrix of {above}."
    )
