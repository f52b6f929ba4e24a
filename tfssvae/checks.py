"""Checks of what users bring: every refusal is one sentence that says what to do.

Only numpy is imported here, so that the command line can refuse bad input at once.
"""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae import value_range
from tfssvae.missing_labels import is_missing, read_labels
from tfssvae.value_range import variable

ROUNDING = 1e-6
"""By which scaling in float32, or scikit-learn's MinMaxScaler, may miss 0 and 1."""
_BLOCK_BYTES = 1 << 26  # 64 MiB: bounds the temporary copies made of large arrays
_FIRST_ROWS = 16  # which nearly always show whether images are bright
_CHANNELS = (1, 3, 4)  # of grey and of colour pictures, without and with transparency
_SHOWN_NAMES = 20
SUM_TOLERANCE = 1e-2  # of probabilities: those of bfloat16 are each up to 0.4% off


def printable(text: str) -> str:
    r"""Text on one line, with what steers a terminal, or what it cannot show, as escapes.

    >>> print(printable("a\x1b[2J" + chr(10) + "é"))
    a\x1b[2J\né
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class InputError(ValueError):
    """Bad input from the user; the message says what was expected, what came, what to do.

    Names that stand in files come into it: it is made printable.
    """

    _keras_call_info_injected = True  # Keras then leaves the sentence as it is

    def __init__(self, message: object = ""):
        super().__init__(printable(str(message)))


class SettingError(InputError):
    """Settings of a run that its method refuses."""


class DivergenceError(ArithmeticError):
    """Training cannot go on: something in it is no longer a number."""


class ConversionError(RuntimeError):
    """A converted model is not the model that it was made from."""


def row_blocks(x: NDArray[Any], itemsize: int | None = None) -> Iterator[slice]:
    """Slices of rows that together cover `x`, each of about 64 MiB.

    Args:
        x: array (n, ...).
        itemsize: bytes per element of the temporary that the caller makes of a block;
            that of `x` when not given.
    """
    row_bytes = math.prod(x.shape[1:]) * (itemsize or x.itemsize)
    rows = max(1, _BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, len(x), rows):
        yield slice(start, start + rows)


def check_images(
    x: ArrayLike,
    name: str = "x",
    shape: Sequence[int] | None = None,
    *,
    training: bool = False,
) -> NDArray[Any]:
    """Returns images or a table as uint8 in 0..255 or float32 in 0..1.

    Args:
        x: table (n, d), grey images (n, h, w) or images (n, h, w, c). uint8 stays as it is, bool
            becomes 0 and 255, other integers must be in 0..255, floats must be in 0..1; beyond by
            a rounding error of at most 1e-6 they become 0 or 1.
        name: how messages call the array; of "x in FILE", "x" stands in their expressions.
        shape: expected shape of one example; (28, 28) means (28, 28, 1).
        training: whether a model learns from all of them, so that `check_not_dark` applies; of
            what is predicted, few and dark images are no doubt.

    Returns:
        (n, d) or (n, h, w, c), uint8 or float32. No copy is made of uint8 and float32 arrays.

    Raises:
        InputError: for another rank, shape or dtype, an empty array, or values out of range.
    """
    array = as_numbers(x, name, "images are arrays of numbers")
    if array.ndim not in (2, 3, 4):
        raise InputError(
            f"{name} must have shape (n, d), (n, h, w) or (n, h, w, c), got {array.shape}."
            + (f" For one example pass {variable(name)}[None]." if array.ndim == 1 else "")
        )
    if array.size == 0:
        raise InputError(f"{name} is empty: its shape is {array.shape}.")
    if shape is not None:
        _check_shape(array.shape, tuple(shape), name)
    elif array.ndim == 4 and array.shape[1] in _CHANNELS and min(array.shape[2:]) > max(_CHANNELS):
        raise InputError(
            f"{_channels_first(array.shape, name)}; if they are not, let the width come first,"
            f" numpy.swapaxes({variable(name)}, 1, 2)."
        )
    array = _as_pixels(array, name)
    if training:
        check_not_dark(array, name)
    return array[..., np.newaxis] if array.ndim == 3 else array


def check_not_dark(x: Any, name: str = "x") -> None:
    """Refuses images whose largest value says that their dtype means another range than theirs.

    Masks of 0 and 1, or digits of 0..16, are nearly black as pixels of 0..255. Images that are
    all zero raise no doubt. Bright images are known by their first rows: the others are not read.

    Args:
        x: (n, ...) uint8 or float32 in 0..1, or an `ImagesInFiles` of them.
        name: see `check_images`.

    Raises:
        InputError: uint8 reaches no further than a quarter of 255, or floats than 1/64.
    """
    whole = x.dtype == np.uint8
    limit = value_range.DARK_WHOLE if whole else value_range.DARK_FLOAT
    largest = 0
    for rows in (slice(0, _FIRST_ROWS), *row_blocks(x)):
        largest = max(largest, x[rows].max().item())
        if largest > limit:
            return
    if largest > 0:
        raise InputError(value_range.dark(largest, whole, name))


def check_labels(
    y: ArrayLike,
    num_classes: int | None = None,
    name: str = "y",
    allow_unlabelled: bool = True,
    allow_missing: bool = False,
) -> NDArray[np.int32]:
    """Returns class labels as int32 (n,), with -1 where there is no label.

    Args:
        y: (n,) or (n, 1) integers or floats with integer values; with `num_classes` = K also
            (n, K) one-hot rows, of zeros where there is no label.
        num_classes: K; labels must be below it. None: no upper limit.
        name: how messages call the array.
        allow_unlabelled: whether -1 is accepted.
        allow_missing: whether None, NaN, NaT, pandas' NA, nulls of polars and masked elements
            mean -1. Where data enter they do; measures and figures take -1 alone.

    Raises:
        InputError: for another shape or dtype, an empty array, labels that are missing, that are
            not whole numbers, or out of range, and for the largest number that an unsigned dtype
            holds, which -1 becomes in it.
    """
    array, missing = _labels_as_numbers(y, name)
    if array.size == 0:
        raise InputError(f"{name} is empty: its shape is {array.shape}.")
    if array.ndim == 2 and array.shape[1] == 1:
        array, missing = array[:, 0], missing[:, 0]
    if missing.any() and not (allow_missing and allow_unlabelled and array.ndim == 1):
        raise InputError(_missing_message(missing, name, allow_unlabelled))
    if array.ndim == 2:
        array = _from_one_hot(array, num_classes, name)
    if array.ndim != 1:
        raise InputError(f"{name} must have one label per example, (n,), got {array.shape}.")
    refuse_wrapped_minus_one(array, ~missing, name)
    if missing.any():
        array = np.where(missing, -1, array.astype(np.promote_types(array.dtype, np.int8)))
    if array.dtype.kind == "f":
        array = array.astype(np.float64)  # float16 cannot be compared with the largest integers
        _refuse_labels(array, ~np.isfinite(array), name, "must be finite numbers")
        _refuse_labels(array, array != np.floor(array), name, "must be whole numbers")
    low = -1 if allow_unlabelled else 0
    high = np.iinfo(np.int32).max if num_classes is None else num_classes - 1
    allowed = f"{low} or more" if num_classes is None else f"in {low}..{high}"
    rule = f"must be {allowed}{' (-1 = unlabelled)' if allow_unlabelled else ''}"
    if array.max() == num_classes and not (array == 0).any():
        rule += "; if your classes are numbered from 1, subtract 1"
    _refuse_labels(array, (array < low) | (array > high), name, rule)
    return array.astype(np.int32)


def refuse_wrapped_minus_one(
    labels: NDArray[Any], known: NDArray[np.bool_] | None = None, name: str = "y"
) -> None:
    """Refuses labels with the largest number that their unsigned dtype holds, such as 255.

    An unsigned dtype cannot hold -1: numpy wraps it to that number, which would be a class.

    Args:
        labels: (n,).
        known: (n,) bool, the labels to look at; all when not given.
        name: how messages call the array.

    Raises:
        InputError: naming the number and both things that it may mean.
    """
    if labels.dtype.kind != "u":
        return
    largest = np.iinfo(labels.dtype).max
    wrapped = labels == largest if known is None else (labels == largest) & known
    if wrapped.any():
        short = name.partition(" in ")[0]
        raise InputError(
            f"{name} has the label {largest} in {np.count_nonzero(wrapped)} of {len(labels)} rows,"
            f" which is what {labels.dtype} makes of -1: if they are unlabelled, write"
            f" {short} = numpy.asarray({short}, int); {short}[{short} == {largest}] = -1; if"
            f" {largest} is a class, the first of the two is enough."
        )


def refuse_masked(values: Any, name: str) -> None:
    """Refuses a masked array in which something is masked: numpy drops masks without a word.

    Raises:
        InputError: saying how many values are masked, and where the first is.
    """
    if not np.ma.isMA(values):
        return
    masked = np.argwhere(np.ma.getmaskarray(values))
    if len(masked):
        first = ", ".join(map(str, masked[0]))
        raise InputError(
            f"{name} has {len(masked)} masked value{'s' if len(masked) > 1 else ''}, the first at"
            f" {name.partition(' in ')[0]}[{first}]: put numbers in their place"
            " (numpy.ma.filled), or leave their rows out."
        )


def check_probabilities(
    rows: ArrayLike, name: str = "probs", num_classes: int | None = None
) -> NDArray[np.float32]:
    """Returns rows of class probabilities as float32 (n, K).

    Args:
        rows: (n, K) numbers of 0 or more, each row adding up to 1 within a hundredth (bfloat16
            probabilities are each up to 0.4% off).
        name: how messages call the array.
        num_classes: K, where it is known.

    Raises:
        InputError: for another shape or dtype, or a row that is no distribution.
    """
    refuse_masked(rows, name)
    array = np.asarray(rows)
    classes = "K" if num_classes is None else num_classes
    fits = (
        array.ndim == 2
        and array.shape[1] >= 2
        and array.shape[1] == (num_classes or array.shape[1])
    )
    if not fits or array.dtype.kind not in "fiub":
        raise InputError(
            f"{name} must be class probabilities of shape (n, {classes}), got {array.shape} "
            f"{array.dtype}."
        )
    values = array.astype(np.float32, copy=False)
    sums = values.sum(axis=1)
    # Written so that NaN is refused too.
    fine = (values >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE)
    if not fine.all():
        row = int(np.argmin(fine))
        raise InputError(
            f"{name} must be rows of probabilities that sum to 1, but row {row} has values from "
            f"{values[row].min():g} to {values[row].max():g} with sum {sums[row]:g}: divide each "
            "row by its sum, or apply tf.nn.softmax to logits."
        )
    return values


def check_same_length(
    x: NDArray[Any], y: NDArray[Any], names: tuple[str, str] = ("x", "y")
) -> None:
    """Refuses two arrays whose first axes differ.

    Raises:
        InputError: naming both lengths.
    """
    if len(x) != len(y):
        raise InputError(
            f"{names[0]} and {names[1]} must have the same length, got {len(x)} and {len(y)}."
        )


def check_count(value: Any, name: str) -> int:
    """Returns a whole number that is 0 or more as an int.

    Raises:
        InputError: for anything else, bool included.
    """
    return _check_whole(value, name, "a whole number, 0 or more", 0)


def check_positive(value: Any, name: str) -> int:
    """Returns a whole number that is 1 or more as an int.

    Raises:
        InputError: for anything else, bool included.
    """
    return _check_whole(value, name, "a whole number and at least 1", 1)


def check_seed(value: Any) -> int:
    """Returns a seed, a whole number from -2^31 to 2^31 - 1, as an int.

    Raises:
        InputError: for anything else, bool included.
    """
    limits = np.iinfo(np.int32)
    return _check_whole(value, "seed", "a whole number of at most 31 bits", limits.min, limits.max)


def _check_whole(value: Any, name: str, wanted: str, least: int, most: float = math.inf) -> int:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        raise InputError(f"{name} must be {wanted}, got {value!r}")
    return int(value)


def check_choice(value: str, known: Iterable[str], name: str) -> str:
    """Return an argument that has to be one of the known names.

    >>> check_choice("mean", ["sum", "mean"], "reduction")
    'mean'
    """
    choices = list(known)
    if value not in choices:
        raise InputError(f"unknown {name} {value!r}: {closest(str(value), choices)}")
    return value


def closest(name: str, known: Iterable[str]) -> str:
    """Text for messages about an unknown name: the nearest known name and the known names.

    >>> closest("mnits", ["mnist", "digits"])
    'did you mean "mnist"? Known: digits, mnist'
    >>> closest("abc", ["mnist", "digits"])
    'known: digits, mnist'
    """
    names = sorted(set(known))
    shown = names
    if len(names) > _SHOWN_NAMES:
        shown = difflib.get_close_matches(name, names, n=_SHOWN_NAMES, cutoff=0.0)
    listed = ", ".join(shown) + (f" ... ({len(names)} in all)" if shown is not names else "")
    by_lower_case = {entry.lower(): entry for entry in names}
    match = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    if match:
        meant = by_lower_case[match[0]]
        if meant != name and same_text(meant, name):  # on the screen they look the same
            return f"did you mean {meant!a}, got {name!a}? Known: {listed}"
        return f'did you mean "{meant}"? Known: {listed}'
    return f"known: {listed}"


def same_text(one: str, other: str) -> bool:
    r"""Whether two texts are the same but for the Unicode form of their accents.

    >>> same_text("caf\u00e9", "cafe\u0301")
    True
    """
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def as_numbers(values: ArrayLike, name: str, expected: str) -> NDArray[Any]:
    """Returns an array of bool, whole numbers or floats.

    Args:
        values: whatever numpy takes.
        name: how messages call the array.
        expected: what it should be, for messages.

    Raises:
        InputError: for values that numpy cannot read, or of another kind.
    """
    refuse_masked(values, name)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be read as an array ({error}): {expected}.") from error
    if array.dtype.kind not in "buif":
        raise InputError(f"{name} has dtype {array.dtype}: {expected}.")
    return array


def _labels_as_numbers(y: ArrayLike, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Returns labels as numbers, and which are missing."""
    try:
        array, missing = read_labels(y)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} cannot be read as an array ({error}): labels are integers."
        ) from error
    if array.dtype.kind not in "buif":
        known = array[~missing].tolist()
        if any(isinstance(label, str | bytes) for label in known):
            raise InputError(_text_message(y, name))
        raise InputError(
            f"{name} has dtype {array.dtype}: labels are integers 0..K-1, -1 = unlabelled."
        )
    return array, missing


def _missing_message(missing: NDArray[np.bool_], name: str, allow_unlabelled: bool) -> str:
    count = np.count_nonzero(missing)
    first = ", ".join(map(str, np.argwhere(missing)[0]))
    what_to_do = "leave these rows out"
    if allow_unlabelled and missing.ndim == 1:
        what_to_do = "write -1 where there is no label"
    elif allow_unlabelled:
        what_to_do = "give one integer per example, -1 where there is no label"
    return (
        f"{name} has {count} label{'s' if count > 1 else ''} that {'are' if count > 1 else 'is'}"
        f" missing (None, NaN or masked), the first at {name.partition(' in ')[0]}[{first}]:"
        f" {what_to_do}."
    )


def _text_message(y: Any, name: str) -> str:
    short = name.partition(" in ")[0]
    column = short
    if np.ndim(y) != 1:
        y, column = np.ravel(y), f"numpy.ravel({short})"
    labels = list(y)
    texts = {str(label) for label in labels}
    no_label = {str(label) for label in labels if is_missing(label)} | (texts & {"", "-1"})
    shown = ", ".join(repr(text)[:40] for text in sorted(texts - no_label)[:3])
    without = " - {" + ", ".join(map(repr, sorted(no_label))) + "}" if no_label else ""
    return (
        f"{name} has labels that are text ({shown}{', ...' * (len(texts - no_label) > 3)}), and"
        f" classes are 0..K-1, -1 = unlabelled: write"
        f" names = sorted(set(map(str, {column})){without});"
        f" {short} = [names.index(str(k)) if str(k) in names else -1 for k in {column}]"
        f" and give class_names=names."
    )


def _check_shape(got: tuple[int, ...], expected: tuple[int, ...], name: str) -> None:
    def with_channel(one: tuple[int, ...]) -> tuple[int, ...]:
        return (*one, 1) if len(one) == 2 else one

    if with_channel(got[1:]) == with_channel(expected):
        return
    if len(got) == 4 and got[1:] == (expected[-1], *expected[:-1]):
        raise InputError(f"{_channels_first(got, name)}.")
    hint = f" For one example pass {variable(name)}[None]." if got == expected else ""
    wanted = ", ".join(map(str, expected))
    raise InputError(f"{name} must have shape (n, {wanted}), got {got}.{hint}")


def _channels_first(shape: tuple[int, ...], name: str) -> str:
    return (
        f"{name} has shape {shape}, channels first, and must be (n, h, w, c): move them to the end,"
        f" numpy.moveaxis({variable(name)}, 1, -1)"
    )


def _as_pixels(x: NDArray[Any], name: str) -> NDArray[Any]:
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind == "b":
        return np.multiply(x, np.uint8(255), dtype=np.uint8)
    low, high = finite_limits(x, name)
    if x.dtype.kind == "f":
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise InputError(value_range.beyond(low, high, False, name))
        x = x.astype(np.float32, copy=False)
        return x if low >= 0 and high <= 1 else np.clip(x, 0, 1)
    if low < 0 or high > 255:
        raise InputError(value_range.beyond(low, high, True, name))
    return x.astype(np.uint8)


def finite_limits(x: NDArray[Any], name: str = "x") -> tuple[float, float]:
    """Returns the smallest and the largest value of an array that is not empty.

    Raises:
        InputError: there is a NaN or an infinite value, whose place the message says.
    """
    lows, highs = [], []
    for rows in row_blocks(x):
        low, high = x[rows].min(), x[rows].max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(_not_finite_message(x, name))
        lows.append(low)
        highs.append(high)
    return min(lows).item(), max(highs).item()


def _not_finite_message(x: NDArray[Any], name: str) -> str:
    count, first = 0, ""
    for rows in row_blocks(x):
        bad = np.argwhere(~np.isfinite(x[rows]))
        if len(bad) and not first:
            first = ", ".join(str(i) for i in (bad[0][0] + rows.start, *bad[0][1:]))
        count += len(bad)
    return (
        f"{name} has {count} NaN or infinite value{'s' if count > 1 else ''}, the first at"
        f" {variable(name)}[{first}]: remove or replace them (numpy.nan_to_num)."
    )


def _from_one_hot(y: NDArray[Any], num_classes: int | None, name: str) -> NDArray[Any]:
    if num_classes is None or y.shape[1] != num_classes:
        raise InputError(
            f"{name} must have one label per example, (n,), or one-hot rows (n, num_classes):"
            f" got {y.shape} with num_classes={num_classes}."
        )
    ones = (y == 1).sum(axis=1)
    one_hot = ((y == 0) | (y == 1)).all(axis=1) & (ones <= 1)
    if not one_hot.all():
        row = int(np.argmin(one_hot))
        raise InputError(
            f"{name} has {y.shape[1]} columns, so each row must be one-hot (a single 1, or zeros"
            f" where there is no label), which row {row} is not: give one integer per example"
            " instead; soft labels are given as one row for each class, with its probability as"
            " sample_weight."
        )
    return np.where(ones == 1, np.argmax(y == 1, axis=1), -1)


def _refuse_labels(y: NDArray[Any], bad: NDArray[np.bool_], name: str, rule: str) -> None:
    if not bad.any():
        return
    values = np.unique(y[bad])
    shown = ", ".join(str(value) for value in values[:5]) + (", ..." if len(values) > 5 else "")
    raise InputError(
        f"{name} has labels {shown}, first at {variable(name)}[{int(np.argmax(bad))}]: labels"
        f" {rule}."
    )
