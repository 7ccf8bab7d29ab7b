"""What each verdict means: one entry a verdict, in the order in which they are asked for. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnspec.diagnostics import sentences
from nnspec.errors import SpecError, unknown
from nnspec.specs import RunSpec

REMEDIES = ("init", "bias", "activation", "width", "lr", "optimizer", "seed")  # kinds of changes that may help


@dataclass(frozen=True)
class Verdict:
    """All that is known of a verdict whatever the network.

    ``thresholds`` are fields of ``Thresholds``; ``remedies`` are those of ``REMEDIES`` that could help, to be measured.
    ``sentence`` puts the numbers measured on a network, or medians over several, in one sentence, see ``sentences``;
    ``measures`` are those that it needs.
    """

    name: str
    summary: str
    meaning: str
    condition: str
    thresholds: tuple[str, ...]
    source: str
    remedies: tuple[str, ...]
    sentence: Callable[[Mapping[str, Any]], str]
    measures: tuple[str, ...] = ()

    def said(self, numbers: Mapping[str, float], spec: RunSpec | None) -> str:
        """The sentence; the summary where the spec or a number that it needs is not known, as of an older run."""
        if spec is None or not all(math.isfinite(numbers.get(name, math.nan)) for name in self.measures):
            return self.summary
        return self.sentence(sentences.with_facts(numbers, spec))


_ENTRIES = (
    Verdict(
        name="diverged",
        summary="the loss or the outputs left all bounds",
        meaning="The updates overshoot: each one lands where the gradient is larger, so that the next one goes further "
        "still, until the loss is out of reach or no number at all. What has been learnt by then is lost.",
        condition="A loss, an output or a weight is not finite; or the last loss is many times the first and grows.",
        thresholds=("diverged_factor", "growing"),
        source="LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, in Neural Networks: Tricks of the Trade",
        remedies=("lr", "optimizer", "init"),
        sentence=sentences.diverged,
    ),
    Verdict(
        name="solved",
        summary="it has learnt what the spec asks for",
        meaning="After the last update the share of rows that are right, of the training part unless the spec says "
        "otherwise, is at least solved.at_least; a row is right within solved.tolerance of its target.",
        condition="solved.measure is at least solved.at_least after the last update.",
        thresholds=(),
        source="Rumelhart, Hinton & Williams 1986, Learning internal representations by error propagation, in Parallel "
        "Distributed Processing 1",
        remedies=(),
        sentence=sentences.solved,
    ),
    Verdict(
        name="beyond_capacity",
        summary="no weights of this model could do it",
        meaning="The model is linear in its inputs (a perceptron, or hidden units without a bend), and no straight "
        "line, plane or hyperplane puts every row on its right side. Training cannot help; a hidden layer (model=mlp) "
        "with an activation that bends can.",
        condition="A linear program finds no weights with which every row is right. It is asked of linear models only.",
        thresholds=(),
        source="Minsky & Papert 1969, Perceptrons",
        remedies=("activation",),
        sentence=sentences.beyond_capacity,
    ),
    Verdict(
        name="dead_units",
        summary="units are off, and no gradient gets past them",
        meaning="A unit whose activation is exactly flat where it stands passes no gradient. Where all units of a "
        "layer are off for a row, nothing below that layer learns from the row; where that is so for every row that is "
        "still wrong, these weights have nothing left to learn from. A unit of the first layer that is off for every "
        "row is lost for good.",
        condition="For every row that is not right, all units of some layer have a derivative of exactly 0.",
        thresholds=(),
        source="Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models; Lu, Shin, Su "
        "& Karniadakis 2020, Dying ReLU and initialization: theory and numerical examples",
        remedies=("init", "bias", "activation", "width", "lr", "optimizer", "seed"),
        sentence=sentences.dead_units,
        measures=("dead_units", "dead_rows"),
    ),
    Verdict(
        name="symmetric",
        summary="hidden units are copies of one another",
        meaning="Units with the same weights, in and out, compute the same and receive the same gradient, so they stay "
        "copies for ever: the layer is as narrow as it has different units, and with so few the rows cannot be told "
        "apart. Weights that are drawn at random break the symmetry; equal ones cannot.",
        condition="Units of a hidden layer have the same weights, in and out, and a linear program proves that no "
        "output layer on the last hidden layer, as it stands, makes every row right.",
        thresholds=("copies",),
        source="Rumelhart, Hinton & Williams 1986, Learning internal representations by error propagation, in Parallel "
        "Distributed Processing 1; Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4",
        remedies=("init",),
        sentence=sentences.symmetric,
        measures=("distinct_units",),
    ),
    Verdict(
        name="saturated",
        summary="activations are flat, and next to no gradient gets through",
        meaning="The hidden units stand far out on the flat arms of their activation, so that the gradient shrinks on "
        "its way down and the first layer hardly moves, while what it computes is not good enough yet.",
        condition="For every row that is not right, the hidden activations pass next to nothing of a gradient, and "
        "next to nothing arrives at the first layer.",
        thresholds=("passage", "vanishing"),
        source="Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks",
        remedies=("init", "activation", "lr", "optimizer", "seed"),
        sentence=sentences.saturated,
        measures=("passage", "gradient_ratio"),
    ),
    Verdict(
        name="local_minimum",
        summary="every small step makes the loss larger",
        meaning="The gradient is zero and the surface bends upwards, or not at all, in every direction: no small "
        "update lowers the loss, though other weights might solve the problem. Larger steps, another start or more "
        "units, which open ways around, can.",
        condition="The gradient is zero, and no eigenvalue of the Hessian is negative.",
        thresholds=("stationary", "curvature"),
        source="Gori & Tesi 1992, On the problem of local minima in backpropagation; Swirszcz, Czarnecki & Pascanu "
        "2016, Local minima in training of neural networks",
        remedies=("width", "init", "activation", "lr", "optimizer", "seed"),
        sentence=sentences.local_minimum,
        measures=("final_loss", "gradient_norm", "smallest_eigenvalue", "largest_eigenvalue"),
    ),
    Verdict(
        name="saddle",
        summary="the gradient is zero, but there is a way down",
        meaning="The surface is level where the network stands and bends downwards in some direction. Training leaves "
        "such a place, but slowly, for the gradient grows from next to nothing: a plateau.",
        condition="The gradient is zero, and an eigenvalue of the Hessian is negative.",
        thresholds=("stationary", "curvature"),
        source="Dauphin, Pascanu, Gulcehre, Cho, Ganguli & Bengio 2014, Identifying and attacking the saddle point "
        "problem in high-dimensional non-convex optimization",
        remedies=("lr", "optimizer", "init", "width", "seed"),
        sentence=sentences.saddle,
        measures=("gradient_norm", "smallest_eigenvalue", "largest_eigenvalue"),
    ),
    Verdict(
        name="still_learning",
        summary="the loss is still falling",
        meaning="Nothing holds the network back: training ended before it had learnt enough. More epochs, or steps "
        "that are larger without overshooting, take it further.",
        condition="Over the last fifth of training the loss fell, and by more than it jitters.",
        thresholds=("falling",),
        source="Bengio 2012, Practical recommendations for gradient-based training of deep architectures",
        remedies=("lr", "optimizer", "init"),
        sentence=sentences.still_learning,
        measures=("loss_slope", "final_loss"),
    ),
    Verdict(
        name="stuck",
        summary="it does not learn, and none of the others is why",
        meaning="The loss does not fall, yet the gradient is not zero and no unit is off, a copy or flat enough. Often "
        "the steps are too large for a narrow valley, so that the network jumps from side to side. It is said rather "
        "than guessed.",
        condition="None of the other conditions holds.",
        thresholds=("stationary", "falling"),
        source="Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.2",
        remedies=("lr", "optimizer", "init", "activation", "width", "seed"),
        sentence=sentences.stuck,
        measures=("final_loss",),
    ),
)
# Numbers of the diagnosis that a store shows as metrics, by the section of its charts; of the network before its first
# update those of ``AT_START``. What they are left out for has its reason: a number a layer is read from a figure,
# ``init_loss`` and ``plateau_loss`` are the ends of the loss. ``results.parquet`` has all of them.
SECTIONS = {
    "dead_units": "units",
    "dead_rows": "units",
    "distinct_units": "units",
    "gradient_norm": "gradient",
    "gradient_ratio": "gradient",
    "passage": "gradient",
    "smallest_eigenvalue": "gradient",
    "loss_slope": "verdict",
    "since": "verdict",
}
AT_START = ("dead_units", "gradient_norm", "gradient_ratio")
VERDICT_ENTRIES = {entry.name: entry for entry in _ENTRIES}
VERDICTS = tuple(VERDICT_ENTRIES)
NEED_LAYERS = ("beyond_capacity", "dead_units", "symmetric", "saturated")  # not asked of modules


def metric_names() -> dict[str, str]:
    """The name as a metric of each number that is filed as one; a slash makes a section of MLflow's charts."""
    names = {name: f"{section}/{name}" for name, section in SECTIONS.items()}
    return names | {f"init_{name}": f"at_start/{name}" for name in AT_START}


def verdict_entry(name: str) -> Verdict:
    """The entry of a verdict.

    Raises:
        SpecError: there is no such verdict; with the nearest name and all of them.
    """
    if name not in VERDICT_ENTRIES:
        raise SpecError([unknown("verdict", "verdict", name, VERDICT_ENTRIES)])
    return VERDICT_ENTRIES[name]
