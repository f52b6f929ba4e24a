"""The importance-weighted bound on a model whose evidence is known exactly."""

import numpy as np
import pytest
import tensorflow as tf

from tfssvae import losses

# z ~ N(0, 1), x|z ~ N(w z, s^2): p(x) = N(0, w^2 + s^2).
W, S2 = 1.5, 0.5
X = np.array([-2.0, 0.3, 1.0])
EVIDENCE = -0.5 * (np.log(2 * np.pi * (W**2 + S2)) + X**2 / (W**2 + S2))


def log_weights(samples, mean, variance, seed=0):
    """log p(x, z) - log q(z|x) with q(z|x) = N(mean x, variance)."""
    z = mean * X[:, None] + np.sqrt(variance) * np.random.default_rng(seed).normal(
        size=(len(X), samples)
    )
    log_prior = -0.5 * (np.log(2 * np.pi) + z**2)
    log_likelihood = -0.5 * (np.log(2 * np.pi * S2) + (X[:, None] - W * z) ** 2 / S2)
    log_q = -0.5 * (np.log(2 * np.pi * variance) + (z - mean * X[:, None]) ** 2 / variance)
    return log_prior + log_likelihood - log_q


def test_one_sample_is_the_evidence_lower_bound():
    weights = log_weights(1, 0.3, 0.4)
    np.testing.assert_allclose(losses.importance_weighted_bound(weights), weights[:, 0], rtol=1e-6)


def test_the_exact_posterior_gives_the_evidence_with_one_sample():
    precision = 1 + W**2 / S2
    weights = log_weights(1, W / S2 / precision, 1 / precision)
    np.testing.assert_allclose(losses.importance_weighted_bound(weights), EVIDENCE, rtol=1e-5)


def test_the_bound_rises_with_samples_and_reaches_the_evidence():
    means = []
    for samples in (1, 5, 50, 20000):
        repeats = max(1, 20000 // samples)
        bounds = [
            losses.importance_weighted_bound(log_weights(samples, 0.3, 0.4, seed)).numpy()
            for seed in range(min(repeats, 400))
        ]
        means.append(np.mean(bounds))
    assert means == sorted(means)
    assert means[-1] == pytest.approx(EVIDENCE.mean(), abs=0.02)


def test_weights_far_below_the_smallest_float_do_not_vanish():
    weights = np.array([[-1e4, -1e4 + np.log(3.0)]])
    np.testing.assert_allclose(
        losses.importance_weighted_bound(weights), [-1e4 + np.log(2.0)], rtol=1e-6
    )


def test_an_unknown_number_of_samples_is_counted():
    @tf.function(input_signature=[tf.TensorSpec((None, None))])
    def bound(weights):
        return losses.importance_weighted_bound(weights)

    np.testing.assert_allclose(bound(tf.fill([2, 7], 1.0)), [1.0, 1.0], rtol=1e-6)
