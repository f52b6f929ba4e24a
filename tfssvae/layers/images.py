"""The one place where images become numbers between 0 and 1."""

import tensorflow as tf


def scale_images(x) -> tf.Tensor:
    """Return images as float32 in [0, 1]: uint8 is divided by 255, floats are taken as they are.

    Args:
        x: (batch, ...) uint8 in 0..255, or float in [0, 1].

    Returns:
        float32 of the same shape.

    >>> float(scale_images(tf.constant([255], tf.uint8))[0])
    1.0
    """
    x = tf.convert_to_tensor(x)
    if x.dtype == tf.uint8:
        return tf.cast(x, tf.float32) * (1.0 / 255.0)
    return tf.cast(x, tf.float32)
