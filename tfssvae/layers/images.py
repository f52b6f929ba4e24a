"""The one place where images become numbers between 0 and 1, and where they are changed."""

import inspect

import keras
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.noise import Noise


def scale_images(x) -> tf.Tensor:
    """Return images as float32 in [0, 1]: uint8 is divided by 255, floats are taken as they are.

    Args:
        x: (batch, ...) uint8 in 0..255, bool, or float in [0, 1]. The range is not looked at here:
            see `batch_checks.checked_images`.

    Returns:
        float32 of the same shape.

    Raises:
        InputError: another type.

    >>> float(scale_images(tf.constant([255], tf.uint8))[0])
    1.0
    """
    x = tf.convert_to_tensor(x)
    if x.dtype == tf.uint8:
        return tf.cast(x, tf.float32) * (1.0 / 255.0)
    check_image_type(x.dtype)
    return tf.cast(x, tf.float32)


def check_image_type(dtype: tf.DType) -> None:
    """Refuse tensors of images whose type does not say what their range is.

    Raises:
        InputError: anything but uint8, bool and floats.
    """
    if not (dtype.is_floating or dtype in (tf.uint8, tf.bool)):
        raise InputError(
            f"images must be uint8 in 0..255 or floats in 0..1, got {dtype.name}: make 8-bit "
            "images uint8 (tf.cast(x, tf.uint8)), divide others by their largest possible value"
        )


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
