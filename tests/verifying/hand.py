"""A multi-layer perceptron in NumPy as a student writes it, and the faults that students make."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


class Hand:
    """tanh layers and a sigmoid at the end, trained by plain gradient descent on bce or mse; ``fault`` names what is
    wrong with it. ``flat`` keeps the matrices as [in, out]."""

    def __init__(self, *sizes: int, fault: str = "", loss: str = "bce", flat: bool = False, lr: float = 0.1):
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.weights = [np.zeros(pair if flat else pair[::-1]) for pair in pairs]
        self.biases = [np.zeros(out) for _, out in pairs]
        self.fault, self.kind, self.flat, self.lr = fault, loss, flat, lr
        self.total: list[Array] = []

    @property
    def parameters(self) -> list[Array]:
        return [array for pair in zip(self.weights, self.biases, strict=True) for array in pair]

    def matrix(self, layer: int) -> Array:
        """[in, out]"""
        order = {0: 0, 1: 2, 2: 1}[layer] if self.fault == "order" else layer
        matrix = self.weights[order] if self.flat else self.weights[order].T
        return matrix.T if self.fault == "transposed" and layer == 1 else matrix

    def forward(self, x: Array) -> Array:
        self.h, self.z = [x], []
        last = len(self.weights) - 1
        for layer in range(last + 1):
            bias = 0 if self.fault == "bias" and layer == 0 else self.biases[layer]
            if self.fault == "order" and layer:
                bias = self.biases[3 - layer]
            self.z.append(self.h[-1] @ self.matrix(layer) + bias)
            self.h.append(self.activation(self.z[-1], layer == last))
        if self.fault == "noise":
            return self.h[-1] + np.random.default_rng().normal(0, 0.1, self.h[-1].shape)
        return self.h[-1]

    def activation(self, z: Array, output: bool) -> Array:
        if output:
            made = sigmoid(z)
            if self.fault == "logits":
                return z
            return sigmoid(made) if self.fault == "twice" else np.tanh(z) if self.fault == "output" else made
        if self.fault == "linear":
            return z
        return sigmoid(z) if self.fault == "sigmoid" else np.tanh(z)

    def loss(self, x: Array, y: Array) -> float:
        p = self.forward(x)
        if self.fault == "logits":
            p = sigmoid(p)
        values = (p - y) ** 2 if self.kind == "mse" else -y * np.log(p) - (1 - y) * np.log(1 - p)
        return float(values.sum() if self.fault == "loss sum" else values.mean())

    def gradients(self, x: Array, y: Array) -> list[Array]:
        p = self.forward(x)
        if self.fault == "logits":
            p = sigmoid(p)
        d = (p - y) if self.fault == "sum" else (p - y) / len(x)
        if self.kind == "mse":
            d = d * (1 if self.fault in ("half", "half slope") else 2)
            d = d if self.fault == "output slope" else d * p * (1 - p)
        elif self.fault == "output slope":
            d = d * p * (1 - p)
        return self.back(-d if self.fault == "sign" else d)

    def back(self, d: Array) -> list[Array]:
        found: list[Array] = []
        for layer in reversed(range(len(self.weights))):
            weight = self.h[layer].T @ d
            turned = (layer == 1 and self.fault == "gradient transposed") != self.flat
            bias = 0 * d.sum(0) if self.fault == "bias gradient" and layer == 0 else d.sum(0)
            found = [weight if turned else weight.T, bias, *found]
            if layer:
                back = self.matrix(layer) if self.fault == "back transposed" and layer == 1 else self.matrix(layer).T
                d = d @ back * self.slope(layer - 1)
        return found

    def slope(self, layer: int) -> Array:
        z, h = self.z[layer], self.h[layer + 1]
        if self.fault in ("slope", "half slope"):
            return np.ones_like(h)
        if self.fault == "slope sigmoid":
            return sigmoid(z) * (1 - sigmoid(z))
        return 1 - {"slope at h": np.tanh(h), "slope of z": z}.get(self.fault, h) ** 2


class Stepping(Hand):
    """The same with updates of its own."""

    def step(self, x: Array, y: Array) -> None:
        if self.fault in ("next", "previous"):
            return self.one_by_one(x, y)
        gradients = self.gradients(x, y)
        if self.fault == "accumulated":
            self.total = gradients = [a + b for a, b in zip(self.total or [0] * 9, gradients, strict=False)]
        rate = {"rate": 5 * self.lr, "ascent": -self.lr}.get(self.fault, self.lr)
        for number, (array, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            if not (self.fault == "still" and number == 1):
                array -= rate * gradient

    def one_by_one(self, x: Array, y: Array) -> None:
        layers = range(len(self.weights))
        for layer in reversed(layers) if self.fault == "next" else layers:
            gradients = self.gradients(x, y)  # which see the layers that were moved before
            for number in (2 * layer, 2 * layer + 1):
                self.parameters[number][...] -= self.lr * gradients[number]


class Steps:
    """The updates of a network without its gradients, so that these cannot be looked at by themselves."""

    def __init__(self, net: Stepping):
        self.parameters, self.forward, self.step = net.parameters, net.forward, net.step
