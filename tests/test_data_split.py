"""Training and test part: counts, classes, and that nothing of the test part is in what the training sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nnspec.architecture import architecture, rows, size
from nnspec.architecture import test_rows as rows_of_test
from nnspec.catalog import DATA, LOSSES
from nnspec.catalog.data.split import parts, split, standardized, stratified
from nnspec.check import checked
from nnspec.errors import SpecError
from nnspec.problem import Problem, parts_of
from nnspec.specs import Member, RunSpec

SpecOf = Callable[..., RunSpec]


def spec_with(spec_of: SpecOf, name: str, **params: object) -> RunSpec:
    loss = "cross_entropy" if size(Member(name, defaults(name))).classes else "mse"
    output = {} if loss == "cross_entropy" else {"output": "identity"}
    return checked(spec_of(loss=loss, model={"name": "mlp", "hidden": [4], **output}, data={"name": name, **params}))


def defaults(name: str) -> tuple[tuple[str, object], ...]:
    return tuple((param.name, param.default) for param in DATA[name].params)


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "parity", "spirals", "sine", "diabetes"])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.75])
def test_the_parts_are_a_partition_of_the_rows(spec_of: SpecOf, name: str, fraction: float) -> None:
    spec = spec_with(spec_of, name, test_fraction=fraction)
    problem, made = Problem.of(spec), DATA[name].make(dict(spec.data.params))
    assert len(problem.inputs) == rows(spec.data)
    assert len(problem.test_inputs) == rows_of_test(spec.data) == round(fraction * len(made.inputs))
    wanted = LOSSES[spec.loss.name].targets(made.labels, made.classes, made.targets)
    whole = np.column_stack([made.inputs, wanted]).tolist()
    found = np.vstack(
        [
            np.column_stack([problem.inputs, problem.targets]),
            np.column_stack([problem.test_inputs, problem.test_targets]),
        ]
    )
    assert sorted(found.tolist()) == sorted(whole)
    assert problem.targets.shape[1] == problem.test_targets.shape[1] == architecture(spec).outputs


def test_classes_are_in_both_parts_in_proportion(spec_of: SpecOf) -> None:
    spec = spec_with(spec_of, "breast_cancer", test_fraction=0.3)
    problem = Problem.of(spec)
    assert problem.test_targets.sum(0).tolist() == stratified((212, 357), 171) == [64, 107]
    assert problem.targets.sum(0).tolist() == [212 - 64, 357 - 107]


@pytest.mark.parametrize(("counts", "test", "shares"), [((3, 3, 3), 4, [2, 1, 1]), ((9, 1), 5, [5, 0]), ((5,), 2, [2])])
def test_what_is_left_over_goes_to_the_largest_remainders(
    counts: tuple[int, ...], test: int, shares: list[int]
) -> None:
    assert stratified(counts, test) == shares


def test_one_split_for_all_networks_or_one_each(spec_of: SpecOf) -> None:
    shared = spec_with(spec_of, "iris", test_fraction=0.3)
    own = spec_with(spec_of, "iris", test_fraction=0.3, split="per_network")
    other = spec_with(spec_of, "iris", test_fraction=0.3, seed=1)
    of = lambda spec, seed: Problem.of(spec, seed).test_inputs.tolist()  # noqa: E731
    assert of(shared, 0) == of(shared, 7) != of(other, 0)
    assert of(own, 0) == of(own, 0) != of(own, 7)
    assert len(of(own, 7)) == rows_of_test(own.data)
    assert Problem.of(replace(own, seed=7)).test_inputs.tolist() == of(own, 7)


def test_the_split_of_two_seeds_is_not_the_noise_of_one() -> None:
    params = {"test_fraction": 0.5, "split": "shared", "seed": 3}
    chosen = split(params, 100, None, (), 0)[1]
    assert chosen.tolist() != sorted(np.random.RandomState(3).permutation(100)[:50].tolist())


@pytest.mark.parametrize("name", ["wine", "diabetes", "moons"])
def test_standardised_by_the_training_part_alone(spec_of: SpecOf, name: str) -> None:
    from sklearn.preprocessing import StandardScaler

    plain = Problem.of(spec_with(spec_of, name, test_fraction=0.3))
    scaled = Problem.of(spec_with(spec_of, name, test_fraction=0.3, standardize=True))
    pairs = [(plain.inputs, plain.test_inputs, scaled.inputs, scaled.test_inputs)]
    if name == "diabetes":
        pairs.append((plain.targets, plain.test_targets, scaled.targets, scaled.test_targets))
    else:
        np.testing.assert_array_equal(plain.targets, scaled.targets)
    for train, test, train_scaled, test_scaled in pairs:
        scaler = StandardScaler().fit(train)
        # roundings of 1e-16 on numbers of up to 10 deviations
        np.testing.assert_allclose(train_scaled, scaler.transform(train), rtol=0, atol=1e-13)
        np.testing.assert_allclose(test_scaled, scaler.transform(test), rtol=0, atol=1e-13)


@pytest.mark.parametrize("labelled", [True, False])
def test_nothing_of_the_test_rows_reaches_the_training_part(labelled: bool) -> None:
    """Other numbers in the test rows leave every number of the training part as it is, to the last bit."""
    random = np.random.default_rng(1)
    inputs, targets = random.normal(size=(40, 3)), random.normal(size=(40, 2))
    labels = np.arange(40) % 4 if labelled else None
    params = {"test_fraction": 0.25, "split": "shared", "seed": 0, "standardize": True}
    train, test = split(params, 40, labels, (10,) * 4 if labelled else (), 0)
    spoiled, wrong = inputs.copy(), targets.copy()
    spoiled[test], wrong[test] = 1e6, -1e6
    before, after = (parts(params, x, y, labels, 4, 0) for x, y in ((inputs, targets), (spoiled, wrong)))
    np.testing.assert_array_equal(before.inputs, after.inputs)
    np.testing.assert_array_equal(before.targets, after.targets)
    assert not np.array_equal(before.test_inputs, after.test_inputs)
    assert len(train) == len(before.inputs) == 30


def test_a_constant_column_is_only_shifted() -> None:
    train, test = standardized(np.array([[0.1], [0.1], [0.1]]), np.array([[0.1], [2.1]]))
    assert train.tolist() == [[0.0], [0.0], [0.0]]
    assert test.tolist() == [[0.0], [2.0]]


FAULTS = [
    (("iris", {"test_fraction": 0.01}, "cross_entropy"), "must leave every class a row in the test part"),
    (("iris", {"test_fraction": 0.99}, "cross_entropy"), "must leave every class a row in the training part"),
    (("parity", {"bits": 1, "test_fraction": 0.5}, "bce"), "needs two rows or more of every class"),
    (("iris", {}, "bce"), r"loss.name must be cross_entropy with data=iris of 3 classes.* try loss=cross_entropy"),
    (("blobs", {}, "hinge"), "loss.name must be cross_entropy with data=blobs of 3 classes"),
    (("wine", {}, "mse"), "loss.name must be cross_entropy with data=wine of 3 classes"),
    (("sine", {}, "bce"), "loss.name must be mse or huber with data=sine, whose target is a number"),
    (("iris", {"seed": 1}, "cross_entropy"), "data.seed must be 0 where nothing is drawn"),
    (("iris", {"split": "per_network"}, "cross_entropy"), "data.split must be shared without data.test_fraction"),
    (("iris", {"test_fraction": 1.0}, "cross_entropy"), "data.test_fraction must be a finite number"),
    (("spirals", {"rows": 3, "classes": 4}, "cross_entropy"), "data.rows must be at least data.classes"),
    (("xor", {"test_fraction": 0.5}, "bce"), "data.test_fraction is not a known key"),
]


@pytest.mark.parametrize(("case", "message"), FAULTS, ids=[message[:40] for _, message in FAULTS])
def test_what_does_not_fit_is_one_line(spec_of: SpecOf, case: tuple[str, dict[str, object], str], message: str) -> None:
    name, params, loss = case
    with pytest.raises(SpecError, match=message) as error:
        checked(spec_of(loss=loss, data={"name": name, **params}))
    assert len(error.value.faults) == 1


def test_whole_classes_and_outputs_follow_from_loss_and_data(spec_of: SpecOf) -> None:
    assert architecture(spec_with(spec_of, "digits")).outputs == 10
    assert architecture(checked(spec_of(loss="bce", data={"name": "moons"}))).outputs == 1
    assert architecture(spec_with(spec_of, "diabetes")).outputs == 1
    assert parts_of(spec_with(spec_of, "abs").data, "huber").targets.shape == (100, 1)
