"""Bernoulli distributions of pixels: log-probabilities, in nats."""

import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.losses.float32 import as_float32, flatten, sum_features


def bernoulli_log_prob(x, logits) -> tf.Tensor:
    """Log-probability of pixels under independent Bernoulli distributions.

    Values of `x` between 0 and 1 give the expected log-probability of a pixel that is 1 with
    probability x: the usual treatment of grey images.

    Args:
        x: (batch, ...) values in [0, 1].
        logits: (batch, ...) log-odds, of the shape of `x`.

    Returns:
        (batch,) log-probabilities in nats, summed over all axes but the first.

    Raises:
        InputError: the shapes differ.

    >>> float(bernoulli_log_prob([[1.0, 0.0]], [[0.0, 0.0]])[0])  # 2 log(1/2)
    -1.3862943649291992
    """
    x, logits = as_float32(x), as_float32(logits)
    if not x.shape.is_compatible_with(logits.shape):
        raise InputError(f"logits must have the shape of x, {x.shape}, got {logits.shape}")
    x, logits = flatten(x), flatten(logits)  # compilers make slow loops of several axes
    return sum_features(x * logits - tf.nn.softplus(logits))
