"""What training leaves: one class, from the trainer to the report and back from a store, whose arrays have named axes.

A new field is declared here, with its axes, and measured where networks train. Whatever cuts, joins, sends or gathers
results does so field by field, from the declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache, partial
from typing import Any, Protocol

import numpy as np

from nnspec.intervals import wilson_limits
from nnspec.specs import RunSpec

NEVER = -1  # an update count that never came
UNKNOWN: Any = None  # what is not measured yet, or is not in the store
WILSON = "95% Wilson"
LOOKS = "95%, exact, allowing for the looks on the way"  # of replicates=auto
Limits = tuple[float, float]  # of a solve rate
Interval = Callable[[int, int], Limits]  # (solved, networks) -> limits of the solve rate

FINALS = ("final_loss", "final_accuracy", "final_test_loss", "final_test_accuracy")

NETWORK = {"axes": ("network",)}
WHEN = {"axes": ("network",), "when": True}  # updates made, or NEVER: a column of a table with a row a network
STEP = {"axes": ("step",)}
HISTORY = {"axes": ("network", "step"), "kind": "f"}
FLAGS = {"axes": ("network", "step"), "kind": "b"}
PASSES = {"axes": ("network", "pass")}
OUTPUTS = {"axes": ("network", "row", "output")}


class Change(Protocol):
    """What becomes of arrays, of which axis number ``place`` is meant."""

    def __call__(self, arrays: Sequence[np.ndarray], place: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Results:
    """What training leaves of networks: those of a cell, of a chunk of many cells, or a part of either.

    ``spec`` is the cell's; that of a chunk's first network stands for what its cells agree on. A field's metadata names
    the first axes of its arrays: ``network``, ``step`` (logged rows), ``row`` (of the data), ``output``. A field that
    is a mapping has arrays of these axes; those of weights by their name in the ``state_dict``, with the tensor's own
    axes behind. ``kind`` is NumPy's letter for the kind of numbers in a history.

    Fields with a default are known once networks have trained, those of the test part where there is one: before
    that, and where a store has none, they are None or empty. ``steps`` counts updates made when a row of the history
    was written: 0 is the untrained network; ``solved_at`` those made when every row was first right. A network whose
    outputs became non-finite is frozen there: ``nonfinite_at`` has the update count, else ``NEVER``. One that
    ``train.stop`` ended has in ``stopped_at`` the updates that it made; one that trained to its end, or became
    non-finite, has ``NEVER``.
    """

    spec: RunSpec
    seeds: np.ndarray = field(metadata=NETWORK)  # int64
    steps: np.ndarray = field(metadata=STEP)  # int64
    loss: np.ndarray = field(metadata=HISTORY)
    accuracy: np.ndarray = field(metadata=HISTORY)  # the share of rows within the tolerance
    weight_norm: dict[str, np.ndarray] = field(metadata=HISTORY)  # by layer, the L2 norm of its weight matrix
    right: np.ndarray = field(metadata=FLAGS)  # bool, what the spec calls solved
    test_loss: np.ndarray = field(default=UNKNOWN, metadata=HISTORY)  # of the test part, where there is one
    test_accuracy: np.ndarray = field(default=UNKNOWN, metadata=HISTORY)
    outputs: np.ndarray = field(default=UNKNOWN, metadata=OUTPUTS)  # at the end
    solved_at: np.ndarray = field(default=UNKNOWN, metadata=WHEN)  # int64, NEVER if not solved at the end
    stopped_at: np.ndarray = field(default=UNKNOWN, metadata=WHEN)  # int64, where train.stop ends networks
    nonfinite_at: np.ndarray = field(default=UNKNOWN, metadata=NETWORK)  # int64
    errors: np.ndarray = field(
        default=UNKNOWN, metadata=PASSES
    )  # int64, rows wrong in each pass of the perceptron's rule
    initial: dict[str, np.ndarray] = field(default_factory=dict, metadata=NETWORK)  # weights
    final: dict[str, np.ndarray] = field(default_factory=dict, metadata=NETWORK)
    snapshots: dict[int, dict[str, np.ndarray]] = field(default_factory=dict, metadata=NETWORK)  # by updates made
    verdict: np.ndarray = field(default=UNKNOWN, metadata=NETWORK)  # of the diagnosis, names
    numbers: dict[str, np.ndarray] = field(default_factory=dict, metadata=NETWORK)  # of the diagnosis, NaN: not taken
    why_eager: str = ""  # of a chunk: why its updates were not left to compiled code; empty if they were

    @property
    def final_loss(self) -> np.ndarray:
        """[network] the loss after the last update."""
        return self.loss[:, -1]

    @property
    def final_accuracy(self) -> np.ndarray:
        """[network] the share of rows that are right after the last update: those whose outputs are within
        ``solved.tolerance`` of their targets. Nothing is rounded: an output of 0.5 is right for no class."""
        return self.accuracy[:, -1]

    @property
    def final_test_loss(self) -> np.ndarray | None:
        """[network] the loss on the test part after the last update; None where there is no test part."""
        return None if self.test_loss is None else self.test_loss[:, -1]

    @property
    def final_test_accuracy(self) -> np.ndarray | None:
        """[network] the share of the test part's rows that are right after the last update, or None."""
        return None if self.test_accuracy is None else self.test_accuracy[:, -1]

    @property
    def finals(self) -> dict[str, np.ndarray]:
        """[network] each by name: ``final_loss``, ``final_accuracy``, and those of the test part where there is one."""
        return {name: values for name in FINALS if (values := getattr(self, name)) is not None}

    @property
    def times(self) -> dict[str, np.ndarray]:
        """[network] each by name: after how many updates something came, or ``NEVER``; see ``TIMES``."""
        return {name: values for name in TIMES if (values := getattr(self, name)) is not None}

    @property
    def solved(self) -> np.ndarray:
        """[network] bool: solved, by the spec's measure, after the last update."""
        return self.right[:, -1]

    @property
    def diagnosis(self) -> dict[str, np.ndarray]:
        """``verdict`` and the numbers by name, [network] each."""
        return {"verdict": self.verdict, **self.numbers}

    def lines(self) -> dict[str, np.ndarray]:
        """The history by column, [network, step] each: ``loss``, ``weight_norm.0`` ..."""
        found: dict[str, np.ndarray] = {}
        for each in history_fields():
            value = getattr(self, each.name)
            if by_layer(each):
                found |= {f"{each.name}.{layer}": line for layer, line in value.items()}
            elif value is not None:
                found[each.name] = value
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(_bytes(getattr(self, name)) for name in _measured())

    def select(self, **which: slice | np.ndarray) -> Results:
        """The part that slices or indices choose, each along the axis that it is named after:
        ``select(network=slice(3))``. Its arrays are views where slices do."""
        part = self
        for axis, some in which.items():
            found = {name: _cut(getattr(part, name), (slice(None),) * place + (some,)) for name, place in _along(axis)}
            part = replace(part, **found)
        return part

    def history(self) -> Results:
        """What is known while networks train, without what only the end tells."""
        known = [each.name for each in fields(self) if each.default is MISSING and each.default_factory is MISSING]
        known += [each.name for each in history_fields() if each.name not in known]
        return Results(**{name: getattr(self, name) for name in known})

    def room(self, networks: int) -> Results:
        """Room for the results of so many networks like these: ``put`` fills it."""
        return _changed(
            [self], "network", lambda arrays, place: np.empty((networks, *arrays[0].shape[1:]), arrays[0].dtype)
        )

    def put(self, first: int, part: Results) -> None:
        """Write the networks of ``part`` over these from number ``first`` on."""

        def write(arrays: Sequence[np.ndarray], place: int) -> np.ndarray:
            whole, some = arrays
            whole[first : first + len(some)] = some
            return whole

        _changed([self, part], "network", write)

    def __repr__(self) -> str:
        networks, rows = len(self.seeds), len(self.steps)
        unit = unit_of(self.spec)
        head = (
            f"{networks} network{'s' * (networks != 1)} of seed {self.seeds[0]} on, {rows} rows of history up to "
            f"{unit} {self.steps[-1]}"
        )
        if self.solved_at is None:  # still in training
            return head
        return "\n".join([head, *result_lines(self.final_loss, self.solved, self.times, unit)])


TIMES = tuple(each.name for each in fields(Results) if "when" in each.metadata)


def concatenate(parts: Sequence[Results], axis: str = "network") -> Results:
    """The parts one after the other: other networks with the same steps, or (``axis='step'``) later steps of the same
    networks. What does not have the axis, the spec among it, is the first part's.

    Raises:
        ValueError: one part has a field that another has not.
    """
    return _changed(parts, axis, lambda arrays, place: np.concatenate(arrays, place))


def history_fields() -> list[Field[Any]]:
    """The fields over network and step."""
    return [each for each in fields(Results) if "kind" in each.metadata]


def history_of(
    layers: Iterable[str], there: Container[str], column: Callable[[str, str], np.ndarray]
) -> dict[str, Any]:
    """The fields of a history from its columns, as ``lines`` names them. ``column(name, kind)`` gives one [network,
    step]; of the fields that not every result has, those that are ``there`` are taken."""
    found: dict[str, Any] = {}
    for each in history_fields():
        kind = each.metadata["kind"]
        if by_layer(each):
            found[each.name] = {layer: column(f"{each.name}.{layer}", kind) for layer in layers}
        elif each.default is not UNKNOWN or each.name in there:
            found[each.name] = column(each.name, kind)
    return found


def by_layer(declared: Field[Any]) -> bool:
    """Whether a field of the history is a mapping by layer, not one array."""
    return str(declared.type).startswith("dict")


def _axes(declared: Field[Any]) -> tuple[str, ...]:
    return declared.metadata.get("axes", ())


@cache
def _along(axis: str) -> list[tuple[str, int]]:
    """The fields whose arrays have the axis, and its place among theirs."""
    return [(each.name, _axes(each).index(axis)) for each in fields(Results) if axis in _axes(each)]


@cache
def _measured() -> list[str]:
    """The fields that hold arrays."""
    return [each.name for each in fields(Results) if _axes(each)]


def _bytes(value: Any) -> int:
    """The bytes of a field's arrays: of one, none, or those of a mapping."""
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    return 0 if value is None else int(value.nbytes)


def _cut(value: Any, where: tuple[slice | np.ndarray, ...]) -> Any:
    """The part of a field's arrays."""
    if isinstance(value, np.ndarray):
        return value[where]
    return None if value is None else {key: _cut(inner, where) for key, inner in value.items()}


def _changed(parts: Sequence[Results], axis: str, change: Change) -> Results:
    """The first part with what ``change`` makes of each array that has the axis: it gets the arrays of all parts, and
    the place of the axis among theirs."""
    found = {}
    for name, place in _along(axis):
        found[name] = _together(name, [getattr(part, name) for part in parts], partial(change, place=place))
    return replace(parts[0], **found)


def _together(name: str, values: Sequence[Any], change: Callable[[Sequence[np.ndarray]], np.ndarray]) -> Any:
    """What ``change`` makes of the arrays in one field of several results, which all have it or all have it not."""
    first = values[0]
    if isinstance(first, dict):
        if any(value.keys() != first.keys() for value in values):
            raise ValueError(f"results to be put together must all have the same {name}")
        return {key: _together(name, [value[key] for value in values], change) for key in first}
    missing = [value is None for value in values]
    if any(missing) and not all(missing):
        raise ValueError(f"results to be put together must all have {name}, or none of them")
    return None if first is None else change(values)


def result_lines(
    final_loss: np.ndarray,
    solved: np.ndarray,
    times: Mapping[str, np.ndarray],
    unit: str,
    limits: Limits | None = None,
    how: str = WILSON,
) -> list[str]:
    """What became of networks, in two lines, or three where ``train.stop`` may have ended them.

    Arrays are [m], ``times`` those of ``Results.times``, ``unit`` is what they count (see ``unit_of``). The limits of
    the solve rate are Wilson's unless others are given; ``how`` says what they are."""
    lines = [
        f"final loss  {quantity(final_loss)}",
        f"solved      {solved_text(solved, times['solved_at'], unit, limits, how)}",
    ]
    return [*lines, f"stopped     {stopped_text(times['stopped_at'], unit)}"] if "stopped_at" in times else lines


def unit_of(*specs: RunSpec) -> str:
    """What the updates of networks of these specs are called: epochs where each is a pass over all rows."""
    return "epoch" if all(spec.train.batch_size is None for spec in specs) else "update"


def quantity(values: np.ndarray) -> str:
    """One number, or the median and the middle four fifths of many."""
    if len(values) == 1:
        return f"{values[0]:.4g}"
    low, middle, high = quantiles(values)
    return f"{middle:.4g} (median; 10% to 90%: {low:.4g} to {high:.4g})"


def quantiles(values: np.ndarray) -> tuple[float, float, float]:
    """10%, 50% and 90% of values [m], of which those that are not finite are larger than all others."""
    low, middle, high = (
        float(quantile(np.where(np.isnan(values), np.inf, values), share)) for share in (0.1, 0.5, 0.9)
    )
    return low, middle, high


def quantile(values: np.ndarray, share: float, worst: str = "high") -> np.ndarray:
    """[...] the quantile ``share`` of values [r, ...] over the first axis, interpolated linearly, in float64.

    Nothing is left out: a NaN is a network that broke, so it ranks as the worst of all, above every number
    (``worst='high'``, as for a loss) or below (``'low'``, as for an accuracy). A quantile that falls on one is NaN.
    """
    if len(values) == 1:
        return np.array(values[0], np.float64)
    sign = 1.0 if worst == "high" else -1.0
    ranked = np.sort(sign * np.asarray(values, np.float64), axis=0)  # NumPy sorts NaN behind inf
    place = (share if worst == "high" else 1 - share) * (len(ranked) - 1)
    low = int(place)
    part = place - low
    if part == 0:
        return np.asarray(sign * ranked[low])
    below, above = ranked[low], ranked[low + 1]
    with np.errstate(invalid="ignore"):  # inf - inf where both neighbours are infinite: then the value is theirs
        return np.asarray(sign * np.where(below == above, below, below + part * (above - below)))


def worst(measure: str) -> str:
    """At which end of a measure the worst networks stand; see ``quantile``."""
    return "low" if measure.endswith("accuracy") else "high"


def solved_text(
    solved: np.ndarray, solved_at: np.ndarray, unit: str, limits: Limits | None = None, how: str = WILSON
) -> str:
    """How many networks are solved, with the interval, and after how many updates, called ``unit``."""
    if len(solved) == 1:
        return f"yes, from {unit} {solved_at[0]:g}" if solved[0] else "no"
    low, high = limits or wilson_limits(int(solved.sum()), len(solved))
    text = f"{int(solved.sum())} of {len(solved)} = {solved.mean():.1%} [{float(low):.1%}, {float(high):.1%}] ({how})"
    return f"{text}, from {unit} {np.median(solved_at[solved]):g} (median)" if solved.any() else text


def stopped_text(stopped_at: np.ndarray, unit: str) -> str:
    """How many networks ended before their last update, and after how many updates, called ``unit``."""
    stopped = stopped_at != NEVER
    if not stopped.any():
        return "no" if len(stopped) == 1 else f"0 of {len(stopped)}"
    at = f"at {unit} {np.median(stopped_at[stopped]):g}"
    return at if len(stopped) == 1 else f"{int(stopped.sum())} of {len(stopped)}, {at} (median)"


def verdict_text(verdict: np.ndarray) -> str:
    """The verdicts by share, the most common first."""
    if len(verdict) == 1:
        return str(verdict[0])
    names, counts = np.unique(verdict.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return ", ".join(f"{names[i]} {counts[i] / len(verdict):.1%}" for i in order)
