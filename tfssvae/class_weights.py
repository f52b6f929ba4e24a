"""Keras's `class_weight` as weights of rows: checked, for classes 0..K-1, and rows without a label.

Keras itself takes 1 for a class that the dict lacks, and an index error for a label of -1.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfssvae.array_inputs import check_sample_weight
from tfssvae.batch import class_indices
from tfssvae.checks import InputError, check_labels, check_same_length

_SHOWN = 5


def weighted_by_class(x: Any, y: Any, sample_weight: Any, class_weight: Any, num_classes: int):
    """Return the x and the sample weights of a call of Keras that `class_weight` makes.

    Args:
        x: arrays beside y, or a `tf.data.Dataset` of batches.
        y: labels, or None where x is batches.
        sample_weight: of the rows, or None.
        class_weight: see `checked_class_weight`.
        num_classes: K.

    Raises:
        InputError: class_weight is not one, or there are no labels to look at.
    """
    weights = checked_class_weight(class_weight, num_classes)
    if isinstance(x, tf.data.Dataset):
        return weighted_batches(x, weights), sample_weight
    if y is None:
        raise InputError(
            "class_weight needs arrays x and y, or a tf.data.Dataset: of other batches, give each"
            " its sample weights, (x, y, sample_weight), or leave class_weight out"
        )
    return x, weights_of_rows(y, weights, sample_weight)


def checked_class_weight(class_weight: Any, num_classes: int) -> NDArray[np.float32]:
    """Return the weight of every class: (K,).

    Args:
        class_weight: {class: weight}, every class 0..K-1 with a finite weight of 0 or more, not
            all 0.
        num_classes: K.

    Raises:
        InputError: it is anything else.

    >>> checked_class_weight({0: 1, 1: 2.5}, num_classes=2)
    array([1. , 2.5], dtype=float32)
    """
    if not isinstance(class_weight, Mapping):
        raise InputError(
            f"class_weight must be a dict of class -> weight, got {class_weight!r:.80}: write"
            " dict(enumerate(weights)) for a list of weights, of which"
            ' sklearn.utils.class_weight.compute_class_weight("balanced", ...) makes one'
        )
    for key in class_weight:
        if isinstance(key, bool | np.bool_) or not isinstance(key, int | np.integer):
            raise InputError(
                f"class_weight has the key {key!r:.80}, and its keys are the classes as whole"
                f" numbers 0..{num_classes - 1}: names of classes stand in data.class_names"
            )
    unknown = sorted(key for key in class_weight if not 0 <= key < num_classes)
    if unknown:
        rows = " (rows of -1 have no label, and need no weight)" if -1 in unknown else ""
        raise InputError(
            f"class_weight has a weight for {_shown(unknown)}, and the classes of the model are"
            f" 0..{num_classes - 1}{rows}: leave it out"
        )
    absent = [k for k in range(num_classes) if k not in class_weight]
    if absent:
        raise InputError(
            f"class_weight has no weight for {_shown(absent)} of the classes 0..{num_classes - 1}:"
            " give each class one, 1 where a label counts once"
        )
    for k, value in class_weight.items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not 0 <= value < float("inf"):
            raise InputError(
                f"class_weight of class {k} is {value!r:.80}: a weight is a finite number, 0 or"
                " more"
            )
    weights = np.array([class_weight[k] for k in range(num_classes)], np.float32)
    if not weights.any():
        raise InputError("class_weight is 0 for every class: give one a weight above 0")
    return weights


def weights_of_rows(
    y: ArrayLike, class_weights: NDArray[np.float32], sample_weight: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Return the weight of each row, (n,): that of its class times its own.

    Args:
        y: (n,) or (n, 1) classes 0..K-1, -1 where there is no label, or one-hot rows (n, K).
        class_weights: (K,), see `checked_class_weight`.
        sample_weight: (n,) or (n, 1) weights of the rows; 1 when not given.

    Returns:
        float32; rows without a label keep their own weight.

    Raises:
        InputError: y is no such array, or the two differ in length.

    >>> weights_of_rows([1, -1, 0], np.array([1.0, 2.5], np.float32), [2.0, 3.0, 4.0])
    array([5., 3., 4.], dtype=float32)
    """
    labels = check_labels(y, len(class_weights))
    found = np.where(labels < 0, np.float32(1), class_weights[labels])
    if sample_weight is None:
        return found
    own = check_sample_weight(sample_weight)
    check_same_length(labels, own, ("y", "sample_weight"))
    return found * own


def weighted_batches(
    batches: tf.data.Dataset, class_weights: NDArray[np.float32]
) -> tf.data.Dataset:
    """Return batches (x, y) or (x, y, weights) as (x, y, weights), each weight times its class's.

    Args:
        batches: x is anything; y (n,) or (n, 1) classes, -1 where there is no label, or one-hot
            rows (n, K); weights (n,) or (n, 1).
        class_weights: (K,), see `checked_class_weight`.

    Returns:
        The same x and y, with weights (n,) float32; rows without a label keep their own. A label
        that is out of range is for the model to refuse.

    Raises:
        InputError: the batches have no labels, or labels that are not one tensor of numbers.
        tf.errors.InvalidArgumentError: a batch has another number of weights than of labels.
    """
    spec = batches.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise InputError(
            "class_weight needs batches (x, y) or (x, y, sample_weight), and these have no labels:"
            " leave class_weight out"
        )
    if not isinstance(spec[1], tf.TensorSpec) or spec[1].dtype == tf.string:
        raise InputError(
            f"class_weight needs labels that are one tensor of numbers, got {spec[1]!r:.120}"
        )
    table = tf.constant(class_weights, tf.float32)

    def weighted(x, y, own=None):
        labels = class_indices(y, len(class_weights))
        found = tf.gather(table, tf.clip_by_value(labels, 0, len(class_weights) - 1))
        found = tf.where(labels < 0, 1.0, found)
        if own is not None:
            own = tf.cast(tf.reshape(own, [-1]), tf.float32)
            same_length = tf.debugging.assert_equal(
                tf.size(own), tf.size(found), "y and sample_weight must have the same length"
            )
            with tf.control_dependencies([same_length] if same_length is not None else []):
                found *= own
        return x, y, found

    return batches.map(weighted, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _shown(classes: list[int]) -> str:
    return ", ".join(map(str, classes[:_SHOWN])) + ", ..." * (len(classes) > _SHOWN)
