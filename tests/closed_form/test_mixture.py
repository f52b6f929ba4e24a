"""Mixture priors, their layouts, and the bound on the divergence of mixtures."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats
from tensorflow_probability import distributions as tfd

import tfssvae
from tfssvae import layers, losses
from tfssvae.layers import GaussianMixturePrior
from tfssvae.noise import Noise

MEAN = np.array([[0.0, 1.0], [3.0, -2.0], [-1.0, 4.0]])
VARIANCE = np.array([[1.0, 4.0], [0.5, 0.25], [2.0, 1.0]])
PROBS = np.array([0.5, 0.3, 0.2])


def distances(mean):
    return np.linalg.norm(mean[:, None] - mean[None], axis=-1)


def neighbours(mean):
    between = distances(mean)
    return between[~np.eye(len(mean), dtype=bool)].min()


def test_the_prior_is_the_mixture():
    prior = GaussianMixturePrior(MEAN, VARIANCE, PROBS)
    z = np.random.default_rng(0).normal(size=(50, 2)).astype("float32") * 3
    densities = [
        stats.norm(m, np.sqrt(v)).pdf(z).prod(axis=1) for m, v in zip(MEAN, VARIANCE, strict=True)
    ]
    distribution = prior.distribution()
    np.testing.assert_allclose(
        np.exp(distribution.log_prob(z)), PROBS @ densities, rtol=1e-4, atol=1e-30
    )
    for k in range(3):
        np.testing.assert_allclose(
            np.exp(prior.component(k).log_prob(z)), densities[k], rtol=1e-4, atol=1e-30
        )
    found = np.exp(prior.components().log_prob(z[:, None]))
    np.testing.assert_allclose(found, np.transpose(densities), rtol=1e-4, atol=1e-30)
    mean = PROBS @ MEAN
    np.testing.assert_allclose(distribution.mean(), mean, rtol=1e-5)
    expected = PROBS @ (VARIANCE + np.square(MEAN - mean))
    np.testing.assert_allclose(distribution.variance(), expected, rtol=1e-5)
    other = prior.distribution(np.log([0.1, 0.1, 0.8]).astype("float32"))
    np.testing.assert_allclose(
        np.exp(other.log_prob(z)), np.array([0.1, 0.1, 0.8]) @ densities, 1e-4
    )


def test_the_prior_survives_saving():
    prior = GaussianMixturePrior(*layers.circle_layout(7, 3.0), probs=np.full(7, 1 / 7))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior))
    np.testing.assert_array_equal(copy.mean, prior.mean)
    np.testing.assert_array_equal(copy.variance, prior.variance)
    np.testing.assert_allclose(copy.probs, prior.probs, rtol=1e-6)
    assert (
        GaussianMixturePrior.from_config(GaussianMixturePrior(MEAN, 1.0).get_config()).probs is None
    )


def test_one_variance_is_that_of_every_component():
    np.testing.assert_array_equal(GaussianMixturePrior(MEAN, 2.0).variance, np.full((3, 2), 2.0))
    np.testing.assert_array_equal(GaussianMixturePrior(MEAN, [1, 2]).variance[2], [1, 2])


@pytest.mark.parametrize(
    ("mean", "variance", "probs", "message"),
    [
        ([1.0, 2.0], 1.0, None, "one component per class"),
        ([["a"]], 1.0, None, "arrays of numbers"),
        (MEAN, VARIANCE[:2], None, r"variance must have shape \(3, 2\)"),
        (MEAN, -VARIANCE, None, "positive"),
        (MEAN * np.nan, VARIANCE, None, "finite"),
        (MEAN, VARIANCE * np.inf, None, "finite"),
        (MEAN, VARIANCE, [0.5, 0.5], "3 positive numbers"),
        (MEAN, VARIANCE, [0.5, 0.5, 0.5], "sum to 1"),
        (MEAN, VARIANCE, "ab", "3 positive numbers"),
    ],
)
def test_bad_components_are_refused(mean, variance, probs, message):
    with pytest.raises(tfssvae.InputError, match=message):
        GaussianMixturePrior(mean, variance, probs)


def test_overlap_is_the_integral_of_the_geometric_mean():
    one, two = stats.norm(0.3, 0.7), stats.norm(1.9, 1.6)
    expected, _ = integrate.quad(lambda z: np.sqrt(one.pdf(z) * two.pdf(z)), -12, 14)
    found = layers.component_overlap([[0.3], [1.9]], [[0.49], [2.56]])
    np.testing.assert_allclose(found, [[1, expected], [expected, 1]], rtol=1e-6)
    circle = GaussianMixturePrior(*layers.circle_layout(10, 4.0)).overlap()
    np.testing.assert_allclose(np.diag(circle, 1), np.exp(-2), rtol=1e-5)
    assert circle[0, 5] < 1e-8


def test_the_papers_circle():
    mean, variance = layers.circle_layout(10, 4.0)
    np.testing.assert_allclose(np.linalg.norm(mean, axis=1), 4 / np.sin(np.pi / 10))
    assert np.linalg.norm(mean[0]) == pytest.approx(12.94, abs=0.005)
    degrees = np.degrees(np.arctan2(mean[:, 1], mean[:, 0])) % 360
    np.testing.assert_allclose(degrees, 18 + 36 * np.arange(10), atol=1e-9)
    np.testing.assert_array_equal(variance, np.full((10, 2), 4.0))
    assert neighbours(layers.circle_layout(37, 2.5)[0]) == pytest.approx(4 * np.sqrt(2.5))


def test_the_papers_unit_vectors():
    mean, variance = layers.one_hot_layout(10, 256)
    np.testing.assert_array_equal(mean[:, :10], np.eye(10))
    assert not mean[:, 10:].any()
    np.testing.assert_array_equal(variance, [[0.1] * 10 + [1.0] * 246] * 10)


def test_lines_and_grids_are_centred_and_spaced():
    for distance in (8, 16, 24, 32):  # figure 6
        mean, variance = layers.line_layout(2, 4.0, distance=distance)
        np.testing.assert_allclose(mean, [[-distance / 2, 0], [distance / 2, 0]])
        np.testing.assert_array_equal(variance, np.full((2, 2), 4.0))
    mean = layers.line_layout(5, 1.0, latent_dim=3)[0]
    np.testing.assert_allclose(mean[:, 0], [-8, -4, 0, 4, 8])
    assert mean.shape == (5, 3)
    mean = layers.grid_layout(7, 4.0, distance=3.0)[0]
    np.testing.assert_allclose(mean[[0, 2, 6]], [[-3, 3], [3, 3], [-3, -3]])
    assert neighbours(mean) == pytest.approx(3.0)


def test_alike_classes_lie_close():
    groups = [[4, 7, 9], [3, 5, 8], [0, 6], [1], [2]]
    mean, variance = layers.similarity_layout(groups, variance=2.0)
    between = distances(mean)
    same = np.zeros((10, 10), bool)
    for group in groups:
        same[np.ix_(group, group)] = True
    off = ~np.eye(10, dtype=bool)
    assert between[same & off].max() < between[~same].min()
    assert neighbours(mean) == pytest.approx(4 * np.sqrt(2.0))
    assert (variance == 2.0).all()
    np.testing.assert_allclose(mean.mean(0), 0, atol=1e-9)
    np.testing.assert_array_equal(mean, layers.similarity_layout(groups, variance=2.0)[0])


def test_distances_that_fit_are_matched():
    points = np.random.default_rng(2).uniform(size=(6, 2))
    between = distances(points)
    scale = between.max() * 1.01
    mean = layers.similarity_layout(1 - between / scale, 1.0)[0]
    found = distances(mean)
    np.testing.assert_allclose(found / found.max(), between / between.max(), atol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.circle_layout(1, 4.0), "at least 2"),
        (lambda: layers.circle_layout(10, 0.0), "variance must be positive"),
        (lambda: layers.one_hot_layout(10, 9), "at least the 10 classes"),
        (lambda: layers.line_layout(3, 1.0, distance=-1), "distance must be positive"),
        (lambda: layers.line_layout(3, latent_dim=0), "latent_dim must be at least 1"),
        (lambda: layers.line_layout(3, latent_dim=2.5), "latent_dim must be a whole number"),
        (lambda: layers.similarity_layout([[0], [1]], latent_dim=0), "at least 1"),
        (lambda: layers.similarity_layout(5), "groups that together"),
        (lambda: layers.similarity_layout([[0, 1], [1, 2], [3]]), "each class"),
        (lambda: layers.similarity_layout([[0, 0.5], [0.1, 0]]), "symmetric"),
        (lambda: layers.similarity_layout([[0, 1.0], [1.0, 0]]), r"\[0, 1\)"),
    ],
)
def test_bad_layouts_are_refused(make, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make()


def test_gumbel_max_draws_from_the_categorical():
    """Each of 5 frequencies within 5 standard errors: false alarms below 1 in 100,000."""
    probs = np.array([0.4, 0.3, 0.2, 0.099, 0.001])
    rows = 200_000
    draws = layers.gumbel_max(np.log(probs) + 3.0, Noise(1, 2).gumbel((rows, 5))).numpy()
    assert set(np.unique(draws)) == {0.0, 1.0}
    assert (draws.sum(1) == 1).all()
    error = np.sqrt(probs * (1 - probs) / rows)
    assert (np.abs(draws.mean(0) - probs) < 5 * error).all()


def test_the_gradient_of_gumbel_max_is_the_published_one():
    rng = np.random.default_rng(0)
    logits, slope = tf.constant(rng.normal(size=(4, 3)), tf.float32), rng.normal(size=(4, 3))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        y = layers.gumbel_max(logits, Noise(0, 0).gumbel((4, 3)))
        value = tf.reduce_sum(y * slope)
    # y = one-hot + s - stop(s), s = log q + g: the gradient of log_softmax.
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = slope - probs * slope.sum(1, keepdims=True)
    np.testing.assert_allclose(tape.gradient(value, logits), expected, rtol=1e-5, atol=1e-6)


def mixtures(separation, rows=6, classes=4, size=3):
    """A batch of mixtures and a prior whose components are so far apart."""
    rng = np.random.default_rng(5)
    prior_mean = rng.normal(size=(classes, size)) * separation
    return {
        "logits": rng.normal(size=(rows, classes)),
        "mean": prior_mean + rng.normal(size=(rows, classes, size)),
        "log_var": rng.normal(size=(rows, classes, size)) * 0.5 - 1,
        "prior_mean": prior_mean,
        "prior_log_var": rng.normal(size=(classes, size)) * 0.3,
        "prior_probs": rng.dirichlet(np.full(classes, 5.0)),
    }


def monte_carlo_kl(m, samples=40_000):
    """KL between the mixtures in float64, and its standard error, (rows,) each."""
    rng = np.random.default_rng(9)
    probs = np.exp(m["logits"]) / np.exp(m["logits"]).sum(1, keepdims=True)
    found = []
    for row in range(len(probs)):
        k = rng.choice(len(probs[row]), size=samples, p=probs[row])
        deviation = np.exp(m["log_var"][row] / 2)
        z = m["mean"][row][k] + deviation[k] * rng.normal(size=(samples, deviation.shape[1]))

        def log_density(weights, mean, log_var, z=z):
            parts = stats.norm(mean, np.exp(log_var / 2)).logpdf(z[:, None]).sum(-1)
            return np.logaddexp.reduce(np.log(weights) + parts, axis=1)

        log_q = log_density(probs[row], m["mean"][row], m["log_var"][row])
        log_p = log_density(m["prior_probs"], m["prior_mean"], m["prior_log_var"])
        found.append([(log_q - log_p).mean(), (log_q - log_p).std() / np.sqrt(samples)])
    return np.transpose(found)


def test_the_bound_is_exact_where_components_do_not_overlap():
    m = mixtures(separation=60.0)
    exact, error = monte_carlo_kl(m)
    bound = losses.mixture_kl_upper_bound(**m)
    assert bound.dtype == tf.float32
    assert (np.abs(bound - exact) < 4 * error).all()
    assert (error < 0.03).all()


@pytest.mark.parametrize("separation", [0.0, 1.0, 3.0])
def test_the_bound_is_never_below_the_divergence(separation):
    m = mixtures(separation)
    exact, error = monte_carlo_kl(m)
    bound = losses.mixture_kl_upper_bound(**m).numpy()
    assert (bound > exact - 4 * error).all()
    assert (bound > exact + 4 * error).any()


def test_the_bound_is_the_divergence_of_class_and_code():
    m = mixtures(2.0)
    joint = tfd.Normal(m["mean"], np.exp(m["log_var"] / 2))
    prior = tfd.Normal(m["prior_mean"], np.exp(m["prior_log_var"] / 2))
    per_class = tf.reduce_sum(tfd.kl_divergence(joint, prior), axis=-1).numpy()
    probs = np.exp(m["logits"]) / np.exp(m["logits"]).sum(1, keepdims=True)
    expected = (probs * (np.log(probs / m["prior_probs"]) + per_class)).sum(1)
    np.testing.assert_allclose(losses.mixture_kl_upper_bound(**m), expected, rtol=1e-5)


def test_dropout_drops_whole_channels_and_counts_its_calls():
    x = np.ones((200, 4, 4, 50), "float32")
    layer = layers.ChannelDropout(0.3, seed=1)
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert int(layer.calls) == 2
    assert (first == first[:, :1, :1]).all()
    np.testing.assert_allclose(np.unique(first), [0, 1 / 0.7], rtol=1e-6)
    # 10,000 channels: five standard errors.
    assert np.mean(first == 0) == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / 10_000))
    assert (first != second).any()
    np.testing.assert_array_equal(layer(x, training=False), x)
    again = layers.ChannelDropout.from_config(layer.get_config())
    np.testing.assert_array_equal(again(x, training=True), first)
    assert layers.ChannelDropout(0.5)(np.ones((8, 3), "float32"), training=True).shape == (8, 3)
    with pytest.raises(tfssvae.InputError, match="rate"):
        layers.ChannelDropout(1.0)
