"""The density that a scheme promises: a density, of the spread that it promises, and that of what is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from nnspec.architecture import architecture
from nnspec.catalog import INITS, Init
from nnspec.catalog.inits import Layer
from nnspec.initial import activation_gain, initial_weights
from nnspec.specs import RunSpec

PROMISED = [entry for entry in INITS if entry.density]
OTHERS = {  # parameters that move the middle, the spread and the cuts
    "uniform": {"low": -0.25, "high": 2.0},
    "normal": {"mean": 1.5, "std": 0.3},
    "truncated_normal": {"mean": 0.5, "std": 0.7, "low": -0.5, "high": 3.0},
    "kaiming_normal": {"mode": "fan_out", "gain": 0.5},
    "xavier_uniform": {"gain": 3.0},
}
CASES = [(entry.name, {}) for entry in PROMISED] + list(OTHERS.items())


def of(name: str, given: dict[str, float], spec_of: Callable[..., RunSpec]) -> tuple[Init, RunSpec, Layer]:
    spec = spec_of(model={"name": "mlp", "hidden": [5]}, init={"name": name, **given})
    first = architecture(spec).dense[0]
    return INITS[name], spec, Layer(first.fan_in, first.fan_out, activation_gain(spec.activation))


@pytest.mark.parametrize(("name", "given"), CASES)
def test_it_is_a_density_of_the_promised_spread(name: str, given: dict, spec_of: Callable[..., RunSpec]) -> None:
    entry, spec, layer = of(name, given, spec_of)
    assert entry.density
    assert entry.std

    params = dict(spec.init.params)
    root = float(np.sqrt(3) * entry.std(layer, params))  # where a uniform density ends
    jumps = [-root, root, *(params[side] for side in ("low", "high") if side in params)]

    def moment(power: int) -> float:
        def weighted(w: float) -> float:
            return float(entry.density(np.asarray(w), layer, params)) * w**power

        return quad(weighted, -12, 12, points=jumps, limit=400)[0]

    mean = moment(1)
    assert moment(0) == pytest.approx(1, abs=1e-6)  # quad's own error is 1e-8, at a jump some more
    assert np.sqrt(moment(2) - mean**2) == pytest.approx(entry.std(layer, params), abs=1e-6)


@pytest.mark.parametrize(("name", "given"), CASES)
def test_what_is_drawn_has_it(name: str, given: dict, spec_of: Callable[..., RunSpec]) -> None:
    entry, spec, layer = of(name, given, spec_of)
    drawn = initial_weights(spec, np.arange(4000))["0.weight"][:, 0, 0]  # one weight of each network: independent
    places = np.linspace(drawn.min() - 1, drawn.max() + 1, 40_001)
    share = np.cumsum(entry.density(places, layer, dict(spec.init.params))) * (places[1] - places[0])
    found = stats.kstest(drawn, lambda w: np.interp(w, places, share))
    assert found.pvalue > 1e-3  # of 17 draws, which the seeds fix


def test_only_what_is_not_one_draw_a_weight_promises_none() -> None:
    assert {entry.name for entry in INITS if entry.noise and not entry.density} == {"orthogonal", "sparse"}
