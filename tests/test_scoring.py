"""Rows without a label in scikit-learn's tools: no score counts them, every fold has labels."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, make_scorer, recall_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.small_classifier import few_labels, quick
from tfssvae import InputError, SSVAEClassifier, labelled_scorer
from tfssvae.class_labels import encode_labels, labels_of

NAMES = np.array(["barolo", "grignolino", "barbera"], dtype=object)
FORMS = {
    "-1": np.array([1, -1, 0, 1]),
    "NaN": np.array([1, np.nan, 0, 1]),
    "None": np.array([1, None, 0, 1], object),
    "list": [1, None, 0, 1],
    "masked": np.ma.array([1, 7, 0, 1], mask=[0, 1, 0, 0]),
    "Int64": pd.Series([1, None, 0, 1], dtype="Int64"),
    "polars": pl.Series([1, None, 0, 1]),
    "text and -1": np.array(["b", -1, "a", "b"], object),
    "list of text and -1": ["b", -1, "a", "b"],
    "list of text and NaN": ["b", float("nan"), "a", "b"],
    "text and None": ["b", None, "a", "b"],
    "string": pd.Series(["b", None, "a", "b"], dtype="string"),
    "category": pd.Series(["b", None, "a", "b"], dtype="category"),
    "polars text": pl.Series(["b", None, "a", "b"]),
}


@pytest.fixture(scope="module")
def wine():
    x, y = load_wine(return_X_y=True)
    return x, y, few_labels(y, per_class=8)


@pytest.mark.parametrize("form", FORMS)
def test_every_mark_of_an_unlabelled_row_is_left_out(form):
    values, known = labels_of(FORMS[form])
    assert known.tolist() == [True, False, True, True]
    assert values[known].tolist() in ([1, 0, 1], ["b", "a", "b"])
    x = np.zeros((4, 1))
    constant = DummyClassifier(strategy="constant", constant=[values[0]]).fit(x[:3], values[known])
    assert labelled_scorer("accuracy")(constant, x, FORMS[form]) == pytest.approx(2 / 3)
    weights = np.array([1.0, 100.0, 3.0, 1.0])
    assert labelled_scorer("accuracy")(constant, x, FORMS[form], weights) == pytest.approx(2 / 5)


@pytest.mark.parametrize("form", FORMS)
def test_every_mark_of_an_unlabelled_row_is_no_class(form):
    indices, classes, _ = encode_labels(labels_of(FORMS[form]))
    assert indices.tolist() == [1, -1, 0, 1]
    assert classes.tolist() in ([0, 1], ["a", "b"])


@pytest.fixture(scope="module")
def of_few_rows():
    x = np.random.default_rng(0).random((12, 3)).astype("float32")
    return x, quick(epochs=2).fit(x, np.tile([1, -1, 0, 1], 3))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_labels_train_the_model_that_minus_one_does(of_few_rows, missing):
    x, plain = of_few_rows
    y = np.array([1, missing, 0, 1] * 3, object)
    fitted = quick(epochs=2).fit(x, y)
    np.testing.assert_array_equal(fitted.predict_proba(x), plain.predict_proba(x))
    assert fitted.score(x, y) == plain.score(x, np.tile([1, -1, 0, 1], 3))


@pytest.mark.parametrize(
    ("unlabelled", "y", "known"),
    [
        ("", ["b", "", "a"], [True, False, True]),
        ("?", ["b", "?", None], [True, False, False]),
        ("-1", ["b", "-1", "a"], [True, False, True]),
        ("nan", ["b", "nan", "a"], [True, False, True]),
        (0, [1, 0, -1], [True, False, True]),
        (None, [1, -1, np.nan], [True, True, False]),
        (255, np.array([1, 255, 0], np.uint8), [True, False, True]),
    ],
)
def test_the_mark_is_an_argument(unlabelled, y, known):
    assert labels_of(y, unlabelled).known.tolist() == known


@pytest.mark.parametrize(
    ("unlabelled", "y", "message"),
    [
        (-1, ["b", "", "a"], 'the text "", .*unlabelled=""'),
        (-1, np.array(["b", np.nan, "a"]), 'the text "nan", .*unlabelled="nan"'),
        (-1, np.array(["b", -1, "a"]), 'the text "-1"'),
        (-1, pd.Series(["b", None], dtype="string").astype(object).map(str), 'the text "<NA>"'),
        (-1, np.array([0, -1, 1]).astype(np.uint8), "label 255 in 1 of 3 rows"),
        ("", [0, -1, 1], "y has numbers, and unlabelled='' is text"),
        ([], [0, -1, 1], r"unlabelled must be a number, a text or None, got \[\]"),
    ],
)
def test_marks_that_would_be_taken_for_classes_are_refused(unlabelled, y, message):
    with pytest.raises(InputError, match=message):
        labels_of(y, unlabelled)
    with pytest.raises(InputError, match=message):
        quick(unlabelled=unlabelled).fit(np.eye(len(y)), y)


def test_minus_one_may_be_a_class():
    x = np.linspace(0, 1, 24).reshape(12, 2)
    estimator = quick(epochs=1, unlabelled=0).fit(x, np.tile([-1, 1, 0], 4))
    assert estimator.classes_.tolist() == [-1, 1]


def test_masked_features_and_weights_are_refused():
    x, y = np.linspace(0, 1, 8).reshape(4, 2), [0, 1, 0, 1]
    with pytest.raises(InputError, match="X has 1 masked value"):
        quick().fit(np.ma.array(x, mask=x > 0.9), y)
    weights = np.ma.array(np.ones(4), mask=[1, 0, 0, 0])
    with pytest.raises(InputError, match="sample_weight has 1 masked value"):
        quick().fit(x, y, sample_weight=weights)
    fitted = quick(epochs=1).fit(x, y)
    with pytest.raises(InputError, match="X has 1 masked value"):
        fitted.predict(np.ma.array(x, mask=x > 0.9))
    with pytest.raises(InputError, match="sample_weight has 1 masked value"):
        fitted.score(x, y, weights)


def test_text_is_cross_validated_with_a_mark_that_sorts(wine):
    x, _, few = wine
    text = np.where(few >= 0, NAMES[few], "")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick(epochs=10, unlabelled="")),
        {"ssvaeclassifier__latent_dim": [2]},
        cv=2,
    )
    search.fit(x, text)
    assert search.classes_.tolist() == sorted(NAMES)
    # The same labels as numbers that sort as the text does.
    numbers = np.where(few >= 0, np.argsort(np.argsort(NAMES))[few], -1)
    expected = cross_val_score(make_pipeline(StandardScaler(), quick(epochs=10)), x, numbers, cv=2)
    found = [search.cv_results_[f"split{fold}_test_score"][0] for fold in range(2)]
    np.testing.assert_array_equal(found, expected)
    assert search.best_score_ > 0.4  # of rows without a label, none is right


def test_scores_of_folds_are_those_of_their_labelled_rows(wine):
    x, _, few = wine
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    folds = list(StratifiedKFold(4).split(x, few))
    # Each fold has its share of the labelled rows: -1 is one of the classes it is stratified by.
    for _, test in folds:
        assert np.unique(few[test], return_counts=True)[1][1:].tolist() == [2, 2, 2]
    scoring = {
        "accuracy": labelled_scorer("accuracy"),
        "recall": labelled_scorer(make_scorer(recall_score, average="macro")),
        "loss": labelled_scorer("neg_log_loss"),
    }

    class OfLabelledRows(LogisticRegression):
        def fit(self, X, y):
            return super().fit(X[y >= 0], y[y >= 0])

    estimator = make_pipeline(StandardScaler(), OfLabelledRows())
    found = cross_validate(estimator, x, few, cv=folds, scoring=scoring, return_estimator=True)
    for (_, test), fitted, *values in zip(
        folds, found["estimator"], *(found[f"test_{name}"] for name in scoring), strict=True
    ):
        rows = test[few[test] >= 0]
        right = fitted.predict(x[rows]) == few[rows]
        probabilities = fitted.predict_proba(x[rows])[np.arange(len(rows)), few[rows]]
        of_class = [right[few[rows] == k].mean() for k in range(3)]
        expected = [right.mean(), np.mean(of_class), np.log(probabilities).mean()]
        np.testing.assert_allclose(values, expected)
    # What the scorer is for: scikit-learn's own counts rows without a label as wrong.
    assert cross_val_score(estimator, x, few, cv=folds, scoring="accuracy").max() < 0.2
    assert found["test_accuracy"].min() > 0.8


def test_the_estimators_own_score_is_that_of_the_scorer(wine):
    x, _, few = wine
    fitted = quick(epochs=10).fit(x, few)
    assert labelled_scorer("accuracy")(fitted, x, few) == fitted.score(x, few)
    known = few >= 0
    assert fitted.score(x, few) == get_scorer("accuracy")(fitted, x[known], few[known])
    frame = pd.DataFrame(x)
    assert labelled_scorer("f1_macro")(fitted, frame, few) == get_scorer("f1_macro")(
        fitted, frame[known], few[known]
    )


def test_a_scorer_goes_to_other_processes(wine):
    x, _, few = wine
    fitted = quick(epochs=2).fit(x, few)
    scorer = labelled_scorer("balanced_accuracy", unlabelled=-1)
    again = pickle.loads(pickle.dumps(scorer))
    assert again(fitted, x, few) == scorer(fitted, x, few)
    assert repr(again) == "labelled_scorer('balanced_accuracy', unlabelled=-1)"


def test_missing_labels_are_cross_validated_where_the_folds_do_not_sort_them(wine):
    x, _, few = wine
    missing = np.where(few >= 0, NAMES[few], None)
    with pytest.raises(TypeError, match="'<' not supported"):  # scikit-learn's own
        cross_val_score(quick(epochs=2), x, missing, cv=2)
    folds = KFold(2, shuffle=True, random_state=0)
    found = cross_validate(quick(epochs=2), x, missing, cv=folds, return_estimator=True)
    for (_, test), fitted, score in zip(
        folds.split(x), found["estimator"], found["test_score"], strict=True
    ):
        rows = test[few[test] >= 0]
        assert score == pytest.approx(np.mean(fitted.predict(x[rows]) == NAMES[few[rows]]))


@pytest.mark.parametrize(
    ("scoring", "message"),
    [("accurcy", 'unknown scoring "accurcy": did you mean "accuracy"'), (None, "a name or a scor")],
)
def test_an_unknown_score_is_refused(scoring, message):
    with pytest.raises(InputError, match=message):
        labelled_scorer(scoring)


def test_a_score_without_a_label_is_refused():
    x, y = np.linspace(0, 1, 8).reshape(4, 2), [0, 1, 0, 1]
    fitted = SSVAEClassifier(epochs=1, hidden=(4,), latent_dim=1, random_state=0).fit(x, y)
    for score in (fitted.score, lambda *args: labelled_scorer("accuracy")(fitted, *args)):
        with pytest.raises(InputError, match=r"y has no labels \(all are -1 or missing\)"):
            score(x, [-1, None, np.nan, -1])
