"""Every real parameter of the catalog at the edge of what floats hold: a fault that names the dtype, or a run with a
verdict."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnspec
from nnspec.catalog import REGISTRIES
from nnspec.check import checked_mapping
from nnspec.diagnostics import VERDICTS
from nnspec.errors import SpecError
from nnspec.params import SIZES, Either, Many, Optional, Param, Real, Refused, rounded
from nnspec.specs import RunSpec

MappingOf = Callable[..., dict[str, Any]]
SpecOf = Callable[..., RunSpec]
BEYOND = {"float32": (1e308, -1e308, 1e39, 1e-46, -1e-46, 1e-320), "float64": (1e-320, -1e-320)}
WITHIN = {"float32": (3e38, -3e38, 1.2e-38, 1e20), "float64": (1e308, -1e308, 1e154, 1e39, 1e-46, 1e-307)}


def values(param: Param, extreme: float) -> Iterator[object]:
    """What the parameter may be given with this number in it, at each place of a list."""
    kind = param.kind
    while isinstance(kind, (Either, Optional)):
        kind = kind.kind
    if isinstance(kind, Real):
        yield extreme
    if isinstance(kind, Many) and isinstance(kind.kind, Real):
        listed = list(param.default)
        for place in range(len(listed)):
            yield [*listed[:place], extreme, *listed[place + 1 :]]


REALS = [
    pytest.param(group, entry.name, param, id=f"{group}={entry.name}.{param.name}")
    for group, registry in REGISTRIES.items()
    for entry in registry
    for param in entry.params
    if any(values(param, 1.0))
]


def given(param: Param, extremes: tuple[float, ...]) -> list[Any]:
    return [value for extreme in extremes for value in values(param, extreme)]


def accepted(param: Param, value: object) -> bool:
    """Whether the parameter takes the value in some dtype."""
    try:
        param.kind.parse(value)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("dtype", SIZES)
@pytest.mark.parametrize(("group", "name", "param"), REALS)
def test_a_real_that_the_dtype_does_not_hold_is_a_fault(
    mapping_of: MappingOf, group: str, name: str, param: Param, dtype: str
) -> None:
    for value in given(param, BEYOND[dtype]):
        with pytest.raises(SpecError) as caught:
            checked_mapping(mapping_of(**{group: {"name": name, param.name: value}}, dtype=dtype))
        found = [fault for fault in caught.value.faults if fault.where == f"{group}.{param.name}"]
        assert all(fault.remedy for fault in found)
        assert any(f"dtype={dtype}" in fault.rule for fault in found) or not accepted(param, value)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("group", REGISTRIES)
def test_a_real_that_the_dtype_holds_trains_to_a_verdict(mapping_of: MappingOf, group: str, dtype: str) -> None:
    trained = []
    for _, name, param in [row.values for row in REALS if row.values[0] == group]:
        for value in given(param, WITHIN[dtype]):
            with contextlib.suppress(SpecError):  # out of its bounds, as a negative learning rate
                trained.append(
                    checked_mapping(
                        mapping_of(**{group: {"name": name, param.name: value}}, dtype=dtype, train={"epochs": 20})
                    )
                )
    assert bool(trained) == any(row.values[0] == group for row in REALS)
    if not trained:  # models and schedules may have no reals
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = nnspec.train(trained, workers=1)
    assert set(result.table["verdict"]) <= set(VERDICTS)
    assert len(result.table) == len(trained)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"activation": {"name": "leaky_relu", "negative_slope": 1e308}},
            r"activation.negative_slope must be of a size that dtype=float32 holds, 1.2e-38 to 3.4e\+38, but got "
            r"1e\+308; "
            r"try activation.negative_slope=0.01, or dtype=float64$",
        ),
        ({"loss": {"name": "huber", "delta": 1e300}}, r"loss.delta must be of a size that dtype=float32 holds"),
        ({"solved": {"tolerance": 1e-60}}, "solved.tolerance must be of a size that dtype=float32 holds"),
        (
            {"solved": {"tolerance": 1e-310}, "dtype": "float64"},
            r"tolerance must be of a size that dtype=float64 holds.*; try solved.tolerance=null$",
        ),
        (
            {"optimizer": {"name": "adam", "betas": [0.9, 1 - 1e-12]}},
            r"optimizer.betas must be a list in which each item .* below 1 when rounded to dtype=float32, but got .*, "
            r"or dtype=float64",
        ),
        (
            {"activation": {"name": "hardtanh", "min_val": 1 - 1e-12}},
            "activation.min_val must be below max_val when rounded to dtype=float32, but got 0.999999999999; .*, or "
            "dtype=float64",
        ),
    ],
)
def test_the_fault_names_the_dtype_and_what_to_do(mapping_of: MappingOf, fields: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError, match=text) as caught:
        checked_mapping(mapping_of(**fields))
    assert len(caught.value.faults) == 1


def test_what_float64_holds_passes_there(spec_of: SpecOf) -> None:
    spec = spec_of(
        optimizer={"name": "adam", "betas": [0.9, 1 - 1e-12], "eps": 1e-300},
        solved={"tolerance": 1e-60},
        dtype="float64",
    )
    assert spec.optimizer["eps"] == 1e-300


def test_rounded_is_the_nearest_single() -> None:
    for value in (0.1, 1 / 3, 3.4e38, 1.2e-38, -0.7, 0.0):
        assert rounded(value, "float32") == float(np.float32(value))
        assert rounded(value, "float64") == value
    assert rounded((0.1, "auto", None, 3, True), "float32") == (float(np.float32(0.1)), "auto", None, 3, True)
    largest, smallest = np.finfo(np.float32).max, np.finfo(np.float32).smallest_normal
    assert SIZES["float32"] == (float(smallest), float(largest))
    for value in (float(largest) * 1.001, float(smallest) / 1.001):
        with pytest.raises(Refused, match="dtype=float32 holds"):
            rounded(value, "float32")
