"""What a verdict's sentence says on a network built by hand: every number in it can be counted or worked out on paper.

Rows are those of XOR: 00, 01, 10, 11 with targets 0, 1, 1, 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnspec.diagnostics import VERDICTS, Snapshots, diagnose, verdict_entry
from nnspec.diagnostics.sentences import since_text, with_facts
from nnspec.explaining.examples import EXAMPLES
from nnspec.results.arrays import NEVER


def said(group):
    """The verdict of a group's only network, its sentence, and since when."""
    found = diagnose(group)
    numbers = {name: float(values[0]) for name, values in found.numbers.items()}
    numbers |= {"final_loss": float(group.loss[0, -1]), "solved_at": 30.0}
    verdict = str(found.verdict[0])
    whole = with_facts(numbers, group.spec)
    return verdict, verdict_entry(verdict).sentence(whole), since_text(verdict, whole)


@pytest.fixture
def example(by_hand):
    """The group of a verdict's example; fields of it may be replaced."""

    def group(name, **fields):
        one = EXAMPLES[name]
        return replace(by_hand(one.spec, one.tensors, loss=one.loss), **fields)

    return group


@pytest.mark.parametrize("name", VERDICTS)
def test_the_example_of_each_verdict_gets_it(example, name):
    assert said(example(name))[0] == name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("diverged", "the loss is 12, after 0.7 at the start, and grows"),
        ("solved", "it has learnt what the spec asks for, from epoch 30"),
        # the bound that cannot be kept is log(0.6 / 0.4) = 0.405, and the best that all rows can do is z = 0
        ("beyond_capacity", "no weights of this model make every row right: their best margin is -0.405, and it must "
         "be above 0"),
        # units 0, 1, 2 are below 0 on all rows and the last on all but 11, whose output is right
        ("dead_units", "3 of 4 hidden units are off for every row: no gradient reaches them; for 3 of 4 rows, and all "
         "that are wrong are among them, every unit of a layer is off"),
        ("symmetric", "only 1 of 4 hidden units is distinct: the others are copies, which get the same gradient and "
         "stay copies"),
        # one output unit, linear, p = 1/2 everywhere: no gradient; w = 0, so that only v and c bend the loss: its
        # Hessian is twice the mean of [h, 1] [h, 1]' = [[4.5, 2], [2, 1]], with 2.75 + sqrt(1.75^2 + 4) = 5.408
        ("local_minimum", "no small step lowers the loss of 0.69: the gradient is 0 and the smallest curvature 0 (the "
         "largest 11)"),
        # (0.495 - 0.49) / 0.4925: the line through the losses of the last fifth, of which there are two
        ("still_learning", "the loss still falls: by 1.02% of itself over the last 200 epochs, to 0.49"),
    ],
)  # fmt: skip
def test_the_sentence_of_each_example(example, name, sentence):
    assert said(example(name))[1].replace("-0 (", "0 (") == sentence


def test_a_saddle_says_what_a_hand_finds(example):
    # d2L/dv2 and d2L/dw dv of L = mean (v h + c - y)^2 at v = 0, h = tanh(x1 + x2 - 1), c - y = -+1/2: the Hessian in
    # (w1, w2, b, v, c) has d2L/db dv = 2 mean((c - y) h') = 0.42 / 2 - 0.5 with h' = 0.41997 at the rows 00 and 11
    _, sentence, _ = said(example("saddle"))
    cross = np.array([0.41997 / 4, 0.41997 / 4, 0.41997 / 2]) - np.array([0.25, 0.25, 0.5])
    low = np.linalg.eigvalsh(np.block([[np.zeros((3, 3)), cross[:, None]], [cross[None], 2 * np.tanh(1) ** 2 / 2]]))[0]
    assert f"the smallest curvature is {low:.2g} (the largest 2)" in sentence
    assert "the gradient is" in sentence


def test_saturated_says_what_a_hand_finds(example):
    # of row 00, the only wrong one: s(-10) s(10) = 4.54e-5 for the first unit, less for the second
    _, sentence, _ = said(example("saturated"))
    assert "the hidden activations pass at most 4.5e-05 of a gradient for any wrong row" in sentence


def test_stuck_lists_what_was_looked_at(example):
    _, sentence, _ = said(example("stuck"))
    for looked in ("change over the last 200 epochs +0.00%", "units off 0", "distinct units 1", "passage 1"):
        assert looked in sentence
    # c - y is 0.6 and -0.4: the gradient is 2 mean(c - y) = 0.2 by c, and by v
    # 2 mean((c - y) h) = (0.6 (1 + 3) - 0.4 (2 + 2)) / 2 = 0.4
    assert f"gradient {np.hypot(0.2, 0.4):.2g}" in sentence


@pytest.mark.parametrize(
    ("train", "span"),
    [
        ({"epochs": 2}, "the last 2 epochs"),  # rows at 0 and 2 are all that there is
        ({"epochs": 1}, "the last epoch"),
        ({"epochs": 65}, "the last 5 epochs"),  # of the last 13 there are rows at 60 and 65
        ({"epochs": 2000, "batch_size": 2}, "the last 800 updates"),
        ({"epochs": 2000, "stop": "plateau"}, "the last fifth of training"),  # each network's own
    ],
)
def test_a_trend_is_said_to_be_over_what_it_was_read_from(train, span, spec_of):
    entry = verdict_entry("still_learning")
    sentence = entry.said({"loss_slope": -0.125, "final_loss": 0.5}, spec_of(train=train))
    assert sentence == f"the loss still falls: by 12.50% of itself over {span}, to 0.5"


def test_units_that_are_off_for_no_row_are_not_counted(by_hand, spec_of):
    weights = {"0.weight": [[1, 1], [2, 2]], "0.bias": [-1.5, -3], "2.weight": [[-20, -30]], "2.bias": [np.log(2)]}
    _, sentence, _ = said(by_hand(spec_of(model={"name": "mlp", "hidden": [2]}), weights))
    blocked = "for 3 of 4 rows, and all that are wrong are among them, every unit of a layer is off"
    assert sentence == f"{blocked}: no gradient passes"


def test_an_output_that_is_off_counts_as_a_unit(by_hand, spec_of):
    spec = spec_of(model={"name": "mlp", "hidden": [1], "output": "relu"}, loss="mse")
    weights = {"0.weight": [[1, 1]], "0.bias": [1], "2.weight": [[-1]], "2.bias": [0]}
    _, sentence, _ = said(by_hand(spec, weights))
    assert sentence.startswith("1 of 2 units is off for every row")


@pytest.mark.parametrize(
    ("loss", "nonfinite_at", "sentence", "since"),
    [
        ((0.7, 0.7, np.nan), 3, "the loss is no longer finite, after 0.7 at the start", "since epoch 3"),
        ((0.7, 0.7, np.nan), 1, "the loss is no longer finite, after 0.7 at the start", "since the first update"),
        ((0.7, np.nan, np.nan), -1, "the loss is no longer finite, after 0.7 at the start", "since epoch 500"),
        ((0.7, 8.0, 9.0), -1, "the loss is 9, after 0.7 at the start, and grows", "since epoch 500"),
        ((np.nan, np.nan, np.nan), 0, "the loss is no longer finite", "before the first update"),
    ],
)
def test_a_diverged_network_says_when(example, loss, nonfinite_at, sentence, since):
    group = example("diverged", loss=np.array([loss]), steps=np.array([0, 500, 1000]), nonfinite_at=[nonfinite_at])
    found = said(replace(group, nonfinite_at=np.array([nonfinite_at])))
    assert found == ("diverged", sentence, since)


@pytest.mark.parametrize(
    ("loss", "since"),
    [
        ((0.7, 0.6, 0.5, 0.25, 0.25, 0.25), "the loss has not moved since epoch 600"),
        ((0.7, 0.6, 0.5, 0.2524, 0.2501, 0.25), "the loss has not moved since epoch 600"),  # within 1%
        ((0.7, 0.6, 0.25, 0.2530, 0.25, 0.25), "the loss has not moved since epoch 800"),  # it had moved in between
        ((0.25, 0.25, 0.25, 0.25, 0.25, 0.25), "the loss has not moved since the start"),
        ((0.7, 0.6, 0.5, 0.4, 0.3, 0.25), ""),  # only its last value is like its last value
    ],
)
def test_a_loss_that_stands_still_says_since_when(example, loss, since):
    assert said(example("local_minimum", loss=np.array([loss])))[2] == since


@pytest.mark.parametrize(
    ("stopped_at", "since"),
    [
        (600, ""),  # it moved until train.stop ended it, and stands still for that
        (800, "the loss has not moved since epoch 600"),
        (NEVER, "the loss has not moved since epoch 600"),
    ],
)
def test_a_loss_that_stands_still_for_training_ended_says_nothing(example, stopped_at, since):
    loss = np.array([[0.7, 0.6, 0.5, 0.25, 0.25, 0.25]])
    assert said(example("local_minimum", loss=loss, stopped_at=np.array([stopped_at])))[2] == since


ALIVE = {"0.weight": [[1, 1], [1, -1], [-1, 1], [1, 1]], "0.bias": [1, 1, 1, 1], "2.weight": [[1, 2, -1, -6]],
         "2.bias": [0.693]}  # fmt: skip


def weights(tensors):
    return {name: np.array(tensor, dtype=float)[None] for name, tensor in tensors.items()}


def test_dead_units_that_the_initial_weights_had_are_told_from_those_that_died(example):
    assert said(example("dead_units"))[2] == "so with the initial weights already"
    died = example("dead_units", initial=weights(ALIVE))
    assert said(died)[2] == "the loss has not moved since epoch 200"
    level = replace(died, loss=np.full((1, 6), 0.69))  # alive at first, so it came by the next logged update
    assert said(level)[2] == "the loss has not moved since epoch 200"
    assert said(replace(level, stopped_at=np.array([200])))[2] == ""


def test_snapshots_say_since_when(example, spec_of):
    dead, alive = weights(EXAMPLES["dead_units"].tensors), weights(ALIVE)
    group = example("dead_units", initial=alive)
    group = replace(group, spec=replace(group.spec, train=replace(group.spec.train, snapshot_every=250)))

    def since(*kept):
        shots = {250 * (place + 1): weights for place, weights in enumerate(kept)}
        return said(replace(group, snapshots=Snapshots(shots, np.array([0]))))[2]

    assert since(alive, dead, dead) == "so in every snapshot since epoch 500"
    assert since(dead, alive, dead) == "so in every snapshot since epoch 750"  # once is not for good
    assert since(dead, dead, alive) == ""  # nothing tells: the last snapshot had not come so far


def test_snapshots_of_a_network_are_its_own(example):
    one = {1: weights(ALIVE), 2: weights(EXAMPLES["dead_units"].tensors)}
    both = {"0.bias": np.concatenate([one[1]["0.bias"], one[2]["0.bias"]])}
    np.testing.assert_array_equal(
        Snapshots({5: both}, np.array([1, 0])).at(5, np.array([0]))["0.bias"], one[2]["0.bias"]
    )


def test_medians_are_called_so():
    def median(verdict, numbers):
        return since_text(verdict, with_facts(numbers, EXAMPLES["local_minimum"].spec), median=True)

    assert median("local_minimum", {"since": 45.0}) == "the loss has not moved since epoch 45 (median)"
    assert median("symmetric", {"since": 0.0}) == "so with the initial weights already, in most of them"
    assert median("local_minimum", {}) == ""


def test_units_below_a_softmax_are_hidden_ones(spec_of):
    """Its outputs have no derivative of their own that could be 0."""
    classes = spec_of(data="iris", loss="cross_entropy")
    sentence = verdict_entry("dead_units").said({"dead_units": 4.0, "dead_rows": 150.0}, classes)
    assert sentence == "4 of 4 hidden units are off for every row: no gradient reaches them"


def test_units_of_a_module_are_counted_without_a_whole(spec_of):
    """A learning rate a layer trains it as a module, whose layers are not known one by one."""
    module = spec_of(optimizer={"name": "adam", "lr_per_layer": [0.1, 0.01]})
    sentence = verdict_entry("dead_units").said({"dead_units": 1.0, "dead_rows": 2.0}, module)
    assert sentence.startswith("1 hidden unit is off for every row: no gradient reaches them; for 2 of 4 rows")
    none = verdict_entry("dead_units").said({"dead_units": 0.0, "dead_rows": 1.0}, module)
    assert none.startswith("for 1 of 4 rows, and all that are wrong")


def test_what_was_seen_of_some_rows_only_is_said_so(spec_of):
    digits = {"name": "digits", "test_fraction": 0.2}
    spec = spec_of(data=digits, loss="cross_entropy", model={"name": "mlp", "hidden": [16]}, train={"epochs": 5})
    rows = 1797 - 359  # of the training part, an eighth of which (5 passes of 40) is looked at
    some = {"dead_units": 3.0, "dead_rows": 700.2}
    assert verdict_entry("dead_units").said(some, spec) == (
        f"3 of 16 hidden units are off for every row of the {rows // 8} that were looked at: no gradient reaches them; "
        f"for about 700 of {rows:,} rows, and all that are wrong are among them, every unit of a layer is off"
    )


def test_a_number_that_was_not_measured_leaves_the_summary(spec_of):
    entry = verdict_entry("dead_units")
    assert entry.said({"dead_units": 3.0}, spec_of()) == entry.said({}, None) == entry.summary
