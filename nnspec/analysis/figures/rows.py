"""What networks say of the rows of a data set: a confusion matrix, and the rows that most of them get wrong.

Axes of arrays: m networks, n rows, k outputs, c classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.figures.draw import INK, drawable, most_columns, new_figure, plain, shorten, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

NO_ANSWER = -1  # the class of outputs that are not finite
NUMBERS_UP_TO = 16  # classes of a matrix with numbers in its cells
NUMBER_ROOM = 0.3  # inches that they need
MOST_ROWS = 20  # of a table of rows


@dataclass(frozen=True)
class RowOutcomes:
    """What networks say of rows: ``said`` and ``wrong`` [m, n], for classes the class (or ``NO_ANSWER``), else the
    first output; ``wanted`` [n] likewise."""

    part: str  # of the data: 'training' or 'test'
    wanted: np.ndarray
    said: np.ndarray
    wrong: np.ndarray
    names: tuple[str, ...] = ()  # of the classes; none for regression
    rows: np.ndarray | None = None  # [n] their numbers in the part, if not all rows are here


def classes_said(outputs: np.ndarray, middle: float = 0.5) -> np.ndarray:
    """The class [m, n] of ``outputs`` [m, n, k]: the largest one's number, or of a single output whether it is above
    ``middle``; ``NO_ANSWER`` where one is not finite."""
    said = outputs.argmax(axis=2) if outputs.shape[2] > 1 else (outputs[..., 0] > middle).astype(int)
    return np.where(np.isfinite(outputs).all(axis=2), said, NO_ANSWER)


@dataclass(frozen=True)
class Confusion:
    """Of the rows of each class, the share that is said to be each class: [c, c], or [c, c + 1] where networks gave no
    answer. Rows sum to 1; NaN for a class without rows."""

    part: str
    names: tuple[str, ...]
    shares: np.ndarray
    networks: int
    rows: int  # of each network
    label: str = ""  # whose it is, where there are several


def confusion_counts(outcomes: RowOutcomes) -> np.ndarray:
    """How often a row of each class is said to be each class, over all networks: [c, c + 1], no answer last."""
    classes = len(outcomes.names)
    said = np.where(outcomes.said == NO_ANSWER, classes, outcomes.said)
    flat = outcomes.wanted.astype(int) * (classes + 1) + said
    return np.bincount(flat.ravel(), minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def shares_of(counts: np.ndarray) -> np.ndarray:
    """The ``shares`` of a ``Confusion`` from the counts of all its networks [c, c + 1]."""
    answered = counts if counts[:, -1].any() else counts[:, :-1]
    with np.errstate(invalid="ignore"):
        return np.asarray(answered / counts.sum(axis=1, keepdims=True))


def confusion_info(outcomes: RowOutcomes) -> Confusion:
    """The confusion matrix of all networks together."""
    return Confusion(outcomes.part, outcomes.names, shares_of(confusion_counts(outcomes)), *outcomes.said.shape)


def plot_confusions(infos: Sequence[Confusion], width: float | None = None) -> Figure:
    """A matrix each, two beside one another where there is room: shares as cividis shades from 0 to 1, in percent where
    there is room; wanted classes downwards, said ones across."""
    columns = min(most_columns(width, 2.7, 2), len(infos))
    rows = -(-len(infos) // columns)
    most = (6.5 if columns == 1 else 4.4) if width is None else (width - 1.3) / columns - 1.1
    side = min(float(np.clip(0.42 * max(len(info.names) for info in infos), 1.6, 6.5)), most)
    figure = new_figure(width or columns * (side + 1.1) + 1.3, rows * (side + 1.3))
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, info in zip(grid, infos, strict=False):
        image = _draw_confusion(axes, info, side)
    for axes in grid[len(infos) :]:
        axes.set_visible(False)
    bar = figure.colorbar(image, ax=grid, ticks=[0, 0.5, 1], shrink=0.9, pad=0.02, fraction=0.08, aspect=20 * rows)
    bar.ax.set_yticklabels(["0%", "50%", "100%"], fontsize=8)
    return figure


def _draw_confusion(axes: Axes, info: Confusion, side: float) -> AxesImage:
    """One matrix, about ``side`` inches high."""
    from matplotlib import colormaps

    classes, columns = info.shares.shape
    size = 6.5 if side < 0.4 * len(info.names) else 7.5
    image = axes.imshow(np.ma.masked_invalid(info.shares), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.set_facecolor("#eeeeee")
    title = shorten(info.label, 40) or f"What networks say, {info.part} rows"
    tidy(axes, title, "class said", "class of the row", grid=False)
    labels = [plain(shorten(name, 14)) for name in (*info.names, "none")][:columns]
    every = -(-classes // 40)
    slant = 35 if max(map(len, labels)) > 3 else 0
    axes.set_xticks(range(0, columns, every), labels[::every], rotation=slant, ha="right" if slant else "center")
    axes.set_yticks(range(0, classes, every), labels[:classes:every])
    if classes <= NUMBERS_UP_TO and side / classes >= NUMBER_ROOM:
        for (i, j), share in np.ndenumerate(info.shares):
            shade = colormaps["cividis"](0.0 if np.isnan(share) else share)
            colour = "white" if float(np.dot(shade[:3], (0.299, 0.587, 0.114))) < 0.5 else INK
            text = "-" if np.isnan(share) else f"{100 * share:.0f}" if share in (0, 1) else f"{100 * share:.1f}"
            axes.text(j, i, text, ha="center", va="center", fontsize=size, color=colour)
    return image


def wrong_rows(outcomes: RowOutcomes, most: int = MOST_ROWS) -> pd.DataFrame:
    """The rows that at least half of the networks get wrong, the worst first: ``part``, ``row`` (from 0), ``class`` or
    ``target``, ``wrong`` (the share of networks) and ``they say``: the classes that those networks say, the commonest
    first, or the median output."""
    import pandas as pd

    share = outcomes.wrong.mean(axis=0)
    order = np.argsort(-share, kind="stable")[:most]
    chosen = [int(i) for i in order if share[i] >= 0.5]
    numbers = np.arange(len(share)) if outcomes.rows is None else outcomes.rows
    of = "class" if outcomes.names else "target"
    return pd.DataFrame(
        {
            "part": [outcomes.part] * len(chosen),
            "row": numbers[chosen].astype(int),
            of: [_word(outcomes, outcomes.wanted[i]) for i in chosen],
            "wrong": [f"{100 * share[i]:.0f}%" for i in chosen],
            "they say": [_words(outcomes, outcomes.said[outcomes.wrong[:, i], i]) for i in chosen],
        }
    )


def _words(outcomes: RowOutcomes, said: np.ndarray) -> str:
    if not outcomes.names:
        middle = float(np.quantile(np.nan_to_num(drawable(said), nan=np.inf), 0.5, method="inverted_cdf"))
        return f"{middle:.4g} (median)"
    values, counts = np.unique(said, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    return ", ".join(f"{_word(outcomes, values[i])} ({100 * counts[i] / len(said):.0f}%)" for i in order)


def _word(outcomes: RowOutcomes, value: float) -> str:
    if not outcomes.names:
        return f"{value:.4g}"
    return "no number" if value == NO_ANSWER else outcomes.names[int(value)]
