"""Gaussian mixtures: a bound on their divergence, in nats."""

import tensorflow as tf

from tfssvae.losses.bounds import marginalize
from tfssvae.losses.categorical import kl_categorical
from tfssvae.losses.float32 import as_float32
from tfssvae.losses.gaussian import kl_gaussian


def mixture_kl_upper_bound(
    logits, mean, log_var, prior_mean, prior_log_var, prior_probs
) -> tf.Tensor:
    """Upper bound on KL(q(z|x) || p(z)) between Gaussian mixtures, EXoN eq. 12.

    KL(q(y|x) || p(y)) + sum_k q(k|x) KL(q(z|x, k) || p(z|k)): the divergence of (y, z), of which
    that of z alone is a part. The two are equal where components do not overlap.

    Args:
        logits: (batch, K) unnormalised log-probabilities of q(y|x).
        mean: (batch, K, d) means of q(z|x, y).
        log_var: (batch, K, d) log-variances of q(z|x, y).
        prior_mean: (K, d) means of p(z|y).
        prior_log_var: (K, d) log-variances of p(z|y).
        prior_probs: (K,) probabilities p(y).

    Returns:
        (batch,) nats.

    >>> components = [[[1.0], [0.0]]], [[[0.0], [0.0]]], [[0.0], [0.0]], [[0.0], [0.0]]
    >>> float(mixture_kl_upper_bound([[0.0, 0.0]], *components, [0.5, 0.5])[0])
    0.25
    """
    per_component = kl_gaussian(mean, log_var, prior_mean, prior_log_var)
    return kl_categorical(logits, tf.math.log(as_float32(prior_probs))) + marginalize(
        per_component, logits
    )
