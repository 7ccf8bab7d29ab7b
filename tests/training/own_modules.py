"""Modules as users write them, of every kind that training must tell apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class OwnMlp(nn.Sequential):
    """What ``model=mlp model.hidden=[width] activation=tanh`` is, with the names that it has there."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, outputs))


class TwoPaths(nn.Module):
    """A bilinear network, with a factor of its own that its class draws."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.a, self.b = nn.Linear(inputs, width), nn.Linear(inputs, width, bias=False)
        self.factor = nn.Parameter(torch.rand(width))
        self.out = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(torch.tanh(self.a(x)) * self.b(x) * self.factor)
        return out


class Normed(nn.Sequential):
    """With statistics that are no weights, and other outputs in training than in evaluation. The bias, which the norm
    takes out again, is left out: its gradient is nothing but roundings."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__(
            nn.Linear(inputs, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, outputs)
        )


class Dropped(nn.Sequential):
    """With noise."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__(nn.Linear(inputs, width), nn.Tanh(), nn.Dropout(0.4), nn.Linear(width, outputs))


class OwnNoise(nn.Module):
    """Draws by itself, which ``vmap`` does not carry."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.first, self.out = nn.Linear(inputs, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        if self.training:
            hidden = hidden + 0.1 * torch.randn_like(hidden)
        out: Tensor = self.out(hidden)
        return out


class Branching(nn.Module):
    """Asks for a number on its way, which ``vmap`` does not carry."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.first, self.out = nn.Linear(inputs, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        hidden = torch.tanh(hidden) if hidden.sum().item() > 0 else torch.sin(hidden)
        out: Tensor = self.out(hidden)
        return out


class Convolved(nn.Module):
    """A small convolution over the inputs."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.kernel, self.out = nn.Conv1d(1, width, 3, padding=1), nn.Linear(width * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(torch.relu(self.kernel(x[:, None])).flatten(1))
        return out


class Frozen(OwnMlp):
    """One layer stays as it is."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__(inputs, outputs, width)
        self[0].requires_grad_(False)


class WrongShape(OwnMlp):
    """Forgets the outputs' axis."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, 0]


class InPlace(OwnMlp):
    """Changes its input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(2))


class Tied(nn.Module):
    """One matrix in two places."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.middle, self.again, self.out = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, outputs)
        self.again.weight = self.middle.weight

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(torch.tanh(self.again(torch.tanh(self.middle(torch.tanh(self.first(x)))))))
        return out
