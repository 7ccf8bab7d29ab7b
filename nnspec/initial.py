"""Initial weights of many networks at once, each drawn from its own seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nnspec import modules
from nnspec.architecture import architecture
from nnspec.catalog import ACTIVATIONS, INITS, OUTPUTS, PER_LAYER, Init
from nnspec.catalog.inits import BIAS_SAME, UNIFORM, Layer, bias_param
from nnspec.check import most_bytes
from nnspec.errors import WeightsError
from nnspec.files import read_bytes
from nnspec.modules import Layered
from nnspec.params import Value
from nnspec.specs import Member, RunSpec

Weights = dict[str, np.ndarray]  # state_dict name -> [m, ...]


# weights too large for the dtype are infinite, and the network has diverged
@np.errstate(over="ignore", invalid="ignore")
def initial_weights(spec: RunSpec, seeds: Sequence[int] | np.ndarray) -> Weights:
    """Weights of the networks of a checked ``spec`` with these seeds, [m, ...] each, in the spec's precision.

    Tensors are filled in state-dict order from the network's own ``torch.Generator().manual_seed(seed)``, as
    ``torch.nn.init`` fills them when given that generator.

    Raises:
        WeightsError: a stored set of weights has none for a seed.
    """
    if INITS[spec.init.name].stored:
        return _stored(spec, np.asarray(seeds))
    shape, kind = architecture(spec), np.dtype(spec.dtype)
    if shape.opaque:
        return _of_modules(spec, seeds)
    filled = _filled(spec, filled_layers(spec), seeds)
    weights: Weights = {}
    for name, tensor_shape in shape.tensors().items():
        if name in filled:
            weights[name] = filled[name]
        else:
            weights[name] = np.full((len(seeds), *tensor_shape), _learned_start(spec.activation), dtype=kind)
    return weights


def filled_layers(spec: RunSpec) -> list[Layered]:
    """The layers that the spec's initialisation fills, in the order of the ``state_dict``."""
    shape = architecture(spec)
    if shape.opaque:
        return modules.layers(drawn_module(spec, spec.seed))
    return [Layered(dense.name, (dense.fan_out, dense.fan_in), (dense.fan_out,)) for dense in shape.dense]


def drawn_module(spec: RunSpec, seed: int) -> torch.nn.Module:
    """The module of a spec's opaque model as its class makes it when torch's generator has this seed, as
    ``torch.manual_seed(seed); Net(inputs, outputs, ...)``, then in the spec's precision."""
    shape = architecture(spec)
    with modules.draws_of(seed):
        module = modules.make(spec.model, spec.activation, shape.inputs, shape.outputs)
    return module.to(getattr(torch, spec.dtype))


def _of_modules(spec: RunSpec, seeds: Sequence[int] | np.ndarray) -> Weights:
    """Weights of opaque models: what the class draws, and over it the scheme's in linear and convolution layers.
    Buffers that count are numbers of the spec's precision here, too."""
    kind = np.dtype(spec.dtype)
    drawn = [drawn_module(spec, int(seed)) for seed in seeds]
    tensors = [dict(module.named_parameters()) | modules.buffers(module) for module in drawn]
    weights = {name: np.stack([own[name].detach().numpy() for own in tensors]).astype(kind) for name in tensors[0]}
    places = dict(drawn[0].named_parameters(remove_duplicate=False))  # a tensor may have several names
    names = {id(tensor): name for name, tensor in drawn[0].named_parameters()}
    for name, filled in _filled(spec, modules.layers(drawn[0]), seeds).items():
        weights[names[id(places[name])]] = filled
    return weights


def _filled(spec: RunSpec, layers: Sequence[Layered], seeds: Sequence[int] | np.ndarray) -> Weights:
    """The tensors of these layers as the spec's scheme fills them, in their order."""
    kind, count = np.dtype(spec.dtype), len(layers)
    each = zip(layers, schemes(spec, count), gains(spec, count), strict=True)
    fillers = [filler for layer, init, gain in each for filler in _fillers(init, layer, gain)]
    noise = _draw(seeds, [(kind_of, filler.shape) for filler in fillers for kind_of in filler.entry.noise], kind)
    weights: Weights = {}
    for filler in fillers:
        drawn = tuple(next(noise) for _ in filler.entry.noise)
        full = filler.entry.make(drawn, (len(seeds), *filler.shape), filler.layer, filler.params)
        weights[filler.name] = np.ascontiguousarray(full.reshape(len(seeds), *filler.tensor), dtype=kind)
    return weights


def schemes(spec: RunSpec, layers: int) -> list[Member]:
    """The initialisation of each linear layer; of those by layer the spec's own has its parameters, the others their
    defaults."""
    own = Member(spec.init.name, tuple((k, v) for k, v in spec.init.params if k != PER_LAYER))
    names = spec.init[PER_LAYER] if PER_LAYER in spec.init else (own.name,) * layers
    assert isinstance(names, tuple)
    return [own if name == own.name else _at_defaults(str(name)) for name in names]


def _at_defaults(name: str) -> Member:
    entry = INITS[name]
    return Member(name, tuple((p.name, p.default) for p in (*entry.params, *bias_param(entry))))


def gains(spec: RunSpec, layers: int) -> list[float]:
    """The gain of each linear layer: that of the activation behind it, of the last layer that of the one before it."""
    if PER_LAYER not in spec.activation:
        return [activation_gain(spec.activation)] * layers
    hidden = [activation_gain(member) for member in modules.hidden_activations(spec.activation, layers - 1)]
    return [*hidden, hidden[-1]]


@lru_cache(maxsize=1024)
def activation_gain(activation: Member) -> float:
    """The gain of the spec's activation: the hidden one, whose gain scales every layer, as the textbook's
    ``init_weights`` does, or a perceptron's own."""
    return OUTPUTS[activation.name].gain_for(dict(activation.params))


@dataclass(frozen=True)
class _Filler:
    """The scheme that fills one tensor, which it sees as [m, o, i]."""

    name: str
    tensor: tuple[int, ...]  # its shape
    entry: Init
    params: dict[str, Value]
    layer: Layer
    shape: tuple[int, int]


def _fillers(init: Member, layered: Layered, gain: float) -> Iterator[_Filler]:
    layer = Layer(layered.fan_in, layered.fan_out, gain)
    entry, bias = INITS[init.name], str(init["bias"])
    bias_entry = entry if bias == BIAS_SAME else INITS[bias]
    bias_params = dict(init.params) if bias == BIAS_SAME else {p.name: p.default for p in bias_entry.params}
    rows = layered.weight[0]
    yield _Filler(
        f"{layered.name}.weight",
        layered.weight,
        entry,
        dict(init.params),
        layer,
        (rows, math.prod(layered.weight[1:])),
    )
    if layered.bias is not None:
        name, count = f"{layered.name}.bias", layered.bias[0]
        yield _Filler(name, layered.bias, bias_entry, bias_params, layer, (count, 1))


def _learned_start(activation: Member) -> float:
    learned = ACTIVATIONS[activation.name].learned
    assert learned
    return activation.number(learned.start)


def _draw(
    seeds: Sequence[int] | np.ndarray, needs: list[tuple[str, tuple[int, int]]], kind: np.dtype
) -> Iterator[np.ndarray]:
    """One array [m, o, i] a need, the needs of each network drawn in order from its own generator."""
    dtype = getattr(torch, kind.name)
    if needs and all(name == UNIFORM for name, _ in needs):
        # uniform numbers come one by one from the generator, so that one long draw is all the short ones in a row
        sizes = [math.prod(shape) for _, shape in needs]
        row = torch.empty(len(seeds), sum(sizes), dtype=dtype)
        _fill([torch.Tensor.uniform_], [row], seeds)
        pieces = np.split(row.numpy(), np.cumsum(sizes)[:-1], axis=1)
        return iter([piece.reshape(-1, *shape) for piece, (_, shape) in zip(pieces, needs, strict=True)])
    stacks = [torch.empty(len(seeds), *shape, dtype=dtype) for _, shape in needs]
    _fill([torch.Tensor.uniform_ if name == UNIFORM else torch.Tensor.normal_ for name, _ in needs], stacks, seeds)
    return iter([stack.numpy() for stack in stacks])


def _fill(fills: list[Callable[..., Tensor]], stacks: list[Tensor], seeds: Sequence[int] | np.ndarray) -> None:
    """Fill each network's part of every stack, in order, from the network's own generator."""
    generator = torch.Generator()
    for seed, *tensors in zip(np.asarray(seeds).tolist(), *(stack.unbind(0) for stack in stacks), strict=True):
        if tensors:
            generator.manual_seed(seed)
        for fill, tensor in zip(fills, tensors, strict=True):
            fill(tensor, generator=generator)


def _stored(spec: RunSpec, seeds: np.ndarray) -> Weights:
    """The file's weights; replicate r, the network of seed ``spec.seed + r``, takes the r-th set."""
    rows = seeds - spec.seed
    weights: Weights = {}
    shapes = architecture(spec).tensors()
    stored = _read(str(spec.init["path"]), most_bytes(spec))
    if stored.keys() != shapes.keys():
        raise WeightsError(
            f"init.path must hold the tensors {', '.join(shapes)}, but got {', '.join(stored)}; check the spec again"
        )
    for name, shape in shapes.items():
        tensor = stored[name]
        if tensor.shape[tensor.ndim - len(shape) :] != shape or tensor.ndim > len(shape) + 1:
            raise WeightsError(
                f"{name} in init.path must have shape [replicates, {shape}], but got {tensor.shape}; check the spec "
                "again"
            )
        sets = tensor.reshape(-1, *shape)
        if rows.min() < 0 or rows.max() >= len(sets):
            raise WeightsError(
                f"init.path must hold one set of weights a replicate, but {name} has {len(sets)}; lower replicates"
            )
        weights[name] = np.ascontiguousarray(sets[rows], dtype=np.dtype(spec.dtype))
    return weights


def _read(path: str, limit: int) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, which may be gone or changed since the spec was checked."""
    import safetensors
    from safetensors.numpy import load

    try:
        return load(read_bytes(path, limit))
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise WeightsError(
            f"init.path must be a readable safetensors file, but {path} is not ({error}); check the path"
        ) from error
