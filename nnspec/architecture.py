"""From a spec to the layers of its network: names, shapes and order, as the built ``nn.Sequential`` has them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from nnspec import modules
from nnspec.catalog import DATA, LOSSES, MODELS, OUTPUTS, Activation, Bound, Size
from nnspec.catalog.data import test_rows as _test_rows
from nnspec.catalog.maths import Array
from nnspec.modules import Described, Shapes
from nnspec.modules import at_defaults as at_defaults
from nnspec.specs import Member, RunSpec

OUTPUT = "output"  # the name of an opaque module's output activation


@dataclass(frozen=True)
class Dense:
    """A linear layer with bias; its tensors are ``<name>.weight`` [fan_out, fan_in] and ``<name>.bias`` [fan_out]."""

    name: str
    fan_in: int
    fan_out: int


@dataclass(frozen=True)
class Pointwise:
    """An activation behind a layer; ``tensors`` has the full name of what it learns, of shape [1], or is empty."""

    name: str
    member: Member
    tensors: tuple[str, ...] = ()

    @property
    def entry(self) -> Activation:
        """The activation's formulas."""
        return OUTPUTS[self.member.name]

    def bind(self, learned: Array | None = None) -> Bound:
        """The formulas with the spec's parameters, and what it learns as it is now; see ``Activation.bind``."""
        return self.entry.bind(dict(self.member.params), learned)


@dataclass(frozen=True)
class Architecture:
    """Linear layers and what follows each: ``after[l]`` is the activation behind ``dense[l]``, the last is the
    output's.

    A network that is no such chain is an opaque module: it has no ``dense``, ``after`` has the output's activation
    alone, and ``module`` says what else is known of it.
    """

    inputs: int
    outputs: int
    dense: tuple[Dense, ...]
    after: tuple[Pointwise, ...]
    module: Described | None = None

    @property
    def shapes(self) -> Shapes:
        """The trained tensors of an opaque module."""
        return self.module.shapes if self.module else ()

    @property
    def buffers(self) -> Shapes:
        """What the ``state_dict`` of an opaque module has besides."""
        return self.module.buffers if self.module else ()

    @property
    def opaque(self) -> bool:
        """Whether it is a module whose layers nobody knows."""
        return not self.dense

    @property
    def hidden(self) -> tuple[Pointwise, ...]:
        """The hidden activations."""
        return self.after[:-1]

    @property
    def output(self) -> Member:
        """The output activation."""
        return self.after[-1].member

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that have a weight matrix: ``<name>.weight`` is a tensor of at least two axes. An opaque
        module's matrix that has another name, as of a recurrent cell, stands for itself."""
        if not self.opaque:
            return tuple(dense.name for dense in self.dense)
        return tuple(name.removesuffix(".weight") for name, shape in self.shapes if len(shape) > 1)

    @property
    def matrices(self) -> dict[str, str]:
        """The tensor that is the weight matrix of each of the ``layers``."""
        tensors = self.tensors()
        return {name: weight if (weight := f"{name}.weight") in tensors else name for name in self.layers}

    @property
    def multiplications(self) -> int:
        """Of a forward pass, for a row of data: about as many as weights, unless a weight meets a row several times."""
        return self.module.multiplications if self.module else self.parameters

    @property
    def values(self) -> int:
        """Numbers that a pass keeps for a row of data: those that the layers give."""
        return self.module.values if self.module else sum(dense.fan_out for dense in self.dense)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The tensors of the built module's ``state_dict`` with their shapes, in its order; the buffers of an opaque
        one are the last."""
        shapes: dict[str, tuple[int, ...]] = dict((*self.shapes, *self.buffers))
        for dense, after in zip(self.dense, self.after, strict=not self.opaque):
            shapes[f"{dense.name}.weight"] = (dense.fan_out, dense.fan_in)
            shapes[f"{dense.name}.bias"] = (dense.fan_out,)
            shapes.update(dict.fromkeys(after.tensors, (1,)))
        return shapes

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        buffers = dict(self.buffers)
        return sum(math.prod(shape) for name, shape in self.tensors().items() if name not in buffers)


def architecture(spec: RunSpec) -> Architecture:
    """The layers of a checked spec's network."""
    module = modules.is_module(spec.model, spec.activation, spec.optimizer)
    return _architecture(spec.model, spec.activation, spec.loss.name, spec.data, module)


@lru_cache(maxsize=4096)
def _architecture(model: Member, activation: Member, loss: str, data: Member, module: bool) -> Architecture:
    held, entry = size(data), MODELS[model.name]
    outputs = LOSSES[loss].columns(held.classes, held.targets)
    output = activation if entry.between is None and not entry.opaque else at_defaults(str(model["output"]))
    if module:
        found = modules.described(model, activation, held.inputs, outputs)
        return Architecture(held.inputs, outputs, (), (Pointwise(OUTPUT, output),), found)
    widths = (held.inputs, *entry.hidden(dict(model.params)), outputs)
    dense = tuple(Dense(str(2 * i), widths[i], widths[i + 1]) for i in range(len(widths) - 1))
    learned = OUTPUTS[activation.name].learned
    after = [
        Pointwise(str(2 * i + 1), activation, (f"{2 * i + 1}.{learned.tensor}",) if learned else ())
        for i in range(len(dense) - 1)
    ]
    after.append(Pointwise(str(2 * len(dense) - 1), output))
    return Architecture(held.inputs, outputs, dense, tuple(after))


@lru_cache(maxsize=4096)
def size(data: Member) -> Size:
    """How much a data set holds, training and test part together.

    Raises:
        SpecError: it is a file that cannot be read.
    """
    return DATA[data.name].size(dict(data.params))


def rows(data: Member) -> int:
    """Rows of a data set's training part."""
    return size(data).rows - test_rows(data)


def test_rows(data: Member) -> int:
    """Rows of a data set's test part; 0 where it has none."""
    return _test_rows(dict(data.params), size(data).rows)


def learns_numbers(spec: RunSpec) -> bool:
    """Whether a spec's targets are numbers to be learnt (regression), not classes."""
    return LOSSES[spec.loss.name].numbers and size(spec.data).targets > 0
