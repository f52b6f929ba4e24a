"""What a model makes of the training images whose labels it did not see."""

import numpy as np
import scipy.special
from numpy.typing import NDArray

from tfssvae.checks import InputError, check_labels, check_probabilities, check_same_length

_UNKNOWN = "no hidden label is known: the data have labels for the shown rows only"


def hidden_label_divergence(probs, labels, epsilon: float = 0.001):
    """Return KL(q(y|x) || p^(y|x)) of each image, p^ its hidden label smoothed (SHOT-VAE, fig. 4).

    Epsilon bounds it: an image that the model is sure to be of another class has
    log((K - 1) / epsilon).

    Args:
        probs: (n, K) predicted class probabilities.
        labels: (n,) hidden classes; rows with -1 (unknown even to the data set) are left out.
        epsilon: of the label smoothing, eq. 9, above 0.

    Returns:
        (m,) nats, one for each row with a known label.

    Raises:
        InputError: no label is known, or epsilon is not in (0, 1).
    """
    classes = check_probabilities(probs, "probs").shape[1]
    probs, labels = np.asarray(probs, "float64"), check_labels(labels, classes, "labels")
    check_same_length(probs, labels, ("probs", "labels"))
    if not 0 < epsilon < 1:
        raise InputError(f"epsilon must be in (0, 1), got {epsilon}")
    known = labels >= 0
    if not known.any():
        raise InputError(_UNKNOWN)
    probs, labels = probs[known], labels[known]
    p_hat = np.full(probs.shape, epsilon / (classes - 1))
    p_hat[np.arange(len(labels)), labels] = 1 - epsilon
    return scipy.special.rel_entr(probs, p_hat).sum(axis=1)


def hidden_label_rows(data, limit: int) -> NDArray[np.int64]:
    """Return unlabelled training rows whose label the source knows, evenly spaced.

    Args:
        data: a `Data`.
        limit: rows at most.

    Raises:
        InputError: no hidden label is known.
    """
    rows = data.unlabelled_indices
    rows = rows[data.hidden_labels[rows] >= 0]
    if not len(rows):
        raise InputError(_UNKNOWN)
    return rows[np.linspace(0, len(rows) - 1, min(limit, len(rows))).astype(int)]


def hidden_label_report(model, data, limit: int = 10_000) -> dict[str, float]:
    """Return what a model makes of unlabelled training images, judged by their hidden labels.

    Args:
        model: a trained method.
        data: a `Data` whose source knows the labels.
        limit: images at most, see `hidden_label_rows`.

    Returns:
        "divergence": mean KL(q(y|x) || p^(y|x)), nats; "error": share of wrong classes.

    Raises:
        InputError: no hidden label is known.
    """
    rows = hidden_label_rows(data, limit)
    labels = data.hidden_labels[rows]
    probs = model.predict(data.x_train[rows], batch_size=500, verbose=0)
    return {
        "divergence": float(hidden_label_divergence(probs, labels).mean()),
        "error": float((probs.argmax(1) != labels).mean()),
    }
