"""The one conversion that every loss applies to its arguments."""

import tensorflow as tf


def as_float32(values) -> tf.Tensor:
    """Return `values` (a tensor of any float type or a numpy array) as a float32 tensor.

    Losses are computed in float32 whatever the precision of the networks: half precision loses
    small probabilities and overflows in sums over pixels.
    """
    return tf.cast(tf.convert_to_tensor(values), tf.float32)


def sum_features(values: tf.Tensor) -> tf.Tensor:
    """Sum `values` (batch, ...) over every axis but the first: (batch,)."""
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))
