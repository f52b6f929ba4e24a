"""Pieces that every bound on a likelihood is made of."""

import math

import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.losses.float32 import as_float32


def marginalize(values, logits) -> tf.Tensor:
    """Expectation of per-class values under q(y|x): sum_k q(k|x) values[:, k].

    Args:
        values: (batch, K) or (batch, K, ...), one entry per class.
        logits: (batch, K) unnormalised log-probabilities of q(y|x).

    Returns:
        (batch,) or (batch, ...).

    Raises:
        InputError: the shapes do not fit.

    >>> float(marginalize([[1.0, 3.0]], [[0.0, 0.0]])[0])
    2.0
    """
    values, probs = as_float32(values), tf.nn.softmax(as_float32(logits))
    if not values.shape[:2].is_compatible_with(probs.shape):
        raise InputError(
            f"values must be (batch, K, ...) where logits are (batch, K), got {values.shape} and "
            f"{probs.shape}"
        )
    for _ in values.shape[2:]:
        probs = probs[..., None]
    return tf.reduce_sum(values * probs, axis=1)


def capacity_distance(values, capacity, mean=None) -> tf.Tensor:
    """|mean - C| of a divergence and its capacity C (Burgess et al., 2018), one value per example.

    Args:
        values: (batch,) divergences in nats.
        capacity: C, a scalar in nats.
        mean: of `values` over all replicas; None: of these.

    Returns:
        (batch,) values whose mean, and the gradient of whose mean, are those of |mean - C|.

    >>> capacity_distance([1.0, 2.0], 4.0).numpy().tolist()
    [2.5, 2.5]
    """
    values = as_float32(values)
    away = tf.stop_gradient((tf.reduce_mean(values) if mean is None else mean) - capacity)
    return tf.abs(away) + tf.sign(away) * (values - tf.stop_gradient(values))


def importance_weighted_bound(log_weights) -> tf.Tensor:
    """Importance-weighted bound on log p(x) (Burda et al., 2016, eq. 8).

    One sample gives the evidence lower bound; more samples tighten it in expectation.

    Args:
        log_weights: (batch, S): log p(x, latents_s) - log q(latents_s | x) of S posterior samples.

    Returns:
        (batch,) log mean exp over the last axis, in nats.

    >>> float(importance_weighted_bound([[2.0]])[0])
    2.0
    """
    log_weights = as_float32(log_weights)
    samples = log_weights.shape[-1]
    log_samples = (
        math.log(samples)
        if samples is not None
        else tf.math.log(tf.cast(tf.shape(log_weights)[-1], tf.float32))
    )
    return tf.reduce_logsumexp(log_weights, axis=-1) - log_samples
