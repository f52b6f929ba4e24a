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
_NOT_NUMBERS = (np.nan, np.inf, -np.inf)
_ODD_LABELS = {
    "no class": (-2, K, K + 1, 127, 255, 2.0**31, 2.0**32, 2.0**32 + 1, -(2.0**63)),
    "fraction": (2.7, 0.5, -0.5, 1e-9, K - 0.1),
    "not a number": _NOT_NUMBERS,
}
_LABEL_FAULTS = (*_ODD_LABELS, "number", "form")
_WEIGHTS = (*_NOT_NUMBERS, -1, -1e-9, 1e39, 1e300, 2.0**40)
_RANGES = (1, 16, 255, 256, 1023, 65535, 1 / 255, -1)
SEEDS = st.integers(0, 2**16)


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
def pixels(draw, shape, rows, dtypes, faulty=True):
    """Return examples (rows, ...) in some dtype.

    Args:
        shape: of an example.
        rows: how many there are.
        dtypes: to choose from.
        faulty: whether their range, one of them, or their shape may be another one.
    """
    random = np.random.default_rng(draw(SEEDS))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    white = 1 if dtype.kind not in "iu" else min(255, np.iinfo(dtype).max)
    fault = draw(st.sampled_from(["range", "one", "shape"])) if faulty else ""
    scale = draw(st.sampled_from(_RANGES)) if fault == "range" else white
    values = random.random((rows, *shape)) * scale
    values.flat[:1] = scale
    if dtype.kind in "iu":
        values = np.round(values)
    if fault == "one":
        values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from(_ODD))
    array = _cast(values, dtype)
    return draw(st.sampled_from(RESHAPED))(array) if fault == "shape" else array


RESHAPED = [
    lambda x: x[..., 0],
    lambda x: np.moveaxis(x, -1, 1),
    lambda x: x.reshape(len(x), -1),
    lambda x: x[..., None],
    lambda x: x[0],
    lambda x: x[:0],
    lambda x: x[:, 1:],
    lambda x: np.asarray(x.max()),
]


@st.composite
def labels(draw, rows, dtypes, faulty=True):
    """Return labels of rows in some dtype and form, -1 among them.

    Args:
        rows: how many there should be.
        dtypes: to choose from.
        faulty: whether one of them, their number or their form may be another one.
    """
    random = np.random.default_rng(draw(SEEDS))
    fault = draw(st.sampled_from(_LABEL_FAULTS)) if faulty else ""
    if fault in ("fraction", "not a number"):
        dtypes = [other for other in dtypes if np.dtype(other).kind not in "iub"]
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    count = max(0, rows + draw(st.sampled_from([1, -1, -rows]))) if fault == "number" else rows
    least, most = (0, 2) if dtype.kind == "b" else (-1 if dtype.kind in "if" else 0, K)
    values = random.integers(least, most, count).astype(np.float64)
    if fault in _ODD_LABELS:
        odd = draw(st.sampled_from(_ODD_LABELS[fault]))
        values[draw(st.integers(0, count - 1))] = odd
    form = draw(st.sampled_from(["plain", "plain", "column", "one-hot"]))
    if fault == "form":
        form = draw(st.sampled_from(["two columns", "soft"]))
    if form == "column":
        values = values[:, None]
    elif form == "two columns":
        values = np.stack([values, values], axis=1)
    elif form != "plain":
        values = (values[:, None] == np.arange(K)).astype(np.float64)
    if form == "soft":
        place = draw(st.integers(0, count - 1)), draw(st.integers(0, K - 1))
        values[place] = draw(st.sampled_from([0.3, 1.0, 2.0, -1.0, 0.999999, np.nan]))
    return _cast(values, dtype)


@st.composite
def weights(draw, rows, faulty=True):
    """Return None or sample weights.

    Args:
        rows: how many there should be.
        faulty: whether one of them or their number may be another one.
    """
    if not faulty and draw(st.booleans()):
        return None
    random = np.random.default_rng(draw(SEEDS))
    fault = draw(st.sampled_from(["one", "number"])) if faulty else ""
    count = rows + draw(st.sampled_from([1, -1, 1 - rows])) if fault == "number" else rows
    values = random.integers(0, 4, count) / 2
    if fault == "one":
        values[draw(st.integers(0, count - 1))] = draw(st.sampled_from(_WEIGHTS))
    values = _cast(values, draw(st.sampled_from(["f4", "f4", "f8", "f2", "i4", "u1", "?"])))
    return values[:, None] if draw(st.booleans()) and draw(st.booleans()) else values


FAULTY = st.sampled_from([(), (), ("x",), ("x",), ("y",), ("weights",), ("x", "y", "weights")])
"""Which parts may be wrong: mostly one, for two faults hide each other."""


@st.composite
def rows_of_arrays(draw):
    """Return rows in any container that has them in memory as a whole."""
    shape = SHAPES[draw(st.sampled_from(sorted(SHAPES)))]
    count, faulty = draw(st.integers(1, 4)), draw(FAULTY)
    x = draw(pixels(shape, count, (*FLOATS, *INTEGERS, "?", "u1", "f4"), "x" in faulty))
    y = draw(labels(count, ("i8", "i8", "f8", *FLOATS, *INTEGERS, "?"), "y" in faulty))
    w = draw(weights(count, "weights" in faulty))
    holding = [*HOLDING, *(FRAMES if x.ndim == 2 and x.size else {})]
    x = CONTAINERS[draw(st.sampled_from(holding + SPOILING * ("x" in faulty)))](x)
    y = CONTAINERS[draw(st.sampled_from([*HOLDING, *SERIES] + SPOILING * ("y" in faulty)))](y)
    return shape, Rows(x, y, w)


def _first_masked(array: np.ndarray) -> np.ndarray:
    mask = np.zeros(array.shape, bool)
    mask.flat[:1] = True
    return np.ma.array(array, mask=mask)


def _first_none(array: np.ndarray) -> np.ndarray:
    array = array.astype(object)
    array.flat[:1] = None
    return array


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="))


def _polars(array: np.ndarray):
    return polars.DataFrame(array.astype("f4") if array.dtype == np.float16 else _native(array))


HOLDING = {
    "array": np.asarray,
    "list": lambda a: a.tolist() if a.ndim else a,
    "tensor": lambda a: tf.constant(_native(a)),
    "Fortran": np.asfortranarray,
    "backwards": lambda a: a[::-1].copy()[::-1] if a.ndim else a,
    "nothing masked": np.ma.array,
    "objects": lambda a: a.astype(object),
}
FRAMES = {"pandas frame": lambda a: pandas.DataFrame(_native(a)), "polars frame": _polars}
SERIES = {
    "pandas series": lambda a: pandas.Series(_native(a)) if a.ndim == 1 else a,
    "polars series": lambda a: polars.Series(a.tolist()) if a.ndim == 1 else a,
}
_SPOILING = {
    "first masked": _first_masked,
    "first None": _first_none,
    "text": lambda a: a.astype(str),
    "NA of pandas": lambda a: pandas.Series([pandas.NA, *a.ravel()[1:].tolist()], dtype=object),
}
CONTAINERS = {**HOLDING, **FRAMES, **SERIES, **_SPOILING}
SPOILING = list(_SPOILING)


@st.composite
def rows_of_tensors(draw):
    """Return a batch of a pipeline: what TensorFlow has a dtype for; x may be a dict of parts."""
    count, faulty, shape = draw(st.integers(1, 4)), draw(FAULTY), SHAPES["images"]
    right = (ml_dtypes.bfloat16, "f2", "f4", "f8", "u1", "?")
    dtypes = draw(st.sampled_from([right, ("u2", "i4", "i8", "u8")])) if "x" in faulty else right
    x = draw(pixels(shape, count, dtypes, "x" in faulty))
    y = draw(labels(count, ("i8", "i4", "i8", *IN_TENSORS), "y" in faulty))
    w = draw(weights(count, "weights" in faulty))
    if draw(st.integers(0, 2)) == 0:
        x = {"labelled": x, "unlabelled": draw(pixels(shape, 2, right, "x" in faulty))}
    return Rows(x, y, w)
