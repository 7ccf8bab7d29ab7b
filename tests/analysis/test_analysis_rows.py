"""What networks say of rows: the confusion matrix against scikit-learn, and the rows that most get wrong."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from nnspec.analysis.figures.rows import NO_ANSWER, RowOutcomes, classes_said, confusion_info, wrong_rows


def outcomes(said, wanted, names=("red", "green", "blue")):
    return RowOutcomes("test", wanted, said, said != wanted, names)


def test_the_confusion_matrix_is_scikit_learns():
    rng = np.random.default_rng(0)
    said, wanted = rng.integers(0, 3, (5, 40)), rng.integers(0, 3, 40)
    found = confusion_info(outcomes(said, wanted)).shares
    oracle = confusion_matrix(np.tile(wanted, 5), said.ravel(), normalize="true")
    np.testing.assert_allclose(found, oracle, rtol=1e-15)  # the same divisions of whole numbers


def test_networks_without_an_answer_have_a_column():
    found = confusion_info(outcomes(np.array([[0, NO_ANSWER], [0, 1]]), np.array([0, 1]))).shares
    assert found[:2].tolist() == [[1, 0, 0, 0], [0, 0.5, 0, 0.5]]
    assert np.isnan(found[2]).all()  # no row is blue


@pytest.mark.parametrize("middle", [0.5, 0.0])
def test_one_output_says_two_classes(middle):
    outputs = np.array([[[middle + 0.1], [middle - 0.1], [np.nan]]])
    assert classes_said(outputs, middle).tolist() == [[1, 0, NO_ANSWER]]


def test_the_largest_output_is_the_class():
    assert classes_said(np.array([[[0.1, 0.7, 0.2], [0.5, np.inf, 0]]])).tolist() == [[1, NO_ANSWER]]


def test_rows_that_most_get_wrong():
    said = np.array([[0, 1, 2], [0, 2, 1], [0, 2, 2], [1, 0, NO_ANSWER]])
    found = wrong_rows(outcomes(said, np.array([0, 0, 2])))
    assert found.to_dict("records") == [
        {"part": "test", "row": 1, "class": "red", "wrong": "75%", "they say": "blue (67%), green (33%)"},
        {"part": "test", "row": 2, "class": "blue", "wrong": "50%", "they say": "no number (50%), green (50%)"},
    ]


def test_rows_of_a_regression():
    said = np.array([[0.5], [0.7], [np.nan]])
    found = wrong_rows(RowOutcomes("training", np.array([2.0]), said, np.full((3, 1), True), rows=np.array([7])))
    assert found.iloc[0].tolist() == ["training", 7, "2", "100%", "0.7 (median)"]
