"""Labels of users as class indices: rows without a label are -1, and labels may have no row."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from tfssvae.checks import InputError

_UNLABELLED = -1


def has_label(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each row whether it has a label: (n,).

    Raises:
        InputError: y has the text "-1".
    """
    if y.dtype.kind not in "OUS":
        return y != _UNLABELLED
    labels = y.tolist()
    if "-1" in labels or b"-1" in labels:
        raise InputError(
            'y has the text "-1", but rows without a label are marked by the integer -1: make y '
            "an array of dtype object that holds text and the integer -1"
        )
    return np.array([label != _UNLABELLED for label in labels], bool)


def named_labels(unfeatured: ArrayLike | str | None) -> NDArray[Any] | None:
    """Return labels without rows as (F,), or None where they are not labels one by one.

    Args:
        unfeatured: see `SSVAEClassifier.fit`; "classes" and probabilities name no label.

    Raises:
        InputError: one of them is -1.
    """
    if unfeatured is None or isinstance(unfeatured, str):
        return None
    if np.ndim(unfeatured) == 2 and np.shape(unfeatured)[1] > 1:
        return None
    labels = column_or_1d(unfeatured)
    if not has_label(labels).all():
        raise InputError("unfeatured has a -1: a label without a row must be a label")
    check_classification_targets(labels)
    return labels


def encode_labels(
    y: NDArray[Any], without_rows: NDArray[Any] | None = None
) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[np.int32]]:
    """Return labels as class indices.

    Args:
        y: (n,) labels, -1 where there is none.
        without_rows: (F,) further labels, which may be of classes that y has not.

    Returns:
        Class indices (n,), -1 where there is no label; the sorted classes (K,); and the class
        indices of the further labels (F,).

    Raises:
        InputError: there are no labels, fewer than two classes, or labels that cannot be sorted.
    """
    labelled = has_label(y)
    if not labelled.any():
        raise InputError("y has no labels (all are -1): label rows of at least two classes")
    known = y[labelled]
    try:
        check_classification_targets(known)
        every = known if without_rows is None else _joined(known, without_rows)
        classes, found = np.unique(every, return_inverse=True)
    except TypeError as error:
        raise InputError(
            f"y has labels that cannot be sorted ({error}): use either text or numbers"
        ) from error
    if len(classes) < 2:
        raise InputError(f"y has one class only ({classes[0]}): label rows of at least two classes")
    indices = np.full(len(y), _UNLABELLED, np.int32)
    indices[labelled] = found[: len(known)]
    return indices, classes, found[len(known) :].astype(np.int32)


def without_zero_weights(X, y, sample_weight: ArrayLike):
    """Return X, y and the weights without the labelled rows whose weight is 0.

    Raises:
        InputError: a weight is negative, or no labelled row has one above 0.
    """
    weights = _check_sample_weight(sample_weight, X, dtype=np.float32)
    if (weights < 0).any():
        raise InputError(f"sample_weight must not be negative, got {weights.min():g}")
    labelled = has_label(y)
    if not weights[labelled].any():
        raise InputError("sample_weight is zero for every labelled row: give one a weight above 0")
    kept = ~labelled | (weights > 0)
    return X[kept], y[kept], weights[kept]


def _joined(known: NDArray[Any], further: NDArray[Any]) -> NDArray[Any]:
    """Return both as one array, in which numbers beside text stay numbers."""
    kinds = {known.dtype.kind, further.dtype.kind}
    if len(kinds) > 1 and kinds & set("OUS"):
        known, further = known.astype(object), further.astype(object)
    return np.concatenate([known, further])
