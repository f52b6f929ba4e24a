"""class_weight: what is refused, and the weights of rows against values by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.class_weights import checked_class_weight, weighted_batches, weights_of_rows

WEIGHTS = np.array([1.0, 2.5, 0.0], np.float32)
Y = np.array([2, -1, 1, 0, 1, -1])
EXPECTED = [0.0, 1.0, 2.5, 1.0, 2.5, 1.0]
OWN = np.array([4.0, 3.0, 2.0, 0.5, 0.0, 0.0], np.float32)
EXPECTED_WITH_OWN = [0.0, 3.0, 5.0, 0.5, 0.0, 0.0]
ONE_HOT = np.where(Y[:, None] == np.arange(3), 1, 0)  # without a 1 where there is no label


@pytest.mark.parametrize(
    "given",
    [{0: 1, 1: 2.5, 2: 0}, {2: np.float32(0), 1: 2.5, np.int64(0): np.int32(1)}],
)
def test_weights_stand_in_the_order_of_the_classes(given):
    found = checked_class_weight(given, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, WEIGHTS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: 1.0, 2: 1.0}, r"no weight for 1 of the classes 0\.\.2: give each class one"),
        ({}, r"no weight for 0, 1, 2 of the classes"),
        ({0: 1, 1: 1, 2: 1, 3: 1}, r"a weight for 3, and the classes of the model are 0\.\.2: "),
        ({-1: 0, 0: 1, 1: 1, 2: 1}, r"a weight for -1, .* \(rows of -1 have no label"),
        ({0: 1, 1: -2.0, 2: 1}, r"class 1 is -2\.0: a weight is a finite number, 0 or more"),
        ({0: 1, 1: np.nan, 2: 1}, r"class 1 is nan"),
        ({0: np.inf, 1: 1, 2: 1}, r"class 0 is inf"),
        ({0: 1, 1: "2", 2: 1}, r"class 1 is '2'"),
        ({0: 1, 1: True, 2: 1}, r"class 1 is True"),
        ({0: 0, 1: 0, 2: 0}, r"0 for every class"),
        ({"0": 1, "1": 1, "2": 1}, r"the key '0', and its keys are the classes as whole numbers"),
        ({0.0: 1, 1.0: 1, 2.0: 1}, r"the key 0\.0"),
        ({False: 1, True: 1, 2: 1}, r"the key False"),
        ([1, 1, 1], r"dict of class -> weight, got \[1, 1, 1\]: write dict\(enumerate\(weights\)"),
        ("balanced", r"dict of class -> weight, got 'balanced': .*compute_class_weight"),
    ],
)
def test_what_is_no_weight_of_every_class_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        checked_class_weight(given, 3)


@pytest.mark.parametrize("y", [Y, Y[:, None], Y.astype("float32"), Y.tolist()])
def test_rows_weigh_what_their_class_weighs_and_unlabelled_rows_1(y):
    found = weights_of_rows(y, WEIGHTS)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, EXPECTED)
    np.testing.assert_array_equal(weights_of_rows(y, WEIGHTS, OWN), EXPECTED_WITH_OWN)
    np.testing.assert_array_equal(weights_of_rows(y, WEIGHTS, OWN[:, None]), EXPECTED_WITH_OWN)


def test_one_hot_rows_weigh_what_their_class_weighs():
    np.testing.assert_array_equal(weights_of_rows(np.eye(3)[[1, 0]], WEIGHTS), [2.5, 1.0])


@pytest.mark.parametrize(
    ("y", "own", "message"),
    [
        ([0, 3], None, r"labels 3, first at y\[1\]"),
        ([0, 1], [1.0], "y and sample_weight must have the same length, got 2 and 1"),
        ([0, 1], np.ones((2, 2)), r"one number per example, \(n,\), got \(2, 2\)"),
        ([0, 1], np.ma.array([1.0, 2.0], mask=[0, 1]), r"sample_weight has 1 masked value"),
    ],
)
def test_rows_that_do_not_fit_are_refused(y, own, message):
    with pytest.raises(InputError, match=message):
        weights_of_rows(y, WEIGHTS, own)


X = np.arange(6.0)[:, None]
FORMS = {
    "labels": Y,
    "column": Y[:, None],
    "float": Y.astype("float32"),
    "uint8 where all are labelled": None,
    "one-hot": ONE_HOT,
    "one-hot bool": ONE_HOT.astype(bool),
}


@pytest.mark.parametrize("own", [None, OWN, OWN[:, None]], ids=["", "own", "own column"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("drop_remainder", [True, False])
@pytest.mark.parametrize("as_dict", [True, False])
def test_batches_weigh_as_rows_do(form, own, drop_remainder, as_dict):
    y, expected = FORMS[form], EXPECTED if own is None else EXPECTED_WITH_OWN
    x = {"labelled": X, "unlabelled": X + 1} if as_dict else X
    if y is None:
        y = np.array([2, 2, 1, 0, 1, 0], np.uint8)
        expected = WEIGHTS[y] * (1 if own is None else OWN)
    parts = (x, y) if own is None else (x, y, own)
    batches = tf.data.Dataset.from_tensor_slices(parts).batch(3, drop_remainder)
    found = list(weighted_batches(batches, WEIGHTS))
    for before, after in zip(batches, found, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, after[:2], before[:2])
    weights = np.concatenate([w for _, _, w in found])
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, expected)


def test_batches_of_data_keep_their_rows():
    from tfssvae.data import from_arrays

    data = from_arrays(np.linspace(0, 1, 30)[:, None].repeat(2, 1), np.arange(30) % 3 - 1, seed=0)
    batches = data.train(labelled=4, unlabelled=5)
    weighted = weighted_batches(batches, np.array([1.0, 3.0], np.float32))
    for x, y, w in weighted.take(3):
        assert set(x) >= {"labelled", "unlabelled"}
        np.testing.assert_array_equal(w, np.array([1.0, 3.0])[y])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (X, r"need.* \(x, y\) .*: leave class_weight out"),
        ((X,), "these have no labels"),
        ({"unlabelled": X}, "these have no labels"),
        ((X, Y.astype(str)), "one tensor of numbers"),
        ((X, {"a": Y}), "one tensor of numbers"),
    ],
)
def test_batches_without_labels_are_refused(batches, message):
    dataset = tf.data.Dataset.from_tensor_slices(batches).batch(3)
    with pytest.raises(InputError, match=message):
        weighted_batches(dataset, WEIGHTS)


@pytest.mark.parametrize("known", [True, False])
def test_one_weight_for_many_rows_is_not_spread_over_them(known):
    parts = tf.data.Dataset.from_tensors((X, Y, OWN[:1]))
    if not known:
        parts = parts.map(lambda x, y, w: (x, y, tf.boolean_mask(w, w > 0)))
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match="the same length"):
        list(weighted_batches(parts, WEIGHTS))


def test_labels_beyond_the_classes_reach_the_model_which_refuses_them():
    batches = tf.data.Dataset.from_tensors((X[:2], np.array([7, -3])))
    ((_, y, w),) = weighted_batches(batches, WEIGHTS)
    np.testing.assert_array_equal(y, [7, -3])
    np.testing.assert_array_equal(w, [WEIGHTS[2], 1.0])
