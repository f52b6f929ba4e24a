"""Categorical distributions: log-probabilities, entropies and divergences, in nats."""

import tensorflow as tf

from tfssvae.losses.float32 import as_float32

_SMALLEST = 2.0**-126  # the smallest normal float32: its logarithm is finite


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


def smooth_labels(labels, num_classes: int, epsilon: float) -> tf.Tensor:
    """Smoothed one-hot labels, SHOT-VAE eq. 9.

    Args:
        labels: (batch,) integer classes 0..K-1.
        num_classes: K, at least 2.
        epsilon: probability taken from the label, in [0, 1].

    Returns:
        (batch, K): 1 - epsilon on the label, epsilon / (K - 1) elsewhere.

    >>> smooth_labels([1], 3, 0.5).numpy().tolist()
    [[0.25, 0.5, 0.25]]
    """
    chosen = tf.one_hot(tf.cast(labels, tf.int32), num_classes)
    return chosen * (1.0 - epsilon) + (1.0 - chosen) * (epsilon / (num_classes - 1))


def optimal_interpolation(logits_mixed, probs_0, probs_1, lam) -> tf.Tensor:
    """Optimal interpolation between two predictions, SHOT-VAE eqs. 14 and 15.

    KL(q(y|x~) || (1 - lam) probs_0 + lam probs_1) with x~ = (1 - lam) x_0 + lam x_1. The mixed
    prediction is the target: no gradient passes through it.

    Args:
        logits_mixed: (batch, K) unnormalised log-probabilities of q(y|x~).
        probs_0: (batch, K) probabilities q(y|x_0).
        probs_1: (batch, K) probabilities q(y|x_1).
        lam: () or (batch,) in [0, 1].

    Returns:
        (batch,) divergences in nats.

    >>> float(optimal_interpolation([[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]], 0.5)[0])
    0.0
    """
    lam = as_float32(lam)[..., None]
    target = (1.0 - lam) * as_float32(probs_0) + lam * as_float32(probs_1)
    target = tf.stop_gradient(tf.maximum(target, _SMALLEST))
    log_q = tf.nn.log_softmax(as_float32(logits_mixed))
    return _expected(tf.exp(log_q), log_q - tf.math.log(target))


def soft_label_consistency(logits_mixed, probs_1, probs_2, rho) -> tf.Tensor:
    """Cross-entropy of a prediction with two mixed soft labels, EXoN eq. 7.

    rho H(probs_1, f) + (1 - rho) H(probs_2, f), f the prediction for the mixed image. The soft
    labels are constants: no gradient passes through them.

    Args:
        logits_mixed: (batch, K) unnormalised log-probabilities of f.
        probs_1: (batch, K) soft labels, weighted by rho.
        probs_2: (batch, K) soft labels, weighted by 1 - rho.
        rho: () or (batch,) in [0, 1].

    Returns:
        (batch,) cross-entropies in nats.

    >>> float(soft_label_consistency([[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]], 0.5)[0])  # log 2
    0.6931471824645996
    """
    rho = as_float32(rho)[..., None]
    target = tf.stop_gradient(rho * as_float32(probs_1) + (1.0 - rho) * as_float32(probs_2))
    return -_expected(target, tf.nn.log_softmax(as_float32(logits_mixed)))
