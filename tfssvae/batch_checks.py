"""Checks of what reaches a model as tensors: the counterparts of `checks`, in the graph.

Arrays are checked as a whole, before any work. What comes in batches (`tf.data`, generators,
`keras.utils.PyDataset`, tensors of a caller's own loop) is checked batch by batch: what its type
and its shape say when the graph is built, and its values in the graph. A step that meets a bad
value ends before it changes any weight.

XLA leaves assertions out. So the steps of Keras check their batch before the part that XLA compiles
begins, and in a graph that somebody compiles as a whole a bad value becomes NaN.
"""

import contextlib
import math
import re

import keras
import numpy as np
import tensorflow as tf

from tfssvae import value_range
from tfssvae.checks import ROUNDING, SUM_TOLERANCE, InputError
from tfssvae.layers.images import check_image_type
from tfssvae.library_errors import refusal_in

KEYS = ("labelled", "unlabelled", "unfeatured")
"""What the dict of a batch may hold."""

_FAILED = re.compile(r"assertion failed: ((?:\[[^\[\]]*\] ?)+)")
_TEXT = re.compile(r"Invalid dtype: ((?:str|bytes|object)\w*)$")
_IMAGES = "images must be floats in 0..1, or uint8 in 0..255; found values from"


@contextlib.contextmanager
def input_errors():
    """Turn what was refused while a graph ran into an `InputError` of one sentence.

    That is a check of this file, or an `InputError` of a Python function in a pipeline, or what
    Keras says of arrays of text, of which it makes no tensors.
    """
    try:
        yield
    except ValueError as error:
        found = _TEXT.match(str(error))
        if found is None:
            raise
        raise InputError(
            f"batches must hold numbers, got arrays of text ({found[1]}): give each class a number"
        ) from None
    except tf.errors.OpError as error:
        sentence = _sentence(str(error)) or refusal_in(error)
        if sentence is None:
            raise
        raise InputError(sentence) from None


def checked_images(x) -> tf.Tensor:
    """Return images as they came, once their type and their range are right.

    Args:
        x: (batch, ...) uint8, bool, or float in [0, 1], beyond by a rounding error at most.

    Raises:
        InputError: another type, when the graph is built.
        tf.errors.InvalidArgumentError: a value out of range or NaN, when it runs.
    """
    x = _as_tensor(x, "images")
    check_image_type(x.dtype)
    if x.shape.rank == 0:
        raise InputError("images must be batches, (batch, ...), got single numbers: batch them")
    if not x.dtype.is_floating:
        return x
    low, high = tf.reduce_min(x), tf.reduce_max(x)
    fine = (low >= -ROUNDING) & (high <= 1 + ROUNDING)  # false for NaN, too
    return _held_to(x, fine, _IMAGES, low, "to", high)


def checked_batch(data, num_classes: int):
    """Return `(x, y, sample_weight)` as it came, once its values and its rows are right.

    Args:
        data: what Keras passes to a step; see `batch.make_batch`.
        num_classes: K.

    Raises:
        InputError: a type, a shape, or another structure, when the graph is built.
        tf.errors.InvalidArgumentError: a bad value, when it runs.
    """
    x, y, weights = _unpacked(data)
    if isinstance(x, dict):
        unknown = sorted(set(x) - set(KEYS))
        if unknown:
            raise InputError(f"a batch has the keys {', '.join(KEYS)}; got {', '.join(unknown)}")
        labelled = x.get("labelled")
        if (labelled is None) != (y is None):
            raise InputError('a batch needs both x["labelled"] and y, or neither')
        x = {name: value for name, value in x.items() if value is not None}
        for name in x:
            if name == "unfeatured":
                x[name] = _checked_unfeatured(x[name], num_classes)
            else:
                x[name] = checked_images(x[name])
    else:
        x = labelled = checked_images(x)
    if y is not None:
        y = checked_labels(y, num_classes)
        y = _same_rows(y, labelled, "labels", "images")
    if weights is not None:
        if y is None:
            raise InputError("sample_weight is for labelled rows, and the batch has no labels")
        weights = _same_rows(_checked_weights(weights), y, "sample weights", "labels")
    return x, y, weights


def checked_labels(y, num_classes: int) -> tf.Tensor:
    """Return labels as they came, once they are classes, or -1 where there is none.

    Args:
        y: (batch,) or (batch, 1) whole numbers, or (batch, K) one-hot rows, of zeros where there is
            no label.
        num_classes: K.

    Raises:
        InputError: another type or shape, when the graph is built.
        tf.errors.InvalidArgumentError: another value, when it runs.
    """
    y = _as_tensor(y, "labels")
    if not (y.dtype.is_integer or y.dtype.is_floating or y.dtype == tf.bool):
        raise InputError(
            f"labels must be whole numbers in 0..{num_classes - 1}, -1 where there is none, got "
            f"tensors of type {y.dtype.name}: give each class a number"
        )
    one_hot = y.shape.rank == 2 and y.shape[1] == num_classes and num_classes > 1
    if not one_hot and y.shape.rank != 1 and not (y.shape.rank == 2 and y.shape[1] == 1):
        raise InputError(
            f"expected labels of shape (batch,) or one-hot (batch, {num_classes}), got {y.shape}"
            + (_UNKNOWN if y.shape.rank is None else "")
        )
    if one_hot:
        values = tf.cast(y, tf.float32)
        ones = tf.reduce_sum(values, axis=-1)
        either = tf.reduce_all((values == 0) | (values == 1), axis=-1)
        return _held_to(y, tf.reduce_all(either & (ones <= 1)), _ONE_HOT)
    if y.dtype in (tf.int32, tf.int64):  # as usual, in the fewest operations
        low, high = tf.reduce_min(y), tf.reduce_max(y)
        fine = (low >= -1) & (high < num_classes)
        return _held_to(y, fine, _LABELS.format(num_classes - 1), low, "to", high)
    values = y if y.dtype.is_floating else tf.cast(y, tf.float32)
    good = (values >= -1) & (values < num_classes) & (values == tf.floor(values))
    wrong = tf.reduce_max(tf.where(good, values.dtype.min, values))
    return _held_to(y, tf.reduce_all(good), _LABELS.format(num_classes - 1), wrong)


_LABELS = "labels must be whole numbers in 0..{}, or -1 where there is none; found"
_UNKNOWN = (
    ": tell the pipeline their shape (tf.ensure_shape, output_signature), and give every call of a "
    "model its labels in the same form"
)
_ONE_HOT = (
    "labels in rows of K numbers must be one-hot: a single 1, or zeros where there is no label. "
    "Soft labels are given as one row for each class, with its probability as sample weight"
)


def _checked_weights(weights) -> tf.Tensor:
    weights = _as_tensor(weights, "sample weights")
    if weights.shape.rank != 1 and not (weights.shape.rank == 2 and weights.shape[1] == 1):
        raise InputError(f"expected sample weights of shape (batch,), got {weights.shape}")
    if not (weights.dtype.is_integer or weights.dtype.is_floating or weights.dtype == tf.bool):
        raise InputError(f"sample weights must be numbers, got tensors of {weights.dtype.name}")
    values = tf.cast(weights, tf.float32)
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    fine = (low >= 0) & (high < np.inf)
    text = "sample weights must be finite numbers, 0 or more; found values from"
    return _held_to(weights, fine, text, low, "to", high)


def _checked_unfeatured(labels, num_classes: int) -> tf.Tensor:
    labels = _as_tensor(labels, "labels without images")
    if labels.dtype.is_integer and (labels.shape.rank == 1 or labels.shape[1:] == (1,)):
        low, high = tf.reduce_min(labels), tf.reduce_max(labels)
        text = f"labels without images must be classes in 0..{num_classes - 1}; found from"
        fine = (low >= 0) & (high < num_classes) | tf.equal(tf.size(labels), 0)
        return _held_to(labels, fine, text, low, "to", high)
    if labels.shape.rank != 2 or labels.shape[1] != num_classes:
        raise InputError(
            "expected labels without images of shape (rows,) or class probabilities (rows, "
            f"{num_classes}), got {labels.shape} {labels.dtype.name}"
        )
    values = tf.cast(labels, tf.float32)
    off = tf.reduce_max(tf.abs(tf.reduce_sum(values, axis=-1) - 1))
    low = tf.reduce_min(values)
    fine = (low >= 0) & (off <= SUM_TOLERANCE) | tf.equal(tf.size(labels), 0)
    text = "class probabilities must be 0 or more and sum to 1; found values from"
    return _held_to(labels, fine, text, low, "and sums that are off by up to", off)


def _unpacked(data):
    """Return x, y and the weights of a batch, x a tensor or a dict of tensors."""
    try:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    except ValueError as error:
        raise InputError(f"a batch is x, (x, y) or (x, y, sample_weight): {_STRUCTURE}") from error
    if isinstance(x, tuple) or isinstance(y, tuple | dict):
        what = f"x is {_kind(x)} and y {_kind(y)}"
        raise InputError(f"a batch is x, (x, y) or (x, y, sample_weight), but {what}: {_STRUCTURE}")
    return x, y, weights


_STRUCTURE = (
    'for labelled and unlabelled images map what you zip to ({"labelled": x, "unlabelled": u}, y)'
)


def _kind(value) -> str:
    if value is None or tf.is_tensor(value):
        return "missing" if value is None else "a tensor"
    return f"a {type(value).__name__}"


def _as_tensor(values, name: str) -> tf.Tensor:
    try:
        return tf.convert_to_tensor(values)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} must be dense tensors or arrays of numbers, got {type(values).__name__}"
        ) from error


def _same_rows(values: tf.Tensor, others, name: str, of: str) -> tf.Tensor:
    """Return values that have as many rows as others."""
    rows, wanted = values.shape[0], tf.convert_to_tensor(others).shape[0]
    text = f"every batch needs as many {name} as {of}; found"
    if rows is not None and wanted is not None:
        if rows != wanted:
            raise InputError(f"{text} {rows} {name} for {wanted} {of}")
        return values
    rows, wanted = tf.shape(values)[0], tf.shape(others)[0]
    return _held_to(values, tf.equal(rows, wanted), text, rows, f"{name} for", wanted, of)


def _held_to(values: tf.Tensor, fine: tf.Tensor, *message) -> tf.Tensor:
    """Return values that nothing can use before they were found fine."""
    # The bare op: tf.debugging.Assert wraps it in a branch, which costs time and converters.
    check = tf.raw_ops.Assert(condition=fine, data=list(message))
    with tf.control_dependencies([] if tf.executing_eagerly() else [check]):
        if values.dtype.is_floating:  # where XLA has left the assertion out
            return values + tf.where(fine, tf.zeros((), values.dtype), np.nan)
        return tf.identity(values)


def _sentence(text: str) -> str | None:
    """Return what a failed check says, None where the text is of no check of ours."""
    found = _FAILED.search(text)
    if found is None:
        return None
    parts = [part for part in re.findall(r"\[([^\[\]]*)\]", found[1]) if part != "Op:Assert"]
    if parts[0] == _IMAGES:
        low, high = float(parts[1]), float(parts[3])
        if math.isfinite(low) and math.isfinite(high):
            return value_range.beyond(low, high, False, "x")
        return "x has NaN or infinite values: remove or replace them (tf.where, numpy.nan_to_num)"
    return " ".join(parts)
