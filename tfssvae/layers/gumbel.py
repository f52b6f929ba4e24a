"""Draws from discrete distributions that gradients pass through."""

import tensorflow as tf


def gumbel_softmax(logits, noise, temperature: float, hard: bool = False) -> tf.Tensor:
    """Return softmax((log q + g) / temperature), a relaxed one-hot draw (Jang et al., 2017).

    Args:
        logits: (..., K) unnormalised log-probabilities.
        noise: (..., K) standard Gumbel draws.
        temperature: positive; towards 0 the draw becomes one-hot.
        hard: return the one-hot argmax, an exact draw, with the gradient of the relaxed one
            (straight-through Gumbel-max).

    Returns:
        (..., K) float32 that sum to 1.
    """
    scores = tf.cast(logits, tf.float32) + noise
    # TensorFlow's arithmetic optimizer rewrites a plain division, but not in every driver's graph:
    # with this one all drivers round alike.
    relaxed = tf.nn.softmax(tf.math.divide_no_nan(scores, temperature))
    if not hard:
        return relaxed
    one_hot = tf.one_hot(tf.argmax(scores, axis=-1), scores.shape[-1])
    # In this order the value is exactly one-hot: the bracket is an exact 0.
    return tf.stop_gradient(one_hot) + (relaxed - tf.stop_gradient(relaxed))


def gumbel_max(logits, noise) -> tf.Tensor:
    """Draw a one-hot class by the Gumbel-max trick, with EXoN's straight-through gradient.

    The value is the one-hot argmax of s = log q + g, an exact draw; its gradient is that of s
    itself, so that the k-th entry passes its gradient on to log q_k. (`gumbel_softmax` with `hard`
    passes it through a softmax.)

    Args:
        logits: (..., K) unnormalised log-probabilities.
        noise: (..., K) standard Gumbel draws.

    Returns:
        (..., K) one-hot float32.

    >>> gumbel_max([0.0, 1.0], [0.0, 0.0]).numpy().tolist()
    [0.0, 1.0]
    """
    scores = tf.nn.log_softmax(tf.cast(logits, tf.float32)) + noise
    one_hot = tf.one_hot(tf.argmax(scores, axis=-1), scores.shape[-1])
    # In this order the value is exactly one-hot: the bracket is an exact 0.
    return tf.stop_gradient(one_hot) + (scores - tf.stop_gradient(scores))


def relaxed_bernoulli(logits, noise, temperature: float, hard: bool = False) -> tf.Tensor:
    """Return sigmoid((logits + l) / temperature), a relaxed 0 or 1 (Maddison et al., 2017).

    Args:
        logits: (...) log-odds.
        noise: (...) uniform draws from (0, 1); l = log u - log(1 - u) is logistic.
        temperature: positive; towards 0 the draw becomes 0 or 1.
        hard: return 0 or 1, an exact draw, with the gradient of the relaxed one
            (straight-through).

    Returns:
        (...) float32 in [0, 1].
    """
    logits = tf.cast(logits, tf.float32)
    scores = logits + tf.math.log(noise) - tf.math.log1p(-noise)
    relaxed = tf.sigmoid(tf.math.divide_no_nan(scores, temperature))
    if not hard:
        return relaxed
    return tf.stop_gradient(bernoulli(logits, noise)) + (relaxed - tf.stop_gradient(relaxed))


def bernoulli(logits, noise) -> tf.Tensor:
    """Return 0 or 1, an exact draw through which no gradient passes.

    Args:
        logits: (...) log-odds.
        noise: (...) uniform draws from (0, 1).

    Returns:
        (...) float32, 1 with probability sigmoid(logits): where `relaxed_bernoulli` with the same
        noise is above 1/2.
    """
    return tf.cast(noise > tf.sigmoid(-tf.cast(logits, tf.float32)), tf.float32)
