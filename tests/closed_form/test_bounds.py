"""The importance-weighted bound on a model whose evidence is known exactly."""

import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import losses
from tfssvae.core import SemiSupervisedVAE

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


class LinearGaussian(SemiSupervisedVAE):
    """p(x) of the model above, with x = 4 image - 2, by samples of q(z|x) = N(.3 x, .4)."""

    def __init__(self):
        super().__init__((1,), 2)

    def log_weights(self, x, num_samples, noise):
        x = 4.0 * x - 2.0
        z = 0.3 * x + np.sqrt(0.4) * noise.normal((tf.shape(x)[0], num_samples))
        log_prior = -0.5 * (np.log(2 * np.pi) + z**2)
        log_likelihood = -0.5 * (np.log(2 * np.pi * S2) + (x - W * z) ** 2 / S2)
        log_q = -0.5 * (np.log(2 * np.pi * 0.4) + (z - 0.3 * x) ** 2 / 0.4)
        return log_prior + log_likelihood - log_q


IMAGES = ((X + 2) / 4)[:, None].astype("float32")


def test_the_likelihood_of_a_model_rises_with_samples_and_reaches_the_evidence():
    model, rows = LinearGaussian(), np.repeat(IMAGES, 300, axis=0)
    means = [
        model.log_likelihood(rows, samples, batch_size=size).mean()
        for samples, size in ((1, 900), (5, 900), (50, 100))
    ]
    assert means == sorted(means)
    found = model.log_likelihood(IMAGES, 200_000)
    np.testing.assert_allclose(found, EVIDENCE, atol=0.01)


def test_the_likelihood_is_a_function_of_the_seed():
    model = LinearGaussian()
    one, again, other = (model.log_likelihood(IMAGES, 60, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).min() > 1e-4


class Constant(LinearGaussian):
    """Every importance weight is e."""

    def log_weights(self, x, num_samples, noise):
        return tf.ones([tf.shape(x)[0], num_samples])


@pytest.mark.parametrize("samples", [1, 49, 50, 51, 1000, 1001, 2049])
@pytest.mark.parametrize("batch_size", [1, 2, 50, 9999])
def test_every_sample_counts_once(samples, batch_size):
    found = Constant().log_likelihood(IMAGES, samples, batch_size=batch_size)
    np.testing.assert_allclose(found, 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 2.5}, "num_samples must be a whole number"),
        ({"num_samples": True}, "num_samples"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": 2**40}, "seed"),
    ],
)
def test_likelihoods_of_bad_arguments_are_refused(arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        LinearGaussian().log_likelihood(IMAGES, **arguments)
    found = LinearGaussian().log_likelihood(IMAGES, np.int64(5), batch_size=np.int64(2))
    assert np.isfinite(found).all()
