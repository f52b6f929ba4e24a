"""A dozen right pictures with labels, and every way in which they come out wrong."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfssvae.data import load

CLASSES = ("a", "b", "c")
K = len(CLASSES)


class Rows(NamedTuple):
    """Images (n, 8, 8, 1), labels (n,), and sample weights (n,) or None."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None


class Wrong(NamedTuple):
    """One kind of wrong value: what it does to right rows, and what a refusal has to name."""

    of: Callable[[Rows], Rows]
    found: str


def right_rows() -> Rows:
    """Return four digits of each of three classes, ordered by class, uint8."""
    digits = load("digits")
    rows = np.concatenate([np.flatnonzero(digits.y_train == k)[:4] for k in range(K)])
    return Rows(digits.x_train[rows], np.repeat(np.arange(K), 4))


def _first_label(value):
    def change(rows: Rows) -> Rows:
        y = rows.y.astype(np.result_type(rows.y, type(value)))
        return rows._replace(y=np.concatenate([[value], y[1:]]))

    return change


def _with_nan(rows: Rows) -> Rows:
    x = rows.x / np.float32(255)
    x[3, 2, 1] = np.nan
    return rows._replace(x=x)


def _first_weight_negative(rows: Rows) -> Rows:
    return rows._replace(weights=np.array([-1.5] + [1.0] * (len(rows.y) - 1), np.float32))


IMAGES = {
    "floats in 0..255": Wrong(lambda rows: rows._replace(x=rows.x.astype(np.float32)), "255"),
    "int64 in 0..255": Wrong(
        lambda rows: rows._replace(x=rows.x.astype(np.int64)), "int64|at most 255"
    ),
    "text": Wrong(lambda rows: rows._replace(x=rows.x.astype(str)), "<U3|str|object|String|00.png"),
    "NaN": Wrong(_with_nan, "NaN|nan"),
    "channels first": Wrong(
        lambda rows: rows._replace(x=np.moveaxis(rows.x, -1, 1)), "1, 8, 8|1,8,8|None, None, 8"
    ),
}
LABELS = {
    "K": Wrong(_first_label(K), "3"),
    "-2": Wrong(_first_label(-2), "-2"),
    "2.7": Wrong(_first_label(2.7), r"2\.7|continuous|float64|double"),
    "NaN label": Wrong(_first_label(np.nan), "NaN|nan|float64|double"),
    "text label": Wrong(
        lambda rows: rows._replace(y=np.array(CLASSES)[rows.y]), "<U1|str|object|String"
    ),
    "a label too few": Wrong(lambda rows: rows._replace(y=rows.y[1:]), "11"),
    "weight below 0": Wrong(_first_weight_negative, r"-1\.5"),
    "one weight for all": Wrong(
        lambda rows: rows._replace(weights=np.full(1, 2, np.float32)), r"\b1\b"
    ),
}
KINDS = {**IMAGES, **LABELS}
