"""The pictures of ``nnspec show --plot``: the data of a spec, its activation, its initial weights."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnspec.analysis.figures.draw import png
from nnspec.architecture import architecture
from nnspec.catalog import INITS, LOSSES, OUTPUTS
from nnspec.catalog.inits import Layer
from nnspec.catalog.maths import NumpyMaths
from nnspec.cli.flags import UsageError
from nnspec.cli.showing.spec_info import data_of, drawn_weights, labels, promises
from nnspec.errors import Fault
from nnspec.specs import Member, RunSpec

REACH = 4.0  # of pre-activations, to both sides of 0
PLACES = 401


def picture(spec: RunSpec, words: Sequence[str]) -> tuple[bytes, list[str]]:
    """A PNG picture of what the words name (data, activation, init; the data where they name none of them), one below
    the other, and what it shows.

    Raises:
        UsageError: it cannot be drawn.
    """
    keys = {word.lstrip("+~").split("=")[0].split(".")[0] for word in words}
    named = [what for what in PICTURES if what in keys] or ["data"]
    return stacked([PICTURES[what](spec) for what in named]), named


def data_picture(spec: RunSpec) -> bytes:
    """The rows of the data: see ``plot_data``."""
    from nnspec.analysis.figures.data import Shown, plot_data

    made, parts = data_of(spec)
    numbers = LOSSES[spec.loss.name].numbers and made.targets is not None
    shown = [
        Shown(name, inputs, None if numbers else labels(targets), targets[:, 0] if numbers else None)
        for name, (inputs, targets) in parts.items()
    ]
    names = made.class_names or tuple(str(number) for number in range(made.classes))
    rows, width = made.inputs.shape
    return plot_data(shown, names, f"{spec.data.name}: {rows:,} rows of {width} input{'s' * (width != 1)}")


def activation_picture(spec: RunSpec) -> bytes:
    """Value and derivative of the hidden activation, or of a perceptron's own.

    Raises:
        UsageError: it is not elementwise.
    """
    from nnspec.analysis.figures.entries import plot_activation
    from nnspec.analysis.figures.layers import activation_info

    shape = architecture(spec)
    member = spec.activation if shape.hidden else shape.output
    entry = OUTPUTS[member.name]
    if not entry.elementwise:
        rule = "can draw an activation of one number"
        raise UsageError(Fault("--plot", rule, f"{entry.name}, which takes all outputs at once", "name another"))
    z, bound = np.linspace(-REACH, REACH, PLACES), entry.bind(dict(member.params))
    with np.errstate(over="ignore", invalid="ignore"):  # with parameters near the largest float
        value = bound.value(NumpyMaths(), z)
        info = activation_info(z, value, bound.slope(NumpyMaths(), z, value), entry.name)
    return png(plot_activation(info, entry.summary, entry.derivative))


def init_picture(spec: RunSpec) -> bytes:
    """The drawn weights of each layer against what their scheme promises.

    Raises:
        UsageError: the weights are a file's, which promises nothing.
    """
    from nnspec.analysis.figures.entries import plot_weights, weights_info

    entry = INITS[spec.init.name]
    if entry.stored:
        rule = "can draw weights that a scheme draws"
        raise UsageError(Fault("--plot", rule, f"init={entry.name}, which reads them", "name another"))
    drawn, _, seeds = drawn_weights(spec)
    infos = [
        weights_info(name, drawn[f"{name}.weight"], std, density_of(init, layer))
        for name, init, layer, std in promises(spec)
    ]
    return png(plot_weights(infos, f"init {entry.name}: weights drawn over {seeds} seeds"))


def density_of(init: Member, layer: Layer) -> Callable[[np.ndarray], np.ndarray] | None:
    """The density that a scheme promises of the weights of a layer, where it promises one."""
    density = INITS[init.name].density
    return None if density is None else lambda w: density(w, layer, dict(init.params))


PICTURES: Mapping[str, Callable[[RunSpec], bytes]] = {
    "data": data_picture,
    "activation": activation_picture,
    "init": init_picture,
}


def stacked(pictures: Sequence[bytes]) -> bytes:
    """PNG pictures one below the other, on white."""
    if len(pictures) == 1:
        return pictures[0]
    from matplotlib.image import imread, imsave

    images = [imread(io.BytesIO(content))[..., :3] for content in pictures]  # [height, width, 3], 0 to 1
    width = max(image.shape[1] for image in images)
    padded = [np.pad(image, [(0, 0), (0, width - image.shape[1]), (0, 0)], constant_values=1) for image in images]
    page = io.BytesIO()
    imsave(page, np.concatenate(padded), format="png", metadata={"Software": "nnspec"})
    return page.getvalue()
