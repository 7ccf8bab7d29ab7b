"""The algebra of results: whatever is cut along an axis and put together again is what it was, in every field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from nnspec.results.arrays import NEVER, Results, concatenate, unit_of
from nnspec.specs import RunSpec

NETWORKS, STEPS, ROWS, OUTPUTS = 5, 4, 3, 2


@pytest.fixture(scope="module")
def result(spec_of: Callable[..., RunSpec]) -> Results:
    """Results whose every array has its own numbers, so that none can pass for another."""
    rng = np.random.default_rng(0)

    def weights() -> dict[str, np.ndarray]:
        return {"0.weight": rng.random((NETWORKS, 4, 2)), "0.bias": rng.random((NETWORKS, 4))}

    return Results(
        spec=spec_of(replicates=NETWORKS),
        seeds=np.arange(10, 10 + NETWORKS),
        steps=np.arange(STEPS) * 10,
        loss=rng.random((NETWORKS, STEPS)).astype(np.float32),
        accuracy=rng.random((NETWORKS, STEPS)),
        weight_norm={"0": rng.random((NETWORKS, STEPS)), "2": rng.random((NETWORKS, STEPS))},
        right=rng.random((NETWORKS, STEPS)) < 0.5,
        test_loss=rng.random((NETWORKS, STEPS)),
        test_accuracy=rng.random((NETWORKS, STEPS)),
        errors=rng.integers(0, 5, (NETWORKS, STEPS)),
        outputs=rng.random((NETWORKS, ROWS, OUTPUTS)),
        solved_at=np.arange(NETWORKS),
        stopped_at=np.arange(NETWORKS)[::-1],
        nonfinite_at=-np.arange(NETWORKS),
        initial=weights(),
        final=weights(),
        snapshots={10: weights(), 20: weights()},
        verdict=np.array(["solved", "stuck", "solved", "saddle", "stuck"], dtype=object),
        numbers={"slope": rng.random(NETWORKS)},
    )


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a result by its path."""
    if isinstance(value, Results):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}/{key}")
    else:
        yield name, value


def assert_same(ours: Results, theirs: Results) -> None:
    found, expected = dict(flat(ours)), dict(flat(theirs))
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
        assert getattr(found[name], "dtype", None) == getattr(value, "dtype", None), name


@pytest.mark.parametrize(("axis", "length"), [("network", NETWORKS), ("step", STEPS)])
def test_what_is_cut_and_put_together_is_what_it_was(result: Results, axis: str, length: int) -> None:
    for cut in range(1, length):
        parts = [result.select(**{axis: slice(cut)}), result.select(**{axis: slice(cut, None)})]
        assert_same(concatenate(parts, axis), result)


def test_every_field_has_axes_and_is_cut_along_them(result: Results) -> None:
    """A field that is declared without axes would be handed on whole."""
    assert [each.name for each in fields(Results) if "axes" not in each.metadata] == ["spec", "why_eager"]
    part = result.select(network=slice(1, 3), step=slice(2))
    for name, array in flat(part):
        field = name.split("/")[1]
        if field == "steps":
            assert array.tolist() == [0, 10]
        elif field not in ("spec", "why_eager"):
            assert len(array) == 2, name
    assert part.loss.shape == part.right.shape == part.weight_norm["2"].shape == (2, 2)
    assert part.outputs.shape == (2, ROWS, OUTPUTS)
    assert np.shares_memory(part.loss, result.loss)


def test_parts_that_come_in_any_order_fill_the_room_that_waits_for_them(result: Results) -> None:
    whole = result.select(network=slice(2)).room(NETWORKS)
    for first, last in ((3, 5), (0, 1), (1, 3)):
        whole.put(first, result.select(network=slice(first, last)))
    assert_same(whole, result)


def test_a_history_has_what_is_known_on_the_way_only(result: Results) -> None:
    history = result.history()
    for name in ("seeds", "steps", "loss", "accuracy", "weight_norm", "right"):
        assert getattr(history, name) is getattr(result, name)
    unknown = [history.outputs, history.solved_at, history.nonfinite_at, history.verdict]
    assert unknown == [None] * 4
    assert history.initial == history.final == history.snapshots == history.numbers == {}
    assert repr(history) == "5 networks of seed 10 on, 4 rows of history up to epoch 30"
    assert_same(concatenate([history.select(step=slice(1)), history.select(step=slice(1, None))], "step"), history)


@pytest.mark.parametrize("name", ["outputs", "numbers"])
def test_what_one_part_lacks_is_not_made_up(result: Results, name: str) -> None:
    lacking = replace(result, **{name: None if name == "outputs" else {}})
    for parts in ([result, lacking], [lacking, result]):
        with pytest.raises(ValueError, match=f"must all have (the same )?{name}"):
            concatenate(parts)


def test_the_lines_of_a_history_are_named_by_field_and_layer(result: Results) -> None:
    lines = result.lines()
    assert list(lines) == ["loss", "accuracy", "weight_norm.0", "weight_norm.2", "right", "test_loss", "test_accuracy"]
    assert lines["weight_norm.2"] is result.weight_norm["2"]


def test_times_are_those_that_are_known(result: Results) -> None:
    assert list(result.times) == ["solved_at", "stopped_at"]
    assert result.times["stopped_at"] is result.stopped_at
    assert list(replace(result, stopped_at=None).times) == ["solved_at"]
    assert result.history().times == {}


def test_what_stopped_is_told_where_it_could_stop(result: Results) -> None:
    """``stopped_at`` is 4, 3, 2, 1, 0 and, where it is made so, NEVER."""
    lines = repr(result).splitlines()
    assert lines[-1] == "stopped     5 of 5, at epoch 2 (median)"
    assert repr(replace(result, stopped_at=None)).splitlines() == lines[:-1]
    batches = replace(result.spec, train=replace(result.spec.train, batch_size=2))
    some = replace(result, spec=batches, stopped_at=np.array([NEVER, 10, NEVER, 20, 40]))
    assert repr(some).splitlines()[-1] == "stopped     3 of 5, at update 20 (median)"
    assert repr(replace(some, stopped_at=np.full(5, NEVER))).splitlines()[-1] == "stopped     0 of 5"
    assert [repr(some.select(network=slice(i, i + 1))).splitlines()[-1] for i in range(2)] == [
        "stopped     no",
        "stopped     at update 10",
    ]


def test_updates_are_epochs_where_all_specs_make_them_of_all_rows(result: Results) -> None:
    full, batches = result.spec, replace(result.spec, train=replace(result.spec.train, batch_size=2))
    assert [unit_of(full), unit_of(full, full), unit_of(full, batches), unit_of(batches)] == [
        "epoch",
        "epoch",
        "update",
        "update",
    ]


def test_the_bytes_are_those_of_all_arrays(result: Results) -> None:
    assert result.nbytes == sum(value.nbytes for _, value in flat(result) if isinstance(value, np.ndarray))
