"""Categorical distributions: log-probabilities, entropies and divergences, in nats."""

import tensorflow as tf

from tfssvae.losses.float32 import as_float32


def _expected(probs: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Sum of `probs * values` over the last axis, where 0 * inf counts as 0."""
    return tf.reduce_sum(tf.math.multiply_no_nan(values, probs), axis=-1)


def _negative_p_log_p(log_probs: tf.Tensor) -> tf.Tensor:
    return -_expected(tf.exp(log_probs), log_probs)


def entropy(logits) -> tf.Tensor:
    """Entropy H(q) of each row of a categorical distribution.

    Args:
        logits: (batch, K) unnormalised log-probabilities; -inf is allowed.

    Returns:
        (batch,) entropies in nats, between 0 and log K.

    >>> float(entropy([[0.0, 0.0]])[0])  # log 2
    0.6931471824645996
    """
    return _negative_p_log_p(tf.nn.log_softmax(as_float32(logits)))


def mutual_information(logits) -> tf.Tensor:
    """Mutual information I(y; x) between class and input under q(y|x), MIER eq. 8.

    The estimate takes the batch for the data: H(mean_i q_i) - mean_i H(q_i).

    Args:
        logits: (batch, K) unnormalised log-probabilities of q(y|x_i).

    Returns:
        A scalar in nats, from 0 (all rows alike) to log K (sure of every row, classes balanced).

    >>> float(mutual_information([[50.0, 0.0], [0.0, 50.0]]))  # log 2
    0.6931471824645996
    """
    log_probs = tf.nn.log_softmax(as_float32(logits))
    rows = tf.cast(tf.shape(log_probs)[0], tf.float32)
    log_mean = tf.reduce_logsumexp(log_probs, axis=0) - tf.math.log(rows)
    return _negative_p_log_p(log_mean) - tf.reduce_mean(_negative_p_log_p(log_probs))


def kl_categorical(p_logits, q_logits) -> tf.Tensor:
    """KL(p || q) between categorical distributions.

    Args:
        p_logits: (batch, K) unnormalised log-probabilities of p.
        q_logits: (batch, K) or (K,) unnormalised log-probabilities of q.

    Returns:
        (batch,) divergences in nats.

    >>> float(kl_categorical([[0.0, 0.0]], [0.0, 0.0])[0])
    0.0
    """
    log_p = tf.nn.log_softmax(as_float32(p_logits))
    log_q = tf.nn.log_softmax(as_float32(q_logits))
    return _expected(tf.exp(log_p), log_p - log_q)


def categorical_log_prob(labels, logits) -> tf.Tensor:
    """Log-probability log q(y) of each label.

    Args:
        labels: (batch,) integer classes 0..K-1; a label outside this range (such as -1, unlabelled)
            yields 0, a value without a gradient.
        logits: (batch, K) unnormalised log-probabilities.

    Returns:
        (batch,) log-probabilities in nats.

    >>> float(categorical_log_prob([1], [[0.0, 0.0]])[0])  # -log 2
    -0.6931471824645996
    """
    log_probs = tf.nn.log_softmax(as_float32(logits))
    chosen = tf.one_hot(tf.cast(labels, tf.int32), log_probs.shape[-1])
    return _expected(chosen, log_probs)
