"""The Hessian of many networks at once: exactly where it is small, by Lanczos where it is not.

Both rest on products of the Hessian with directions, which are the derivative of ``gradients.backward`` written out by
hand (Pearlmutter 1994): one pass over rows for all directions of all networks. Axes as in ``gradients``; q directions.

At a kink the Hessian is that of the piece whose slope the activation's entry chose, as training saw it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nnspec.diagnostics.gradients import (
    Backward,
    Forward,
    Layer,
    backward,
    forward,
    lanes,
    output_gradient,
    padded,
    product,
    unflatten,
)
from nnspec.diagnostics.modules.network import ModuleCurvature
from nnspec.diagnostics.room import ROOM, widest
from nnspec.problem import Problem
from nnspec.torch_maths import XP

Tensor = torch.Tensor
EXACT = 150  # weights up to which the whole Hessian is made: its eigenvalues cost P^3, a Lanczos step P
STEPS = 60  # of Lanczos: both ends of a spectrum are found to a percent of its width well before


def extremes(problem: Problem, flat: Tensor) -> np.ndarray:
    """The smallest and the largest eigenvalue of each Hessian of the networks with weights [m, P]: [2, m]."""
    exact = problem.shape.parameters <= EXACT
    found = []
    for part in _parts(problem, flat):
        along = curvature(problem, part)
        found.append(both_ends(along.hessian() if exact else lanczos(along, STEPS)))
    return torch.cat(found)[: len(flat)].T.numpy()


def _parts(problem: Problem, flat: Tensor) -> Sequence[Tensor]:
    """Weights [m, P] and copies of the first that fill whole lanes, as many at a time as have room; modules, which
    torch differentiates one by one anyway, one at a time."""
    if problem.shape.opaque:
        return torch.split(flat, 1)
    rows, size = len(problem.inputs) * widest(problem.shape), problem.shape.parameters
    numbers = size * max(size, rows) if size <= EXACT else max(STEPS * size, rows)  # of the largest array, a network
    lane = lanes(problem)
    return torch.split(padded(problem, flat), max(1, ROOM // numbers // lane) * lane)


def both_ends(matrices: Tensor) -> Tensor:
    """The smallest and the largest eigenvalue of symmetric matrices [m, p, p]: [m, 2]; NaN where the matrix is not
    finite, which LAPACK would answer with an error for all.

    LAPACK's last digit depends on where in memory a matrix begins. Sizes of a multiple of 4 begin all of them alike, so
    rows and columns are added that hold nothing but a diagonal entry, which lies between the extremes.
    """
    networks, size = matrices.shape[:2]
    whole = -(-size // 4) * 4
    finite = torch.isfinite(matrices).all(2).all(1)
    even = torch.diag_embed(matrices[:, :1, 0].expand(networks, whole)).contiguous()
    even[:, :size, :size] = matrices
    values = torch.linalg.eigvalsh(torch.where(finite[:, None, None], even, 0.0))[:, [0, -1]]
    return torch.where(finite[:, None], values, torch.nan)


def directions(along: Curvature | ModuleCurvature, steps: int) -> Tensor:
    """Directions [2, P] along which one network's Hessian bends least and most, as ``steps`` steps of Lanczos find
    them."""
    basis, matrix = krylov(along, steps, min(steps, along.flat.shape[1]))
    known = int((torch.linalg.vector_norm(basis[0], dim=1) > 0).sum())  # fewer than steps where the space is exhausted
    if not torch.isfinite(matrix).all():
        return torch.full_like(basis[0, :1], torch.nan).expand(2, -1)
    vectors = torch.linalg.eigh(matrix[0, :known, :known].to(torch.float64)).eigenvectors[:, [0, -1]]
    return vectors.T.to(basis.dtype) @ basis[0, :known]


def rayleigh(pieces: Iterable[tuple[Problem, float]], flat: Tensor, along: Tensor) -> np.ndarray:
    """v H v / v v of one network's Hessian and each direction v of ``along`` [q, P]: [q]. Pieces of the problem come
    with their shares of it. It lies between the Hessian's extremes, whatever the direction."""
    bent = torch.zeros(len(along), dtype=torch.float64)
    for piece, share in pieces:
        image = curvature(piece, flat).times(along.unsqueeze(0))[0]
        bent += share * (image * along).sum(1).to(torch.float64)
    return (bent / (along * along).sum(1)).numpy()


def lanczos(along: Curvature | ModuleCurvature, steps: int) -> Tensor:
    """The Hessians restricted to Krylov spaces of ``steps`` dimensions, tridiagonal: [m, steps, steps].

    Where the basis would not fit its room, each direction is made orthogonal to the last two only, which is the
    recurrence itself: rounding then brings copies of eigenvalues that were found, and none that are not there (Paige
    1980).
    """
    size = along.flat.shape[1]
    steps = min(steps, size)
    return krylov(along, steps, steps if steps * size <= ROOM else 2)[1]


def krylov(along: Curvature | ModuleCurvature, steps: int, kept: int) -> tuple[Tensor, Tensor]:
    """An orthonormal basis of each Krylov space, of which the last ``kept`` directions are kept, [m, kept, P] (zeros
    once the space is exhausted), and the Hessians in it, tridiagonal: [m, steps, steps]; ``steps`` is at most P.

    Lanczos 1950, each direction made orthogonal to those that are kept, from the same start for every network, drawn
    once: a random direction has a share of every eigenvector. The extreme eigenvalues of the two agree first.
    """
    networks, size = along.flat.shape
    start = np.random.default_rng(0).standard_normal(size)
    basis = along.flat.new_zeros(networks, kept, size)  # direction s lies in place s % kept
    basis[:, 0] = torch.from_numpy(start / np.linalg.norm(start))
    matrix = along.flat.new_zeros(networks, steps, steps)
    alive = torch.ones(networks, dtype=torch.bool)
    exhausted = 1e-10 if basis.dtype == torch.float64 else 1e-5  # what rounding leaves of a direction that is not new
    for step in range(steps):
        latest = basis[:, step % kept]
        image = along.times(latest.unsqueeze(1))[:, 0]
        rayleigh = (image * latest).sum(1)
        # once a space is exhausted its further diagonal repeats an entry, which lies between the eigenvalues found
        matrix[:, step, step] = torch.where(alive, rayleigh, matrix[:, 0, 0])
        if step + 1 == steps:
            break
        size_before = torch.linalg.vector_norm(image, dim=1)
        for _ in range(2):  # twice is enough (Parlett 1980)
            known = basis[:, : min(step + 1, kept)]
            image = image - product(known.mT, product(known, image.unsqueeze(2))).squeeze(2)
        rest = torch.linalg.vector_norm(image, dim=1)
        alive = alive & (rest > exhausted * size_before)
        matrix[:, step, step + 1] = matrix[:, step + 1, step] = torch.where(alive, rest, 0.0)
        unit = image / rest.clamp(min=torch.finfo(rest.dtype).tiny).unsqueeze(1)
        basis[:, (step + 1) % kept] = torch.where(alive.unsqueeze(1), unit, 0.0)
    return basis, matrix


def curvature(problem: Problem, flat: Tensor) -> Curvature | ModuleCurvature:
    """What multiplies with the Hessians of networks with these weights."""
    return ModuleCurvature(problem, flat) if problem.shape.opaque else Curvature(problem, flat)


@dataclass(frozen=True)
class Bend:
    """Second derivatives [m, n, o] of an activation h(z, a): by z and z, by z and what it learns, by that twice."""

    zz: Tensor
    za: Tensor | None = None
    aa: Tensor | None = None


class Curvature:
    """Products of the Hessians at weights [m, P] with directions."""

    def __init__(self, problem: Problem, flat: Tensor):
        self.problem, self.flat = problem, flat
        self.run: Forward = forward(problem, flat)
        self.back: Backward = backward(problem, self.run)
        self.bends = [self._bend(number) for number in range(len(problem.shape.hidden))]
        self.output_bend = self._output_bend()

    def hessian(self) -> Tensor:
        """All of it: [m, P, P]."""
        networks, size = self.flat.shape
        together = max(1, ROOM // (lanes(self.problem) * len(self.problem.inputs) * self.problem.width))
        directions = torch.eye(size, dtype=torch.float64).split(together)
        return torch.cat([self.times(some.expand(networks, *some.shape)) for some in directions], dim=1)

    def times(self, directions: Tensor) -> Tensor:
        """Hessians times ``directions`` [m, q, P]: [m, q, P]."""
        shape, networks, count = self.problem.shape, *directions.shape[:2]
        moves = [_grouped(layer, networks, count) for layer in unflatten(shape, directions.flatten(0, 1))]
        rz, rx = self._along(moves)
        return _flat(self._against(moves, rz, rx))

    def _inputs(self, number: int) -> Tensor:
        """What layer ``number`` is fed: [m, 1, n, i]."""
        x = self.problem.inputs.expand(len(self.flat), -1, -1) if number == 0 else self.run.h[number - 1]
        return x.unsqueeze(1)

    def _along(self, moves: list[Layer]) -> tuple[list[Tensor], list[Tensor | None]]:
        """How pre-activations and each layer's inputs move: [m, q, n, o] and [m, q, n, i]; the data stay."""
        rz: list[Tensor] = []
        rx: list[Tensor | None] = [None]
        for number, (layer, move) in enumerate(zip(self.run.layers, moves, strict=True)):
            z = product(self._inputs(number), move.matrix.mT) + move.bias.unsqueeze(2)
            before = rx[-1]
            if before is not None:
                z = z + product(before, layer.matrix.unsqueeze(1).mT)
            rz.append(z)
            if number < len(self.bends):
                rx.append(self._activation_move(number, z, move))
        return rz, rx

    def _activation_move(self, number: int, rz: Tensor, move: Layer) -> Tensor:
        h, learned = self.run.slopes[number].unsqueeze(1) * rz, self._learned_slope(number)
        return h if learned is None or move.learned is None else h + learned.unsqueeze(1) * move.learned

    def _against(self, moves: list[Layer], rz: list[Tensor], rx: list[Tensor | None]) -> list[Layer]:
        """How the gradients of all weights move, layer by layer."""
        change = product(self.output_bend.unsqueeze(1), rz[-1].unsqueeze(-1)).squeeze(-1)
        found: list[Layer] = []
        learned: Tensor | None = None
        for number in range(len(moves) - 1, -1, -1):
            dz, before = self.back.dz[number].unsqueeze(1), rx[number]
            matrix = product(change.mT, self._inputs(number))
            if before is not None:
                matrix = matrix + product(dz.mT, before)
            found.insert(0, Layer(matrix, change.sum(2), learned))
            if number:
                rdh = product(change, self.run.layers[number].matrix.unsqueeze(1)) + product(dz, moves[number].matrix)
                change, learned = self._below(number - 1, rdh, rz[number - 1], moves[number - 1])
        return found

    def _below(self, number: int, rdh: Tensor, rz: Tensor, move: Layer) -> tuple[Tensor, Tensor | None]:
        """How the gradient behind activation ``number`` moves its own pre-activations' and its learned parameter's."""
        slope, bend = self.run.slopes[number], self.bends[number]
        dh = product(self.back.dz[number + 1], self.run.layers[number + 1].matrix).unsqueeze(1)
        change = rdh * slope.unsqueeze(1) + dh * bend.zz.unsqueeze(1) * rz
        learned = self._learned_slope(number)
        value = move.learned
        if learned is None or value is None or bend.za is None or bend.aa is None:
            return change, None
        own = rdh * learned.unsqueeze(1) + dh * (bend.za.unsqueeze(1) * rz + bend.aa.unsqueeze(1) * value)
        return change + dh * bend.za.unsqueeze(1) * value, own.sum((2, 3), keepdim=True)

    def _bend(self, number: int) -> Bend:
        after, layer, slope = self.problem.shape.after[number], self.run.layers[number], self.run.slopes[number]
        z, h, learned = self.run.z[number], self.run.h[number], self._learned_slope(number)
        if learned is None or layer.learned is None:
            by_z, by_h = _derivatives(lambda z, h: after.bind().slope(XP, z, h), z, h)
            return Bend(by_z + by_h * slope)
        a = layer.learned.expand_as(z)
        by_z, by_h, by_a = _derivatives(lambda z, h, a: after.bind(a).slope(XP, z, h), z, h, a)
        (twice,) = _derivatives(lambda a: after.bind(a).learned_slope(XP, z), a)
        return Bend(by_z + by_h * slope, by_a + by_h * learned, twice)

    def _output_bend(self) -> Tensor:
        """The loss's second derivatives by the output's pre-activations, row by row: [m, n, k, k]."""
        z = self.run.z[-1]
        columns = [
            _derivatives(lambda z, k=k: output_gradient(self.problem, z)[..., k], z)[0] for k in range(z.shape[2])
        ]
        return torch.stack(columns, dim=2)

    def _learned_slope(self, number: int) -> Tensor | None:
        layer = self.run.layers[number]
        if layer.learned is None:
            return None
        return self.problem.shape.after[number].bind(layer.learned).learned_slope(XP, self.run.z[number])


def _derivatives(formula: Callable[..., Tensor], *places: Tensor) -> list[Tensor]:
    """The derivative of an elementwise formula by each of its arguments, 0 where it does not depend on one."""
    with torch.enable_grad():
        leaves = [place.detach().clone().requires_grad_() for place in places]
        value = formula(*leaves)
        if not value.requires_grad:
            return [torch.zeros_like(place) for place in places]
        found = torch.autograd.grad(value.sum(), leaves, allow_unused=True, materialize_grads=True)
    return list(found)


def _grouped(layer: Layer, networks: int, count: int) -> Layer:
    """Tensors [m q, ...] as [m, q, ...]."""
    return Layer(*(part.reshape(networks, count, *part.shape[1:]) for part in layer.parts()))


def _flat(layers: list[Layer]) -> Tensor:
    return torch.cat([part.flatten(2) for layer in layers for part in layer.parts()], dim=2)
