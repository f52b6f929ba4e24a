"""What every loss does to its arguments and its values: float32, sums of features and terms."""

import math
from collections.abc import Iterable

import tensorflow as tf


def as_float32(values) -> tf.Tensor:
    """Return `values` (a tensor of any float type or a numpy array) as a float32 tensor.

    Losses are computed in float32 whatever the precision of the networks: half precision loses
    small probabilities and overflows in sums over pixels.
    """
    return tf.cast(tf.convert_to_tensor(values), tf.float32)


def flatten(values: tf.Tensor) -> tf.Tensor:
    """Return `values` (batch, ...) as (batch, features)."""
    sizes = values.shape[1:]
    features = (
        math.prod(sizes) if sizes.is_fully_defined() else tf.reduce_prod(tf.shape(values)[1:])
    )
    return tf.reshape(values, [tf.shape(values)[0], features])


def sum_features(values: tf.Tensor) -> tf.Tensor:
    """Sum `values` (batch, ...), float32, over every axis but the first: (batch,).

    On a CPU it is a product with ones, which all cores share; of a sum XLA makes a loop of one.
    Accelerators may round the factors of a product, to TensorFloat-32 or bfloat16: there it is a
    sum.
    """
    flat = flatten(values)
    if all(device.device_type == "CPU" for device in tf.config.list_logical_devices()):
        return tf.linalg.matvec(flat, tf.ones(tf.shape(flat)[1:]))
    return tf.reduce_sum(flat, axis=-1)


def add_terms(values: Iterable[tf.Tensor]) -> tf.Tensor:
    """Sum tensors of one shape in the order given.

    `tf.add_n`, and what TensorFlow's graph optimizer makes of a chain of additions, starts at
    whichever input is free to be overwritten: which one that is depends on the timing of threads,
    so two runs may differ in the last bit.
    """
    return tf.reduce_sum(tf.stack(list(values)), axis=0)
