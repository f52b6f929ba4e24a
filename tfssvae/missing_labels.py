"""Labels of any kind as a numpy array, and which of them are missing.

One rule for all: a missing label is no label where data enter (`data.from_arrays`, `data.load`,
`SSVAEClassifier`); a model's own methods, measures and figures refuse it and take -1 alone.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_NUMBERS = (bool, int, float, np.number, np.bool_)


def read_labels(y: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Returns labels as a numpy array, and for each whether it is missing.

    Missing are None, NaN, NaT, pandas' NA, nulls of polars, empty categories and masked elements.

    Args:
        y: array, masked array, list, or a Series or a frame of one column of pandas or polars.

    Returns:
        labels: an array of the shape of y, with some number or the first label in the place of
            missing ones (NaN stays in arrays of floats). Numbers have a dtype of numbers: whole
            ones stay so beside missing ones, except in arrays of floats. Text beside numbers is of
            dtype object.
        missing: bool, of the same shape.

    Raises:
        ValueError: numpy can make no array of y.

    >>> labels, missing = read_labels([3, None, 1])
    >>> labels.dtype.kind, labels[~missing].tolist(), missing.tolist()
    ('i', [3, 1], [False, True, False])
    """
    array = _as_array(y)
    missing = _missing(array)
    if np.ma.isMA(y):
        missing |= np.ma.getmaskarray(y)
    if array.dtype.kind == "O":
        array = _filled(array, missing)
    return array, missing


def is_missing(label: Any) -> bool:
    """Whether one label is missing.

    >>> [is_missing(label) for label in (None, float("nan"), np.ma.masked, -1, "")]
    [True, True, True, False, False]
    """
    if label is None or label is np.ma.masked or _is_pandas_na(label):
        return True
    unequal = label != label  # so are NaN and NaT
    return isinstance(unequal, bool | np.bool_) and bool(unequal)


def _as_array(y: Any) -> NDArray[Any]:
    columns = getattr(y, "columns", None)
    if columns is not None and len(columns) == 1:
        y = y[columns[0]]
    array = np.asarray(y)
    if isinstance(y, list | tuple) and array.dtype.kind in "US":
        each = np.asarray(y, object)
        text = all(isinstance(label, str | bytes) for label in each.ravel())
        return array if text else each  # numpy makes text of -1 and NaN beside text
    if hasattr(y, "to_list") and not isinstance(y.dtype, np.dtype) and array.dtype.kind in "fO":
        return np.array(y.to_list(), object)  # numpy makes floats of whole numbers beside nulls
    return array


def _missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype.kind in "fc":
        return np.isnan(array)
    if array.dtype.kind in "mM":
        return np.isnat(array)
    if array.dtype.kind == "O":
        found = [is_missing(label) for label in array.ravel()]
        return np.array(found, bool).reshape(array.shape)
    return np.zeros(array.shape, bool)


def _is_pandas_na(label: Any) -> bool:
    pandas = sys.modules.get("pandas")  # whoever has an NA has imported it
    return pandas is not None and label is pandas.NA


def _filled(array: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[Any]:
    """Returns objects without what is missing, as numbers where all others are."""
    known = array[~missing].tolist()
    if not known:
        return np.zeros(array.shape, int)
    dtype = np.dtype(object)
    if all(isinstance(label, _NUMBERS) for label in known):
        dtype = np.array(known).dtype  # objects still, where they need more than 64 bits
    full = np.full(array.shape, known[0], dtype)
    full[~missing] = known
    return full
