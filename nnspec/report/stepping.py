"""Images of a network over time that the MLflow UI steps through, named and placed as ``mlflow.log_image`` would.

images/<key>+step+<updates>+timestamp+<ms>+<uuid>.png, the same with '+compressed' for the grid, and the tag
``mlflow.loggedImages``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING

from nnspec.duration import tolerance
from nnspec.report.places import evenly
from nnspec.report.showing import on_the_plane, surfaces
from nnspec.results.arrays import unit_of
from nnspec.results.events import TrainedCell
from nnspec.tracking.artifacts import Files

if TYPE_CHECKING:
    from nnspec.analysis.figures.plane import Surface

IMAGES_TAG = "mlflow.loggedImages"
KEY = "surface"
MOST_CELLS = 4  # cells of a command that have images: each takes a second
MOST_STEPS = 12
DPI = 90


def snapshot_images(cell: TrainedCell, timestamp: int) -> Mapping[str, bytes]:
    """The output of the first replicate over the plane at up to ``MOST_STEPS`` snapshots; none without snapshots or a
    plane. They are drawn when they are read."""
    if not cell.result.snapshots or cell.index >= MOST_CELLS or not on_the_plane(cell.spec):
        return {}
    result = cell.result
    over_time = {0: result.initial, **result.snapshots, int(result.steps[-1]): result.final}
    steps = [sorted(over_time)[i] for i in evenly(len(over_time), MOST_STEPS)]
    first = [{name: tensor[0] for name, tensor in over_time[step].items()} for step in steps]

    @cache
    def infos() -> list[Surface]:
        from nnspec.analysis.figures.plane import surfaces_info

        labels = [f"{unit_of(cell.spec)} {step}, seed {int(result.seeds[0])}" for step in steps]
        return surfaces_info(surfaces(cell.spec, first, labels), tolerance(cell.spec))

    @lru_cache(maxsize=1)  # a picture has two names, one after the other
    def picture(number: int) -> bytes:
        from nnspec.analysis.figures.draw import png
        from nnspec.analysis.figures.plane import plot_surfaces

        return png(plot_surfaces([infos()[number]], ""), DPI)

    files: dict[str, Callable[[], bytes]] = {}
    for number, step in enumerate(steps):
        name = f"images/{KEY}+step+{step}+timestamp+{timestamp}+{uuid.uuid4()}"
        files |= dict.fromkeys((f"{name}.png", f"{name}+compressed.png"), partial(picture, number))
    return Files(files)
