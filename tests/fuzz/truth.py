"""What rows mean, in plain numpy: written without a look at the checks that it judges."""

from typing import Any, NamedTuple

import numpy as np

ROUNDING = 1e-6
DARK = 63 / 255


class Truth(NamedTuple):
    """What a step has to see, and whether nobody could doubt it.

    Attributes:
        value: float32 images in [0, 1], int labels, or float32 weights.
        plain: whether a refusal would be wrong.
    """

    value: np.ndarray
    plain: bool = True


def numbers(values: Any) -> Truth | None:
    """Return values as an array of numbers, or None where some are none, or are masked."""
    if np.ma.isMA(values) and np.ma.getmaskarray(values).any():
        return None
    try:
        array = np.asarray(values)
        found = array.astype(np.float64)
    except (TypeError, ValueError):
        return None
    plain = array.dtype.kind in "buif" or array.dtype.name == "bfloat16"
    return Truth(found, plain) if plain or array.dtype.kind == "O" else None


def images(x: Any, shape: tuple[int, ...], any_integer: bool) -> Truth | None:
    """Return what images are, or None where they are wrong.

    Args:
        x: what was handed over.
        shape: of one example.
        any_integer: whether integers other than uint8 may be pixels in 0..255.
    """
    found = numbers(x)
    if found is None or found.value.ndim == 0:
        return None
    values, plain = found
    if shape[-1] == 1 and values.shape[1:] == shape[:-1]:
        values = values[..., None]
    if values.shape[1:] != shape or not np.isfinite(values).all():
        return None
    dtype = np.asarray(x).dtype
    if dtype.kind in "iu" or (dtype.kind == "O" and _whole(x)):
        if dtype != np.uint8 and (not any_integer or (values < 0).any() or (values > 255).any()):
            return None
        values = values / 255
    elif (values < -ROUNDING).any() or (values > 1 + ROUNDING).any():
        return None
    return Truth(values.astype(np.float32), plain and values.size > 0)


def _whole(x: Any) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in np.ravel(x))


def is_dark(x: np.ndarray) -> bool:
    """Whether images are so dark that their range may be misunderstood."""
    return x.size == 0 or x.max() <= DARK


def labels(y: Any, classes: int) -> Truth | None:
    """Return (n,) classes, -1 where there is no label, or None where some are wrong.

    What is missing (NaN, None, masked) may be refused, or be no label.
    """
    if np.ma.isMA(y):
        missing, y = np.ma.getmaskarray(y), np.ma.getdata(y)
    else:
        missing = np.False_
    array = np.asarray(y)
    missing = np.array([_is_missing(v) for v in array.ravel()], bool).reshape(array.shape) | missing
    with_numbers = numbers(np.where(missing, -1, array.astype(object)) if missing.any() else array)
    if with_numbers is None or with_numbers.value.ndim not in (1, 2):
        return None
    values, plain = with_numbers
    plain = plain and not missing.any() and values.size > 0
    if values.ndim == 2 and values.shape[1] == classes:
        ones = (values == 1).sum(axis=1)
        if missing.any() or not ((values == 0) | (values == 1)).all() or (ones > 1).any():
            return None
        return Truth(np.where(ones == 1, values.argmax(axis=1), -1), plain and ones.all())
    if values.ndim == 2 and values.shape[1] != 1:
        return None
    values = values.reshape(-1)
    if not np.isin(values, np.arange(-1, classes)).all():
        return None
    return Truth(values.astype(int), plain)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)
    except TypeError:
        return False


def weights(w: Any) -> Truth | None:
    """Return (n,) float32 sample weights, or None where some are wrong."""
    found = numbers(w)
    if found is None or not (found.value.ndim == 1 or found.value.shape[1:] == (1,)):
        return None
    values = found.value.reshape(-1)
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all() or (values < 0).any() or (found.value < 0).any():
        return None
    return Truth(values, found.plain and values.size > 0)
