"""Images of a network over time that the MLflow UI steps through, named and placed as ``mlflow.log_image`` would.

images/<key>+step+<updates>+timestamp+<ms>+<uuid>.png, the same with '+compressed' for the grid, and the tag
``mlflow.loggedImages``.
"""

from __future__ import annotations

import uuid

from nnspec.execute.gather import TrainedCell
from nnspec.report.collecting import evenly
from nnspec.report.showing import Shown, on_the_plane, surface

IMAGES_TAG = "mlflow.loggedImages"
KEY = "surface"
MOST_CELLS = 4  # cells of a command that have images: each takes a second
MOST_STEPS = 12
DPI = 90


def snapshot_images(cell: TrainedCell, timestamp: int) -> dict[str, bytes]:
    """The output of the first replicate over the plane at up to ``MOST_STEPS`` snapshots; none without snapshots or a
    plane."""
    if not cell.result.snapshots or cell.index >= MOST_CELLS or not on_the_plane(cell.spec):
        return {}
    from nnspec.analysis.draw import png
    from nnspec.analysis.plane_figures import plot_surfaces, surfaces_info

    result = cell.result
    over_time = {0: result.initial, **result.snapshots, int(result.steps[-1]): result.final}
    steps = [sorted(over_time)[i] for i in evenly(len(over_time), MOST_STEPS)]
    shown = Shown("", cell.spec, [{name: tensor[0] for name, tensor in over_time[step].items()} for step in steps])
    surfaces = [
        surface(shown, number, f"epoch {step}, seed {int(result.seeds[0])}") for number, step in enumerate(steps)
    ]
    files: dict[str, bytes] = {}
    for step, info in zip(steps, surfaces_info(surfaces, cell.spec.solved.tolerance), strict=True):
        picture = png(plot_surfaces([info], ""), DPI)
        name = f"images/{KEY}+step+{step}+timestamp+{timestamp}+{uuid.uuid4()}"
        files |= {f"{name}.png": picture, f"{name}+compressed.png": picture}
    return files
