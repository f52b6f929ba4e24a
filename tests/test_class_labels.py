"""Labels of users as class indices, and labels without rows in the scikit-learn estimator."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_iris

from tfssvae import InputError, SSVAEClassifier, classifier
from tfssvae.class_labels import encode_labels, labels_of, named_labels


@pytest.mark.parametrize(
    ("y", "further", "indices", "classes", "coded"),
    [
        ([3, -1, 1], None, [1, -1, 0], [1, 3], []),
        ([3, -1, 1], [2, 7, 2], [2, -1, 0], [1, 2, 3, 7], [1, 3, 1]),
        ([5, -1], [1], [1, -1], [1, 5], [0]),
        (["b", "a"], ["c", "a"], [1, 0], ["a", "b", "c"], [2, 0]),
        (np.array(["b", -1, "a"], object), ["c"], [1, -1, 0], ["a", "b", "c"], [2]),
    ],
)
def test_classes_are_those_of_rows_and_of_labels_without_rows(y, further, indices, classes, coded):
    further = None if further is None else np.asarray(further)
    found = encode_labels(labels_of(y), further)
    for part, expected in zip(found, (indices, classes, coded), strict=True):
        assert part.tolist() == expected


@pytest.mark.parametrize(
    ("y", "further", "message"),
    [
        ([-1, -1], [1, 2], "no labels"),
        ([1, 1, -1], [1], "one class"),
        ([1, 2], ["a"], "either text or numbers"),
    ],
)
def test_what_cannot_be_encoded_is_refused(y, further, message):
    with pytest.raises(InputError, match=message):
        encode_labels(labels_of(y), np.asarray(further))


def test_labels_without_rows_are_told_from_the_other_forms():
    for form in (None, "classes", np.eye(3)):
        assert named_labels(form) is None
    assert named_labels([2, 0]).tolist() == [2, 0]
    with pytest.raises(InputError, match="unfeatured has a -1"):
        named_labels([2, -1])
    with pytest.raises(InputError, match="unfeatured has a '' or a missing label"):
        named_labels(["a", ""], unlabelled="")
    with pytest.raises(InputError, match="unfeatured has a missing label"):
        named_labels(["a", None], unlabelled=None)
    assert named_labels([-1, 1], unlabelled=0).tolist() == [-1, 1]


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return x, np.where(np.arange(len(y)) % 5 == 0, y, -1)


def untapped(**arguments):
    settings = {"epochs": 2, "hidden": (8,), "learning_rate": 1e-2, "random_state": 0}
    return SSVAEClassifier("untapped", **{**settings, "unlabelled_batch": 60, **arguments})


@pytest.mark.parametrize("form", ["classes", [0, 1, 2], np.eye(3)])
def test_every_form_of_labels_without_rows_reaches_training(iris, monkeypatch, form):
    seen = {}

    def record(model, data, **arguments):
        seen.update(arguments, labels=data.unfeatured)
        return keras.callbacks.History()

    monkeypatch.setattr(classifier, "train", record)
    untapped(unfeatured_batch=6).fit(*iris, unfeatured=form)
    np.testing.assert_array_equal(seen["labels"], np.eye(3))
    assert seen["unfeatured"] == 6
    untapped(unfeatured_batch=6).fit(*iris)
    assert seen["labels"] is None
    assert seen["unfeatured"] == 0


NAMES = np.array(["setosa", "versicolor", "virginica"], dtype=object)


@pytest.fixture(scope="module")
def fitted(iris):
    """Trained on rows of two of three classes, and on all three labels."""
    x, y = iris
    labels = np.where((y >= 0) & (y < 2), NAMES[y], -1)
    return untapped().fit(x, labels, unfeatured=NAMES), labels


def test_a_class_may_have_no_row(iris, fitted):
    estimator, _ = fitted
    assert estimator.classes_.tolist() == NAMES.tolist()
    assert estimator.predict_proba(iris[0]).shape == (150, 3)
    assert estimator.sample(["virginica"], random_state=0).shape == (1, 4)
    assert estimator.history_["unfeatured_label"][0] > 0


def test_weights_and_labels_without_rows_go_together(iris, fitted):
    estimator, labels = fitted
    weighted = untapped().fit(iris[0], labels, np.ones(len(labels)), unfeatured=NAMES)
    for term in ("loss", "unfeatured_label"):
        np.testing.assert_allclose(weighted.history_[term], estimator.history_[term], 1e-4)


@pytest.mark.parametrize(
    ("method", "arguments", "unfeatured", "message"),
    [
        ("m2", {}, "classes", 'learns nothing from labels without rows: .*="untapped"'),
        ("untapped", {}, "clases", "did you mean"),
        ("untapped", {}, np.eye(4), "unfeatured"),
        ("untapped", {"unfeatured_batch": 0}, "classes", "unfeatured_batch"),
    ],
)
def test_bad_labels_without_rows_are_refused(iris, method, arguments, unfeatured, message):
    estimator = untapped(**arguments).set_params(method=method)
    with pytest.raises(InputError, match=message):
        estimator.fit(*iris, unfeatured=unfeatured)
