"""Labels of users as class indices: rows may have no label, and labels may have no row."""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from tfssvae.checks import InputError, refuse_masked, refuse_wrapped_minus_one
from tfssvae.missing_labels import read_labels

UNLABELLED = -1
_MISSING_AS_TEXT = ("", "nan", "<NA>")
"""What missing labels are in text files, and what numpy and pandas make of them as text."""


class Labels(NamedTuple):
    """Labels in the user's own terms.

    Attributes:
        values: (n,) labels, with any value in rows that have none.
        known: (n,) bool, whether a row has a label.
    """

    values: NDArray[Any]
    known: NDArray[np.bool_]


def labels_of(y: ArrayLike, unlabelled: Any = UNLABELLED) -> Labels:
    """Read labels, of which some may be missing or be the mark of rows without a label.

    Args:
        y: (n,) numbers or text; None, NaN, pandas' NA, nulls of polars and masked elements are
            missing.
        unlabelled: the number or text that marks a row without a label as well, or None.

    Raises:
        InputError: the mark is no number or text, or stands in y in another form: -1 as text or
            wrapped to the largest number of an unsigned dtype, a missing value as text, numbers
            where the mark is text.
        ValueError: y is not (n,) or (n, 1), or has infinite values.
    """
    if y is None:
        raise ValueError(
            "SSVAEClassifier requires y to be passed, but the target y is None: give -1 where there"
            " is no label"
        )
    if not (unlabelled is None or isinstance(unlabelled, Real | str)):
        raise InputError(f"unlabelled must be a number, a text or None, got {unlabelled!r}")
    values, missing = read_labels(y)
    # scikit-learn's own words, and its warning, for another shape.
    values, missing = column_or_1d(values, warn=True), missing.reshape(-1)
    text = _is_text(values, missing)
    if values.dtype.kind == "f":
        assert_all_finite(np.where(missing, 0, values), input_name="y")
    if isinstance(unlabelled, str) and not text and not missing.all():
        raise InputError(
            f"y has numbers, and unlabelled={unlabelled!r} is text: pass the number that marks a"
            " row without a label, such as -1"
        )
    if unlabelled == UNLABELLED:
        refuse_wrapped_minus_one(values, ~missing)
    if text:
        _refuse_marks_as_text(values[~missing], unlabelled)
    marked = np.array([label == unlabelled for label in values.tolist()], bool)
    return Labels(values, ~(missing | marked))


def encode_labels(
    labels: Labels, without_rows: NDArray[Any] | None = None
) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[np.int32]]:
    """Return labels as class indices.

    Args:
        labels: of n rows.
        without_rows: (F,) further labels, which may be of classes that no row has.

    Returns:
        Class indices (n,), -1 where there is no label; the sorted classes (K,); and the class
        indices of the further labels (F,).

    Raises:
        InputError: there are no labels, fewer than two classes, or labels that cannot be sorted.
    """
    if not labels.known.any():
        raise InputError(
            "y has no labels (all are -1 or missing): label rows of at least two classes"
        )
    known = labels.values[labels.known]
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
    indices = np.full(len(labels.known), UNLABELLED, np.int32)
    indices[labels.known] = found[: len(known)]
    return indices, classes, found[len(known) :].astype(np.int32)


def named_labels(
    unfeatured: ArrayLike | str | None, unlabelled: Any = UNLABELLED
) -> NDArray[Any] | None:
    """Return labels without rows as (F,), or None where they are not labels one by one.

    Args:
        unfeatured: see `SSVAEClassifier.fit`; "classes" and probabilities name no label.
        unlabelled: see `labels_of`.

    Raises:
        InputError: one of them is missing or the mark of rows without a label.
    """
    if unfeatured is None or isinstance(unfeatured, str):
        return None
    if np.ndim(unfeatured) == 2 and np.shape(unfeatured)[1] > 1:
        return None
    values, known = labels_of(unfeatured, unlabelled)
    if not known.all():
        mark = "missing label" if unlabelled is None else f"{unlabelled!r} or a missing label"
        raise InputError(f"unfeatured has a {mark}: a label without a row must be a label")
    check_classification_targets(values)
    return values


def rows_that_count(X, labels: Labels, sample_weight: ArrayLike):
    """Return which rows are not labelled rows of weight 0, (n,) bool, and the weights of all rows.

    Raises:
        InputError: a weight is negative or masked, or no labelled row has one above 0.
    """
    refuse_masked(sample_weight, "sample_weight")
    weights = _check_sample_weight(sample_weight, X, dtype=np.float32)
    if (weights < 0).any():
        raise InputError(f"sample_weight must not be negative, got {weights.min():g}")
    if labels.known.any() and not weights[labels.known].any():
        raise InputError("sample_weight is zero for every labelled row: give one a weight above 0")
    return ~labels.known | (weights > 0), weights


def _is_text(values: NDArray[Any], missing: NDArray[np.bool_]) -> bool:
    if values.dtype.kind in "US":
        return True
    known = values[~missing].tolist() if values.dtype.kind == "O" else []
    return any(isinstance(label, str | bytes) for label in known)


def _refuse_marks_as_text(values: NDArray[Any], unlabelled: Any) -> None:
    found = set(values.tolist())
    as_text = str(UNLABELLED)
    if unlabelled == UNLABELLED and (as_text in found or as_text.encode() in found):
        raise InputError(
            'y has the text "-1", but rows without a label are marked by the integer -1: make y '
            "an array of dtype object that holds text and the integer -1, or pass unlabelled"
            '="-1" to SSVAEClassifier'
        )
    made = [text for text in _MISSING_AS_TEXT if text in found and text != unlabelled]
    if made:
        raise InputError(
            f'y has the text "{made[0]}", which missing labels become as text: if they are, pass'
            f' unlabelled="{made[0]}" to SSVAEClassifier; if it is a class, give it another name'
        )


def _joined(known: NDArray[Any], further: NDArray[Any]) -> NDArray[Any]:
    """Return both as one array, in which numbers beside text stay numbers."""
    kinds = {known.dtype.kind, further.dtype.kind}
    if len(kinds) > 1 and kinds & set("OUS"):
        known, further = known.astype(object), further.astype(object)
    return np.concatenate([known, further])
