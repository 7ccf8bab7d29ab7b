"""The tensors of many networks of one module, and its passes over them: all at once by ``torch.vmap``, or where that
cannot carry the module, one network after another."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch.func import functional_call

from nnspec import modules
from nnspec.errors import Fault, SpecError
from nnspec.initial import Weights
from nnspec.modules.noise import NOISE, keys, with_own_noise
from nnspec.training.layout import UNCARRIED
from nnspec.training.modules.data import Rows

Tensor = torch.Tensor
NEAR = 1e-3  # outputs of one pass for several networks and of a pass for one differ by less: by roundings


@dataclass(frozen=True)
class Pass:
    """A forward pass in training: ``outputs`` [n, k, m] before their activation, of the networks ``which`` [m], whose
    trained ``tensors`` and whose ``held`` ones after it are [m, ...] each."""

    which: Tensor
    outputs: Tensor
    tensors: Mapping[str, Tensor]
    held: Mapping[str, Tensor]


class ModuleStack:
    """``weights`` and ``grads`` [P, M] of M networks, rows of the trained tensors in the module's order; ``held`` are
    buffers and frozen parameters, [M, ...] each, which passes in training may change.

    In memory each network's numbers lie together, so that every tensor of all networks is a view [M, ...].
    ``why_single`` says why networks go through the module one by one; empty if they go together.
    """

    def __init__(self, module: torch.nn.Module, outputs: int, weights: Weights, seeds: np.ndarray, label: str):
        self.module, self.outputs, self.names, self.seeds = module, outputs, list(weights), seeds
        self.label = label  # how messages call the model
        self.noisy = list(with_own_noise(module))
        trained = {name: tensor for name, tensor in module.named_parameters() if tensor.requires_grad}
        self.shapes = {name: tuple(tensor.shape) for name, tensor in trained.items()}
        rows = [torch.from_numpy(weights[name]).flatten(1) for name in self.shapes]
        self.lines = torch.cat(rows, 1)  # [M, P]
        self.gradients = torch.zeros_like(self.lines)
        self.weights, self.grads = self.lines.t(), self.gradients.t()
        own = dict(module.named_parameters()) | modules.buffers(module)
        self.held = {
            name: torch.from_numpy(array).to(own[name].dtype, copy=True)
            for name, array in weights.items()
            if name not in trained
        }
        self.why_single = ""

    def fill(self, tensor: Tensor, which: Tensor, value: Tensor | float) -> None:
        """Set everything of the networks that ``which`` [M] marks in a tensor [P, M] to one value (a network)."""
        tensor[:, which] = value[which] if isinstance(value, Tensor) else value

    def trained(self, lines: Tensor) -> dict[str, Tensor]:
        """The trained tensors by name, [m, ...] each, as views of the weights [m, P] of networks."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            found[name] = lines[:, start:stop].view(len(lines), *shape)
            start = stop
        return found

    def tensors(self, which: Tensor) -> dict[str, Tensor]:
        """Copies of all tensors of these networks, [m, ...] each, in the order of the ``state_dict``."""
        found = {name: tensor[which] for name, tensor in self.held.items()} | self.trained(self.lines[which])
        return {name: found[name] for name in self.names}

    def groups(self, which: Tensor) -> Iterator[tuple[Tensor, slice]]:
        """The numbers of networks that go through the module together, and their places among ``which``."""
        if not self.why_single:
            yield which, slice(0, len(which))
            return
        for place in range(len(which)):
            yield which[place : place + 1], slice(place, place + 1)

    def evaluate(self, which: Tensor, rows: Rows) -> Tensor:
        """Pre-activations [n, k, m] of a group of networks, in evaluation."""
        self.module.eval()
        return self._passed(self.tensors(which), rows)

    def forward(self, which: Tensor, rows: Rows, step: int) -> Pass:
        """A pass of a group of networks in training, for the update after ``step`` of them."""
        self.module.train()
        views = self.trained(self.lines[which])
        tensors = {name: tensor.detach().requires_grad_() for name, tensor in views.items()}
        held = {name: tensor[which] for name, tensor in self.held.items()}
        seeds = self.seeds[which.numpy()]
        noise = {f"{name}.{NOISE}": keys(seeds, step, layer) for layer, name in enumerate(self.noisy)}
        with torch.enable_grad(), self._drawing(int(seeds[0]), step):
            return Pass(which, self._passed(tensors | held | noise, rows), tensors, held)

    def _drawing(self, seed: int, step: int) -> AbstractContextManager[None]:
        """Torch's generator as it is for the network of a seed at an update: what a module draws by itself, which
        ``vmap`` does not allow, is the network's own."""
        if not self.why_single:
            return nullcontext()
        return modules.draws_of(int(keys(np.array([seed]), step, len(self.noisy))[0] >> 32))

    def backward(self, passed: Pass, slope: Tensor, going: Tensor) -> None:
        """Put what a pass changed into the networks that go on, of those that it was of [m], and their gradients into
        ``grads``, given those of the pre-activations [n, k, m]."""
        tensors, which = passed.tensors, passed.which
        for name, tensor in passed.held.items():
            self.held[name][which[going]] = tensor[going]
        if not passed.outputs.requires_grad:  # no weight has a part in them
            self.gradients[which] = 0
            return
        own = list(tensors.values())
        found = torch.autograd.grad(passed.outputs, own, slope, allow_unused=True)
        parts = [torch.zeros_like(one) if part is None else part for one, part in zip(own, found, strict=True)]
        self.gradients[which] = torch.cat([part.flatten(1) for part in parts], 1)

    def _passed(self, tensors: Mapping[str, Tensor], rows: Rows) -> Tensor:
        passed = self._singly(tensors, rows) if self.why_single else self._together(tensors, rows)
        return passed.permute(1, 2, 0)

    def _together(self, tensors: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """[m, n, k] by one pass for all networks."""
        return torch.vmap(self._called, in_dims=(0, None if rows.shared else 0))(tensors, rows.inputs)

    def _singly(self, tensors: Mapping[str, Tensor], rows: Rows) -> Tensor:
        """[1, n, k] of one network."""
        own = {name: tensor[0] for name, tensor in tensors.items()}
        return self._called(own, rows.inputs if rows.shared else rows.inputs[0])[None]

    def _called(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Pre-activations [n, k] of one network.

        Raises:
            SpecError: the module gives something else.
        """
        given = functional_call(self.module, dict(tensors), (inputs,))
        wanted = (len(inputs), self.outputs)
        if not isinstance(given, Tensor) or tuple(given.shape) != wanted:
            got = f"shape {list(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
            rule = f"must give {list(wanted)} outputs for {list(inputs.shape)} inputs"
            raise SpecError([Fault(self.label, rule, got, "mend its forward")])
        return given

    def tried(self, rows: Rows) -> None:
        """Find out by a pass of one network, then of two together if they are to go together, whether ``vmap`` can
        carry the module.

        ``rows`` are those of the first network.

        Raises:
            SpecError: the module gives another shape than it must, or changes its input.
            Exception: whatever the module raises for a single network.
        """
        one, name, single = torch.zeros(1, dtype=torch.int64), type(self.module).__name__, self.why_single
        self.why_single = "on trial"
        before = rows.inputs.clone()
        alone = self._through(one, rows)
        if not torch.equal(rows.inputs, before):
            rule = "must leave its input as it is"
            raise SpecError([Fault(self.label, rule, "a change in place", "copy the input first")])
        self.why_single = single
        if single:
            return
        both = rows if rows.shared else Rows(rows.inputs.repeat(2, *[1] * (rows.inputs.dim() - 1)), rows.targets)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*performance drop.*")  # vmap goes one by one itself
                together = self._through(one.repeat(2), both)
        except Exception as error:  # vmap raises what it likes where an operation has no batched form
            sentence = " ".join(str(error.__cause__ or error).split()).split(". ")[0].removeprefix("vmap: ")
            self.why_single = f"{UNCARRIED} {name}: {sentence or type(error).__name__}"
            return
        if not torch.allclose(together[..., :1], alone, NEAR, NEAR, equal_nan=True):
            self.why_single = f"{UNCARRIED} {name}: its outputs would be others"

    def _through(self, which: Tensor, rows: Rows) -> Tensor:
        """The outputs of a pass forward and backward that changes nothing."""
        passed = self.forward(which, rows, 0)
        if passed.outputs.requires_grad:
            own, ones = list(passed.tensors.values()), torch.ones_like(passed.outputs)
            torch.autograd.grad(passed.outputs, own, ones, allow_unused=True)
        self.evaluate(which, rows)
        return passed.outputs.detach()
