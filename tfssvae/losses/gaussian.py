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


def pairwise_gaussian_kl(mean, log_var) -> tf.Tensor:
    """KL(N_i || N_j) between all Gaussians of a batch, by one matrix product.

    2 B^2 (2 d + 1) operations and (B, B) values of memory: no (B, B, d) tensor. Means are centred
    first, because the product subtracts squares: the error of an entry is of the order of 1e-7 of
    the squared distances from the centre in units of the variance.

    Args:
        mean: (batch, d) means.
        log_var: (batch, d) log-variances.

    Returns:
        (batch, batch) divergences in nats, not negative, 0 on the diagonal.

    >>> pairwise_gaussian_kl([[0.0], [1.0]], [[0.0], [0.0]]).numpy().tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    mean, log_var = as_float32(mean), as_float32(log_var)
    mean = mean - tf.reduce_mean(mean, axis=0)
    precision = tf.exp(-log_var)
    log_volume = tf.reduce_sum(log_var, axis=-1)
    # sum_d (var_i + (m_i - m_j)^2) / var_j, the square multiplied out.
    left = tf.concat([tf.exp(log_var) + tf.square(mean), -2.0 * mean], axis=-1)
    right = tf.concat([precision, mean * precision], axis=-1)
    scaled = tf.matmul(left, right, transpose_b=True)
    scaled += tf.reduce_sum(tf.square(mean) * precision, axis=-1)
    size = tf.cast(tf.shape(mean)[-1], tf.float32)
    divergence = 0.5 * (scaled - size + log_volume - log_volume[:, None])
    zeros = tf.zeros(tf.shape(divergence)[:1])
    return tf.linalg.set_diag(tf.maximum(divergence, 0.0), zeros)


def bhattacharyya(mean, log_var) -> tf.Tensor:
    """Bhattacharyya coefficient of each pair of Gaussians, the integral of sqrt(N_i N_j).

    1 on the diagonal and for equal components, towards 0 the further they are apart. Half of an
    entry bounds the error of telling two equally likely components apart.

    Args:
        mean: (K, d) means; K and d are small: a (K, K, d) tensor is made.
        log_var: (K, d) log-variances.

    Returns:
        (K, K) in [0, 1].

    >>> bhattacharyya([[0.0], [0.0]], [[0.0], [0.0]]).numpy().tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    mean, log_var = as_float32(mean), as_float32(log_var)
    log_both = tf.math.log(0.5 * (tf.exp(log_var[:, None]) + tf.exp(log_var)))
    squared = tf.math.squared_difference(mean[:, None], mean) * tf.exp(-log_both)
    log_volume = log_both - 0.5 * (log_var[:, None] + log_var)
    return tf.exp(-tf.reduce_sum(squared / 8.0 + log_volume / 2.0, axis=-1))


def optimal_match(mean, log_var) -> tf.Tensor:
    """The most alike other Gaussian of a batch: argmin over j != i of KL(N_i || N_j).

    SHOT-VAE, section "OT-approximation", in one minibatch. Of equals the first is taken.

    Args:
        mean: (batch, d) means; the only one of a batch of 1 is its own match.
        log_var: (batch, d) log-variances.

    Returns:
        (batch,) int32 indices.

    >>> optimal_match([[0.0], [5.0], [1.0]], [[0.0], [0.0], [0.0]]).numpy().tolist()
    [2, 2, 0]
    """
    divergence = pairwise_gaussian_kl(mean, log_var)
    never = tf.fill(tf.shape(divergence)[:1], float("inf"))
    return tf.argmin(tf.linalg.set_diag(divergence, never), axis=-1, output_type=tf.int32)
