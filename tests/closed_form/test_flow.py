"""The logistic flow against automatic derivatives, and the densities that it makes."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import InputError, layers

LOW, HIGH = -1.5, 2.0
X = np.array([[-4.0, 0.3], [0.0, 2.5], [7.0, -1.0]], "float32")


@pytest.fixture(scope="module")
def flow():
    return layers.LogisticFlow(LOW, HIGH)


def test_forward_is_the_scaled_sigmoid_and_inverse_takes_it_back(flow):
    z = flow.forward(X)
    np.testing.assert_allclose(z, LOW + (HIGH - LOW) / (1 + np.exp(-X)), rtol=1e-5)
    np.testing.assert_allclose(flow.inverse(tf.identity(z)), X, rtol=1e-4, atol=1e-5)
    inside = np.linspace(-1.49, 1.99, 50)
    np.testing.assert_allclose(flow.forward(tf.identity(flow.inverse(inside))), inside)


def test_the_log_determinant_is_that_of_the_jacobian(flow):
    x = tf.constant(X, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = flow.forward(x)
    expected = np.linalg.slogdet(tape.batch_jacobian(z, x))[1]
    forward = flow.forward_log_det_jacobian(x, event_ndims=1)
    inverse = flow.inverse_log_det_jacobian(tf.identity(z), event_ndims=1)
    np.testing.assert_allclose(forward, expected, rtol=1e-9)
    np.testing.assert_allclose(inverse, -expected, rtol=1e-6)
    single = layers.LogisticFlow(LOW, HIGH).forward_log_det_jacobian(X, event_ndims=1)
    np.testing.assert_allclose(single, expected, rtol=1e-5)
    assert flow.forward_log_det_jacobian(X).shape == X.shape


@pytest.mark.parametrize("x", [-1e4, -100.0, 100.0, 1e4])
def test_far_out_values_are_exact_and_have_gradients(flow, x):
    value = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(value)
        log_det = flow.forward_log_det_jacobian(value)
    np.testing.assert_allclose(log_det, np.log(HIGH - LOW) - abs(x), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(log_det, value), -np.sign(x))


@pytest.mark.parametrize(("low", "high"), [(LOW, HIGH), (0.0, 1.0), (-1.0, 0.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_edge_of_the_interval_has_a_finite_density(low, high, dtype):
    flow, edges = layers.LogisticFlow(low, high), tf.constant([low, high], dtype)
    found = flow.inverse(edges)
    assert found.dtype == edges.dtype
    assert np.isfinite(found).all()
    assert found[0] < -14
    assert found[1] > 14
    assert np.isfinite(flow.inverse_log_det_jacobian(edges)).all()


def test_there_is_no_density_outside_of_the_interval(flow):
    over_box = tfd.TransformedDistribution(tfd.Normal(0.0, 1.0), flow)
    density = over_box.prob([LOW - 0.5, LOW - 1e-3, 0.0, HIGH + 1e-3, 9.0]).numpy()
    np.testing.assert_array_equal(density > 0, [False, False, True, False, False])
    assert (density[[0, 1, 3, 4]] == 0).all()


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (1.2, 2.0), (-3.0, -2.0)])
def test_the_density_of_a_transformed_gaussian_integrates_to_one(flow, mean, log_var):
    gaussian = layers.gaussian(tf.constant([mean]), tf.constant([log_var]))
    over_box = tfd.TransformedDistribution(gaussian, flow)
    z = np.linspace(LOW, HIGH, 400_001)[1:-1].astype("float32")
    density = np.exp(over_box.log_prob(z[:, None]).numpy().astype("float64"))
    assert np.trapezoid(density, z.astype("float64")) == pytest.approx(1, abs=2e-3)


def test_the_standard_logistic_becomes_the_uniform(flow):
    x = np.linspace(-30, 30, 61, dtype="float32")
    log_logistic = -np.abs(x) - 2 * np.log1p(np.exp(-np.abs(x)))
    np.testing.assert_allclose(
        log_logistic - flow.forward_log_det_jacobian(x), -np.log(HIGH - LOW), atol=1e-5
    )


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 1.0), (2.0, -1.0), (0.0, np.inf), (np.nan, 1.0), ("a", 1.0), (None, 1)]
)
def test_intervals_that_are_none_are_refused(low, high):
    with pytest.raises(InputError, match="low < high"):
        layers.LogisticFlow(low, high)


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_a_relaxed_bernoulli_is_above_one_half_as_often_as_one_is_drawn(temperature):
    noise = np.random.default_rng(0).uniform(size=(100_000, 3)).astype("float32")
    logits = np.array([-1.0, 0.0, 3.0], "float32")
    soft = layers.relaxed_bernoulli(logits, noise, temperature)
    hard = layers.relaxed_bernoulli(logits, noise, temperature, hard=True)
    np.testing.assert_array_equal(layers.bernoulli(logits, noise), hard)
    assert set(np.unique(hard)) == {0.0, 1.0}
    np.testing.assert_array_equal(hard, soft.numpy() > 0.5)
    np.testing.assert_allclose(hard.numpy().mean(0), 1 / (1 + np.exp(-logits)), atol=0.01)


def test_a_hard_bernoulli_draw_has_the_gradient_of_the_relaxed_one():
    noise, logits = np.array([0.2, 0.7], "float32"), tf.constant([0.5, -0.3])
    gradients = []
    for hard in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            drawn = layers.relaxed_bernoulli(logits, noise, 0.5, hard=hard)
        gradients.append(tape.gradient(drawn, logits))
    soft = layers.relaxed_bernoulli(logits, noise, 0.5).numpy()
    np.testing.assert_allclose(gradients[0], soft * (1 - soft) / 0.5, rtol=1e-5)
    np.testing.assert_array_equal(gradients[0], gradients[1])
