"""Mixing images in pairs: what interpolation and mixup share."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfssvae.noise import Noise
from tfssvae.replicas import of_all_replicas


def mixing_weights(noise: Noise, rows, concentration: float, per_example: bool) -> tf.Tensor:
    """Draw lambda ~ Beta(concentration, concentration): (rows,), or () for the whole batch."""
    uniform = noise.uniform((rows if per_example else 1,))
    # One number for the whole batch is the first replica's.
    uniform = uniform if per_example else of_all_replicas(uniform)[0]
    if concentration == 1.0:
        return uniform
    shape = tf.fill(tf.shape(uniform), concentration)
    return tfp.math.betaincinv(shape, shape, uniform)


def mix_rows(x_0: tf.Tensor, x_1: tf.Tensor, lam: tf.Tensor) -> tf.Tensor:
    """Return (1 - lam) x_0 + lam x_1 of (rows, ...), lam (rows,) or ()."""
    lam = tf.reshape(lam, [-1, *[1] * (x_0.shape.rank - 1)])
    return (1.0 - lam) * x_0 + lam * x_1


def neighbours(values: tf.Tensor) -> tf.Tensor:
    """Return each row's random partner, never itself: batches are shuffled, so it is the next."""
    return tf.roll(values, -1, axis=0)
