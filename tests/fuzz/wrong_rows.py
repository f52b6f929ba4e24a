"""Rows near right ones, as strategies of Hypothesis: any dtype, range, shape and container."""

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pandas
import polars
import tensorflow as tf
from hypothesis import strategies as st

K = 3
SHAPES = {"images": (2, 3, 1), "table": (4,)}
FLOATS = ("f2", "f4", "f8", ">f4")
INTEGERS = ("u1", "i1", "u2", "i2", ">i2", "u4", "i4", "u8", "i8")
IN_TENSORS = (ml_dtypes.bfloat16, "f2", "f4", "f8", "u1", "i1", "u2", "i4", "i8", "u8", "?")
_ODD = (
    *(0.5, 1.0 + 1e-7, 1.0 + 1e-5, -1e-7, -1e-5, 1.001, 2.0, 16.0, 255.0, 256.0, 65535.0, -1.0),
    *(np.nan, np.inf, -np.inf, 1e30, 2.0**31, 2.0**32 + 1, 2.0**63, -0.0, 5e-324),
)
_LABELS = (
    *(-1, -2, K - 1, K, K + 1, 127, 255, 2.7, 0.5, -0.5, 1e-9, 2.0**31, 2.0**32, -(2.0**63)),
)
_NOT_NUMBERS = (np.nan, np.inf, -np.inf)


class Rows(NamedTuple):
    """What somebody hands over: x, y and sample weights, each right or wrong."""

    x: Any
    y: Any
    weights: Any


def _cast(values: np.ndarray, dtype) -> np.ndarray:
    """Return values in another dtype, as somebody's cast without a check makes them."""
    with np.errstate(all="ignore"):
        return values.astype(dtype)


@st.composite
def pixels(draw, shape, rows, dtypes):
    """Return examples (rows, ...) in some dtype and range, one of them perhaps odd, in any shape.

    Args:
        shape: of an example.
        rows: how many there are.
        dtypes: to choose from.
    """
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    # Half of all examples are right.
    right = 255 if dtype.kind in "iu" else 1
    scale = draw(st.sampled_from([right, right, right, 1, 16, 255, 256, 1023, 65535, 1 / 255, -1]))
    values = random.random((rows, *shape)) * scale
    if scale == right and dtype != np.int8:
        values.flat[:1] = right
    if dtype.kind in "iu":
        values = np.round(values)
    if draw(st.integers(0, 3)) == 0 and values.size:
        values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from(_ODD))
    array = _cast(values, dtype)
    how = draw(st.sampled_from([*["as it is"] * 6, *RESHAPED]))
    return RESHAPED[how](array) if how in RESHAPED else array


RESHAPED = {
    "without channel": lambda x: x[..., 0],
    "channels first": lambda x: np.moveaxis(x, -1, 1),
    "flat": lambda x: x.reshape(len(x), -1),
    "one axis more": lambda x: x[..., None],
    "one example": lambda x: x[0] if len(x) else x,
    "no rows": lambda x: x[:0],
    "cut": lambda x: x[:, 1:],
    "one number": lambda x: np.asarray(x.sum()),
}


@st.composite
def labels(draw, rows, dtypes):
    """Return labels of rows in some dtype and form, perhaps wrong ones, too few or too many."""
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    count = rows + draw(st.sampled_from([0] * 8 + [1, -1, -rows]))
    values = random.integers(-1, K, count).astype(np.float64)
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    if dtype.kind in "u?":
        values = np.abs(values)
    if draw(st.integers(0, 2)) == 0 and count:
        odd = _LABELS if draw(st.booleans()) else _NOT_NUMBERS
        values[draw(st.integers(0, count - 1))] = draw(st.sampled_from(odd))
    form = draw(st.sampled_from([*["plain"] * 5, "column", "one-hot", "soft", "two columns"]))
    if form == "column":
        values = values[:, None]
    elif form == "two columns":
        values = np.stack([values, values], axis=1)
    elif form != "plain":
        values = (values[:, None] == np.arange(K)).astype(np.float64)
        if form == "soft" and count:
            row, column = draw(st.integers(0, count - 1)), draw(st.integers(0, K - 1))
            values[row, column] = draw(st.sampled_from([0.3, 1.0, 2.0, -1.0, 0.999999, np.nan]))
    return _cast(values, dtype)


@st.composite
def weights(draw, rows):
    """Return None or sample weights, perhaps wrong ones or another number of them."""
    if draw(st.booleans()):
        return None
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    values = random.integers(0, 4, rows + draw(st.sampled_from([0] * 6 + [1, -1, 1 - rows]))) / 2
    if draw(st.integers(0, 3)) == 0 and len(values):
        odd = [*_NOT_NUMBERS, -1, -1e-9, 1e39, 1e300, 2.0**40]
        values[draw(st.integers(0, len(values) - 1))] = draw(st.sampled_from(odd))
    values = _cast(values, draw(st.sampled_from(["f4", "f4", "f8", "f2", "i4", "u1", "?"])))
    return values[:, None] if draw(st.integers(0, 5)) == 0 else values


@st.composite
def rows_of_arrays(draw):
    """Return rows in any container that has them in memory as a whole."""
    shape = SHAPES[draw(st.sampled_from(sorted(SHAPES)))]
    count = draw(st.integers(1, 4))
    x = draw(pixels(shape, count, (*FLOATS, *INTEGERS, "?", "u1", "f4")))
    y = draw(labels(count, ("i8", "i8", "f8", *FLOATS, *INTEGERS, "?")))
    containers = [name for name, fits in FITS.items() if fits(x)]
    x = CONTAINERS[draw(st.sampled_from(containers))](x)
    y = CONTAINERS[draw(st.sampled_from(["array"] * 3 + sorted(OF_LABELS)))](y)
    return shape, Rows(x, y, draw(weights(count)))


def _first_masked(array: np.ndarray) -> np.ndarray:
    mask = np.zeros(array.shape, bool)
    mask.flat[:1] = True
    return np.ma.array(array, mask=mask)


def _first_none(array: np.ndarray) -> np.ndarray:
    array = array.astype(object)
    array.flat[:1] = None
    return array


CONTAINERS = {
    "array": np.asarray,
    "list": lambda a: a.tolist(),
    "tensor": lambda a: tf.constant(a.astype(a.dtype.newbyteorder("="))),
    "Fortran": np.asfortranarray,
    "backwards": lambda a: a[::-1].copy()[::-1] if a.ndim else a,
    "nothing masked": np.ma.array,
    "first masked": _first_masked,
    "first None": _first_none,
    "objects": lambda a: a.astype(object),
    "text": lambda a: a.astype(str),
    "pandas frame": lambda a: pandas.DataFrame(a.astype(a.dtype.newbyteorder("="))),
    "pandas series": lambda a: pandas.Series(list(a)),
    "polars frame": lambda a: polars.DataFrame(a.astype(a.dtype.newbyteorder("="))),
    "NA of pandas": lambda a: pandas.Series([pandas.NA, *a[1:].tolist()], dtype="object"),
}
OF_LABELS = ("list", "tensor", "nothing masked", "first masked", "first None", "objects", "text")
FITS = {
    **dict.fromkeys(["array", "list", "tensor", "Fortran", "backwards"], lambda x: True),
    **dict.fromkeys(["nothing masked", "first masked", "objects"], lambda x: True),
    **dict.fromkeys(["first None", "text"], lambda x: True),
    "pandas frame": lambda x: x.ndim == 2,
    "polars frame": lambda x: x.ndim == 2 and x.size and x.dtype != np.float16,
}


@st.composite
def rows_of_tensors(draw):
    """Return a batch of a pipeline: what TensorFlow has a dtype for; x may be a dict of parts."""
    count = draw(st.integers(1, 4))
    shape = SHAPES["images"]
    x = draw(pixels(shape, count, IN_TENSORS))
    y = draw(labels(count, ("i8", "i4", "i8", *IN_TENSORS)))
    if draw(st.integers(0, 2)) == 0:
        x = {"labelled": x, "unlabelled": draw(pixels(shape, 2, IN_TENSORS))}
    return Rows(x, y, draw(weights(count)))
