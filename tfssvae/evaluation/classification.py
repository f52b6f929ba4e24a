"""How good class probabilities are: error, log loss, calibration, confusion.

Examples without a label (-1) are left out everywhere.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_labels, check_probabilities, check_same_length

_SMALLEST = float(np.finfo(np.float32).tiny)


class ConfidenceBins(NamedTuple):
    """Examples grouped by the probability of their most probable class.

    Attributes:
        count: (bins,) float32, examples in the bin.
        correct: (bins,) float32, how many of them are classified correctly.
        confidence: (bins,) float32, the sum of their confidences.
    """

    count: tf.Tensor
    correct: tf.Tensor
    confidence: tf.Tensor


def expected_calibration_error(probs, labels, bins: int = 15) -> tf.Tensor:
    """Expected calibration error of the top class (Guo et al., 2017).

    With B_b the examples whose confidence is in ((b - 1) / bins, b / bins]:
    sum_b |B_b| / n * |accuracy(B_b) - mean confidence(B_b)|.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1; -1 where there is none.
        bins: number of bins of equal width.

    Returns:
        A float32 scalar between 0 and 1.

    Raises:
        InputError: probs are not probabilities, labels do not fit them, or bins is below 1.

    >>> float(expected_calibration_error([[0.75, 0.25], [0.75, 0.25]], [0, 1]))
    0.25
    """
    found = confidence_bins(probs, labels, bins)
    # |B| cancels: |B| * |correct / |B| - confidence / |B|| = |correct - confidence|.
    gap = tf.reduce_sum(tf.abs(found.correct - found.confidence))
    return gap / tf.reduce_sum(found.count)


def confidence_bins(probs, labels, bins: int = 15) -> ConfidenceBins:
    """Group examples by confidence into bins of equal width, each closed at its upper end.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1; -1 where there is none.
        bins: number of bins.

    Raises:
        InputError: see `expected_calibration_error`.
    """
    if bins < 1:
        raise InputError(f"bins must be at least 1, got {bins}.")
    probs, labels = _known(probs, labels)
    confidence = probs.max(axis=1)
    correct = (probs.argmax(axis=1) == labels).astype("float64")
    # Boundaries in float32, the precision of the confidences: 0.2 is then in (2/15, 3/15].
    upper = np.linspace(0.0, 1.0, bins + 1).astype("float32")[1:-1]
    index = np.searchsorted(upper, confidence)

    def total(weights: NDArray[Any] | None = None) -> tf.Tensor:
        return tf.constant(np.bincount(index, weights, minlength=bins), tf.float32)

    return ConfidenceBins(total(), total(correct), total(confidence))


def confusion_matrix(
    labels: ArrayLike, probs_or_predictions: ArrayLike, num_classes: int
) -> NDArray[np.int64]:
    """Count how often each class is taken for each other.

    Args:
        labels: (n,) true classes 0..K-1; -1 where there is none.
        probs_or_predictions: (n, K) class probabilities, or (n,) predicted classes.
        num_classes: K.

    Returns:
        (K, K) int64: row is the true class, column the prediction.

    Raises:
        InputError: the two do not fit each other or K.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], num_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    values = np.asanyarray(probs_or_predictions)
    if values.ndim == 2 and values.shape[1] == num_classes:
        values, true = _known(values, labels)
        predicted = values.argmax(axis=1)
    else:
        predicted = check_labels(values, num_classes, "predictions", allow_unlabelled=False)
        true = check_labels(labels, num_classes, "labels")
        check_same_length(true, predicted, ("labels", "predictions"))
        true, predicted = true[true >= 0], predicted[true >= 0]
    pairs = true.astype(np.int64) * num_classes + predicted
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def error_rate(probs, labels) -> float:
    """Fraction of examples whose most probable class is wrong.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1; -1 where there is none.

    Raises:
        InputError: probs are not probabilities, or labels do not fit them.

    >>> error_rate([[0.9, 0.1], [0.8, 0.2]], [0, 1])
    0.5
    """
    probs, labels = _known(probs, labels)
    return float(np.mean(probs.argmax(axis=1) != labels))


def negative_log_likelihood(probs, labels) -> float:
    """Mean of -log q(y|x) over the examples (the log loss), in nats.

    A probability that float32 holds as 0 counts as the smallest normal float32 (87.3 nats), so that
    one example cannot make the mean infinite.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1; -1 where there is none.

    Raises:
        InputError: probs are not probabilities, or labels do not fit them.

    >>> round(negative_log_likelihood([[0.5, 0.5]], [0]), 4)  # log 2
    0.6931
    """
    probs, labels = _known(probs, labels)
    of_label = probs[np.arange(len(labels)), labels].astype("float64")
    return float(-np.mean(np.log(np.maximum(of_label, _SMALLEST))))


def classification_report(probs, labels, class_names: Sequence[str]) -> dict[str, Any]:
    """Everything about the predictions that a run should record, ready for JSON.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1; -1 where there is none.
        class_names: K different names.

    Returns:
        "accuracy", "error", "expected_calibration_error": fractions; "log_loss": nats; "count":
        examples with a label; "recall" and "counts": per class name, the recall and the number of
        examples. The recall of a class without examples is 0.

    Raises:
        InputError: probs are not probabilities, or labels or names do not fit them.
    """
    probs, labels = _known(probs, labels)
    names = [str(name) for name in class_names]
    if len(set(names)) != probs.shape[1]:
        raise InputError(
            f"class_names must be {probs.shape[1]} different names, one per column of probs, got "
            f"{len(names)} ({len(set(names))} different)."
        )
    matrix = confusion_matrix(labels, probs, len(names))
    counts = matrix.sum(axis=1)
    recall = matrix.diagonal() / np.maximum(counts, 1)
    error = error_rate(probs, labels)
    return {
        "accuracy": 1.0 - error,
        "error": error,
        "log_loss": negative_log_likelihood(probs, labels),
        "expected_calibration_error": float(expected_calibration_error(probs, labels)),
        "count": len(labels),
        "recall": dict(zip(names, recall.tolist(), strict=True)),
        "counts": dict(zip(names, counts.tolist(), strict=True)),
    }


def _known(probs, labels) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return probabilities and labels of the examples that have a label."""
    probs = check_probabilities(probs)
    labels = check_labels(labels, probs.shape[1], "labels")
    check_same_length(probs, labels, ("probs", "labels"))
    known = labels >= 0
    if not known.any():
        raise InputError("labels are all -1: without a true class nothing can be measured.")
    return probs[known], labels[known]
