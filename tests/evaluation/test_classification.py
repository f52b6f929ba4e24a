"""Measures of class probabilities, against values worked out by hand and plain loops."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfssvae import evaluation, models, runs
from tfssvae.checks import InputError
from tfssvae.regularizers import MIER, MeanTeacher

PROBS = np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.7, 0.2]], np.float32)
LABELS = np.array([0, 1, 2, 1])


def test_the_teacher_is_judged_by_its_own_predictions(digits):
    taught = [MIER(), MeanTeacher()]
    model = models.METHODS["m2"](digits.input_shape, 10, 2, hidden=(8,), regularizers=taught)
    teacher = model.regularizers[1].teacher
    teacher.set_weights([-2 * value for value in teacher.get_weights()])
    x, y = digits.x_test[:50], digits.y_test[:50].copy()
    y[:5] = -1
    wrong = teacher.predict(x, verbose=0).argmax(1)[5:] != y[5:]
    report = evaluation.teacher_report(model, x, y)
    assert report == {
        "teacher_accuracy": pytest.approx(1 - wrong.mean()),
        "teacher_error": pytest.approx(wrong.mean()),
    }
    students = evaluation.error_rate(model.predict(x, verbose=0), y)
    assert students != pytest.approx(report["teacher_error"])
    model.compile(run_eagerly=True)
    measured = runs.measure(model, digits)
    assert measured["teacher_error"] == evaluation.error_rate(
        teacher.predict(digits.x_test, verbose=0), digits.y_test
    )
    assert measured["error"] != pytest.approx(measured["teacher_error"])
    model = models.METHODS["m2"](digits.input_shape, 10, 2, hidden=(8,), regularizers=taught[:1])
    assert evaluation.teacher_report(model, x, y) == {}


def calibration_error_by_loop(probs, labels, bins):
    total = 0.0
    confidence, correct = probs.max(1).astype("float64"), probs.argmax(1) == labels
    for index in range(bins):
        rows = (confidence > index / bins) & (confidence <= (index + 1) / bins)
        if rows.any():
            total += rows.mean() * abs(correct[rows].mean() - confidence[rows].mean())
    return total


@pytest.mark.parametrize("bins", [1, 7, 15, 100])
def test_calibration_error_is_that_of_a_loop_over_bins(bins):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(5, 0.5), 500).astype("float32")
    labels = rng.integers(0, 5, 500)
    error = evaluation.expected_calibration_error(probs, labels, bins)
    assert error.dtype == tf.float32
    assert error.shape == ()
    assert float(error) == pytest.approx(calibration_error_by_loop(probs, labels, bins), abs=1e-6)


def test_calibration_error_has_fifteen_bins_and_takes_tensors():
    # 0.64 and 0.70 are in bins 10 and 11 of 15, but in one bin of 10 or of 5.
    probs = tf.constant([[0.64, 0.36], [0.70, 0.30]])
    error = evaluation.expected_calibration_error(probs, tf.constant([0, 1]))
    assert float(error) == pytest.approx((0.36 + 0.70) / 2, abs=1e-6)


def test_a_confidence_on_a_boundary_belongs_to_the_bin_below():
    # 3/5 closes bin 3 of 5, so the two rows are apart; in one bin their gaps would cancel.
    probs = np.array([[0.6, 0.4], [0.7, 0.3]], np.float32)
    error = evaluation.expected_calibration_error(probs, [0, 1], bins=5)
    assert float(error) == pytest.approx((0.4 + 0.7) / 2, abs=1e-6)


@pytest.mark.parametrize(("labels", "expected"), [([0, 1], 0.0), ([1, 0], 1.0)])
def test_calibration_error_of_certainty(labels, expected):
    assert float(evaluation.expected_calibration_error(np.eye(2), labels)) == expected


def test_confusion_matrix_has_true_classes_in_rows():
    expected = [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    from_probs = evaluation.confusion_matrix(LABELS, PROBS, 3)
    assert from_probs.tolist() == expected
    from_predictions = evaluation.confusion_matrix(LABELS, PROBS.argmax(1), 3)
    assert from_predictions.tolist() == expected


def test_error_and_log_loss():
    assert evaluation.error_rate(PROBS, LABELS) == 0.25
    expected = -np.mean(np.log([0.9, 0.3, 0.6, 0.7]))
    assert evaluation.negative_log_likelihood(PROBS, LABELS) == pytest.approx(expected, abs=1e-6)


def test_log_loss_of_an_impossible_class_is_finite():
    loss = evaluation.negative_log_likelihood([[1.0, 0.0]], [1])
    assert loss == pytest.approx(126 * np.log(2), abs=1e-4)


def test_report():
    report = evaluation.classification_report(PROBS, LABELS, ["a", "b", "c"])
    assert json.loads(json.dumps(report)) == report
    assert report["accuracy"] == 0.75
    assert report["error"] == 0.25
    assert report["count"] == 4
    assert report["recall"] == {"a": 1.0, "b": 0.5, "c": 1.0}
    assert report["counts"] == {"a": 1, "b": 2, "c": 1}
    assert report["log_loss"] == evaluation.negative_log_likelihood(PROBS, LABELS)
    error = evaluation.expected_calibration_error(PROBS, LABELS)
    assert report["expected_calibration_error"] == float(error)


def test_recall_of_a_class_without_examples_is_zero_not_nan():
    report = evaluation.classification_report(PROBS[:1], [0], ["a", "b", "c"])
    assert report["recall"] == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert report["counts"] == {"a": 1, "b": 0, "c": 0}


def test_unlabelled_examples_do_not_count():
    probs, labels = np.concatenate([PROBS, PROBS]), np.concatenate([LABELS, [-1] * 4])
    names = ["a", "b", "c"]
    assert evaluation.classification_report(probs, labels, names) == (
        evaluation.classification_report(PROBS, LABELS, names)
    )
    predictions = probs.argmax(1)
    assert evaluation.confusion_matrix(labels, predictions, 3).sum() == 4


@pytest.mark.parametrize(
    ("probs", "labels", "message"),
    [
        (
            [[2.0, -1.0]],
            [0],
            "row 0 has values from -1 to 2 with sum 1: divide",
        ),
        ([[0.5, 0.5], [3.0, 1.0]], [0, 1], "row 1 .* sum 4"),
        ([[np.nan, 1.0]], [0], "row 0 has values from nan"),
        ([0.5, 0.5], [0, 1], r"shape \(n, K\), got \(2,\)"),
        ([[0.5, 0.5]], [2], "labels must be in -1..1"),
        ([[0.5, 0.5]], [0, 1], "same length, got 1 and 2"),
        ([[0.5, 0.5]], [-1], "labels are all -1"),
    ],
)
def test_bad_input_is_refused(probs, labels, message):
    for measure in (
        evaluation.expected_calibration_error,
        evaluation.error_rate,
        evaluation.negative_log_likelihood,
    ):
        with pytest.raises(InputError, match=message):
            measure(np.array(probs), np.array(labels))


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="bins must be at least 1, got 0"):
        evaluation.expected_calibration_error(PROBS, LABELS, bins=0)
    with pytest.raises(InputError, match=r"3 different names, one per column of probs, got 3 \(2"):
        evaluation.classification_report(PROBS, LABELS, ["a", "b", "b"])
    with pytest.raises(InputError, match=r"predictions .*must be in 0\.\.1"):
        evaluation.confusion_matrix([0, 1], [0, 2], 2)
    with pytest.raises(InputError, match="labels and predictions must have the same length"):
        evaluation.confusion_matrix([0, 1], [0], 2)
