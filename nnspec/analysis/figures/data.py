"""Pictures of a data set: images where rows are images, else its rows in the plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnspec.analysis.figures.draw import COLOURS, GRID, INK, new_figure, plain, png, tidy

SIDE = 8  # points of an image's side from which rows with a square number of inputs are drawn as images
EACH = 6  # images of a class
MOST_CLASSES = 10  # of images, and of rows in the plane
MOST_ROWS = 3000  # in the plane
MARKERS = "os^DvP*Xph"


@dataclass(frozen=True)
class Shown:
    """A part of the data as it is drawn: ``inputs`` [n, i]; ``labels`` [n] of classes, or ``numbers`` [n] to be
    learnt."""

    name: str
    inputs: np.ndarray
    labels: np.ndarray | None = None
    numbers: np.ndarray | None = None


def plot_data(parts: Sequence[Shown], classes: Sequence[str], title: str) -> bytes:
    """A data set as a PNG file.

    Rows with a square number of inputs, of ``SIDE`` squared on, are drawn as images. Others lie in the plane of their
    two inputs, or of the first two principal components (Pearson 1901) of the training part; where numbers are to be
    learnt, over the only input or the first component.
    """
    side = math.isqrt(parts[0].inputs.shape[1])
    if side >= SIDE and side * side == parts[0].inputs.shape[1] and parts[0].labels is not None:
        return _images(parts[0], classes, side, title)
    return _plane(parts, classes, title)


def _images(part: Shown, classes: Sequence[str], side: int, title: str) -> bytes:
    names, labels = list(classes[:MOST_CLASSES]), part.labels
    assert labels is not None
    figure = new_figure(0.75 * EACH + 1.2, 0.75 * len(names) + 0.5)
    figure.suptitle(plain(title), fontsize=10, color=INK)
    axes = figure.subplots(len(names), EACH, squeeze=False)
    for number, (line, name) in enumerate(zip(axes, names, strict=True)):
        rows = np.flatnonzero(labels == number)[:EACH]
        line[0].set_ylabel(plain(name), rotation=0, ha="right", va="center", fontsize=9, color=INK)
        for place, axis in enumerate(line):
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_frame_on(place < len(rows))
            if place < len(rows):
                axis.imshow(part.inputs[rows[place]].reshape(side, side), cmap="gray_r")
    return png(figure)


def _plane(parts: Sequence[Shown], classes: Sequence[str], title: str) -> bytes:
    places, names = _projected(parts)
    figure = new_figure(5.6, 4.6)
    axes = figure.subplots()
    tidy(axes, title, names[0], names[1])
    for number, (part, where) in enumerate(zip(parts, places, strict=True)):
        face = None if number == 0 else "none"  # those of the test part are hollow
        some = np.arange(len(where))[:: max(1, -(-len(where) // MOST_ROWS))]
        if part.labels is None:
            colour = COLOURS[number]
            x, y = where[some].T
            axes.scatter(x, y, s=14, edgecolors=colour, facecolors=face or colour, label=part.name)
            continue
        for label, name in enumerate(classes[:MOST_CLASSES]):
            x, y = where[some][part.labels[some] == label].T
            colour, marker = COLOURS[label % len(COLOURS)], MARKERS[label % len(MARKERS)]
            said = f"{name}, {part.name}" if len(parts) > 1 else name
            axes.scatter(x, y, s=18, edgecolors=colour, facecolors=face or colour, marker=marker, label=plain(said))
    axes.legend(fontsize=8, edgecolor=GRID, loc="best")
    return png(figure)


def _projected(parts: Sequence[Shown]) -> tuple[list[np.ndarray], list[str]]:
    """Where the rows of each part lie, [n, 2], and what the axes are."""
    first = parts[0].inputs
    learns, width = parts[0].labels is None, first.shape[1]
    wanted = 1 if learns else 2
    if width <= wanted:
        names = [f"input {number + 1}" for number in range(width)]
        places = [part.inputs for part in parts]
    else:
        middle = first.mean(0)
        _, _, directions = np.linalg.svd(first - middle, full_matrices=False)
        names = [f"principal component {number + 1}" for number in range(wanted)]
        places = [(part.inputs - middle) @ directions[:wanted].T for part in parts]
    numbers = [part.numbers for part in parts if part.numbers is not None]
    if numbers:
        return [np.column_stack(pair) for pair in zip(places, numbers, strict=True)], [*names, "target"]
    if width == 1:
        return [np.column_stack([place, np.zeros(len(place))]) for place in places], [*names, ""]
    return places, names
