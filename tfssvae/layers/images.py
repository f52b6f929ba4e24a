"""The one place where images become numbers between 0 and 1, and where they are changed."""

import inspect

import keras
import tensorflow as tf

from tfssvae.noise import Noise


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


def augment_images(augment, images: tf.Tensor, noise: Noise) -> tf.Tensor:
    """Return randomly changed images of a training step.

    Args:
        augment: a layer or function. One whose call has an argument `noise` gets the step's, and
            its draws are a function of (seed, step); any other layer is called with
            `training=True`.
        images: (batch, ...) float32 in [0, 1].
        noise: the random numbers of this step.
    """
    if "noise" in inspect.signature(getattr(augment, "call", augment)).parameters:
        return augment(images, noise=noise)
    if isinstance(augment, keras.layers.Layer):
        return augment(images, training=True)
    return augment(images)
