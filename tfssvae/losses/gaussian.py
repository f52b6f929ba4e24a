"""Diagonal Gaussian distributions: log-probabilities and divergences, in nats."""

import math

import tensorflow as tf

from tfssvae.losses.float32 import as_float32, sum_features


def gaussian_log_prob(x, mean, variance) -> tf.Tensor:
    """Log-density of independent Gaussians.

    Args:
        x: (batch, ...) values.
        mean: means, of the shape of `x` or broadcast to it.
        variance: positive variances, of the shape of `x` or broadcast to it.

    Returns:
        (batch,) log-densities in nats, summed over all axes but the first.

    >>> float(gaussian_log_prob([[0.0]], [[0.0]], 1.0)[0])  # -log sqrt(2 pi)
    -0.9189385175704956
    """
    x, mean, variance = as_float32(x), as_float32(mean), as_float32(variance)
    squared = tf.math.squared_difference(x, mean) / variance
    return -0.5 * sum_features(squared + tf.math.log(variance) + math.log(2 * math.pi))


def kl_gaussian(mean_p, log_var_p, mean_q, log_var_q) -> tf.Tensor:
    """KL(p || q) between Gaussians with diagonal covariance.

    Args:
        mean_p: (batch, ..., d) means of p.
        log_var_p: (batch, ..., d) log-variances of p.
        mean_q: means of q, broadcast to those of p.
        log_var_q: log-variances of q, broadcast to those of p.

    Returns:
        (batch, ...) divergences in nats, summed over the last axis.

    >>> float(kl_gaussian([[1.0]], [[0.0]], [[0.0]], [[0.0]])[0])
    0.5
    """
    mean_p, log_var_p = as_float32(mean_p), as_float32(log_var_p)
    mean_q, log_var_q = as_float32(mean_q), as_float32(log_var_q)
    ratio = log_var_p - log_var_q
    distance = tf.math.squared_difference(mean_p, mean_q) * tf.exp(-log_var_q)
    return 0.5 * tf.reduce_sum(tf.exp(ratio) + distance - 1.0 - ratio, axis=-1)
