"""Every loss against numpy in float64, or against TensorFlow Probability."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfssvae import losses
from tfssvae.checks import InputError
from tfssvae.losses import float32

tfd = tfp.distributions
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(7, 5)) * 3
OTHER = RNG.normal(size=(7, 5))
K = LOGITS.shape[1]


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def test_entropy_equals_numpy():
    p = softmax(LOGITS)
    np.testing.assert_allclose(losses.entropy(LOGITS), -(p * np.log(p)).sum(-1), rtol=1e-5)


def test_entropy_at_its_extremes():
    logits = [[0.0] * 4, [1000.0, 0.0, 0.0, 0.0], [0.0, -np.inf, -np.inf, 0.0]]
    np.testing.assert_allclose(losses.entropy(logits), [np.log(4), 0.0, np.log(2)], atol=1e-6)


def test_mutual_information_equals_numpy():
    p = softmax(LOGITS)
    mean = p.mean(0)
    expected = -(mean * np.log(mean)).sum() + (p * np.log(p)).sum(-1).mean()
    np.testing.assert_allclose(losses.mutual_information(LOGITS), expected, rtol=1e-5)


def test_mutual_information_at_its_extremes():
    sure_and_balanced = 200.0 * np.eye(K)
    np.testing.assert_allclose(losses.mutual_information(sure_and_balanced), np.log(K), rtol=1e-6)
    alike = np.tile(LOGITS[:1], (6, 1))
    np.testing.assert_allclose(losses.mutual_information(alike), 0.0, atol=1e-6)


def test_mutual_information_is_never_outside_its_range():
    for scale in (0.01, 1.0, 30.0):
        value = float(losses.mutual_information(RNG.normal(size=(50, K)) * scale))
        assert -1e-6 <= value <= np.log(K)


def test_kl_categorical_equals_tfp_and_is_zero_at_equality():
    expected = tfd.kl_divergence(
        tfd.Categorical(logits=LOGITS.astype("float32")),
        tfd.Categorical(logits=OTHER.astype("float32")),
    )
    np.testing.assert_allclose(losses.kl_categorical(LOGITS, OTHER), expected, rtol=1e-4)
    np.testing.assert_allclose(losses.kl_categorical(LOGITS, LOGITS + 3.0), 0.0, atol=1e-6)


def test_kl_categorical_from_uniform_is_log_k_minus_entropy():
    expected = np.log(K) - losses.entropy(LOGITS).numpy()
    np.testing.assert_allclose(losses.kl_categorical(LOGITS, np.zeros(K)), expected, atol=1e-5)


def test_categorical_log_prob_picks_the_label_and_skips_the_unlabelled():
    labels = np.array([0, 1, 2, 3, 4, -1, -1])
    expected = np.log(softmax(LOGITS))[np.arange(7), labels]
    expected[labels < 0] = 0.0
    np.testing.assert_allclose(losses.categorical_log_prob(labels, LOGITS), expected, rtol=1e-5)


def test_categorical_log_prob_of_an_unlabelled_row_has_no_gradient():
    logits = tf.Variable(LOGITS[:2], dtype=tf.float32)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(losses.categorical_log_prob([-1, 2], logits))
    gradient = tape.gradient(total, logits).numpy()
    assert not gradient[0].any()
    assert gradient[1].any()


def test_bernoulli_log_prob_equals_numpy():
    x = RNG.integers(0, 2, (6, 4, 3)).astype(float)
    logits = RNG.normal(size=(6, 4, 3))
    p = 1 / (1 + np.exp(-logits))
    expected = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum((1, 2))
    np.testing.assert_allclose(losses.bernoulli_log_prob(x, logits), expected, rtol=1e-5)


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_bernoulli_log_prob_is_finite_far_out(logit):
    value = losses.bernoulli_log_prob([[0.0, 1.0]], [[logit, logit]])
    np.testing.assert_allclose(value, [-200.0])


def test_gaussian_log_prob_equals_tfp():
    x, mean = RNG.normal(size=(2, 6, 4)).astype("float32")
    variance = RNG.uniform(0.1, 3, (6, 4)).astype("float32")
    expected = tfd.Independent(tfd.Normal(mean, np.sqrt(variance)), 1).log_prob(x)
    np.testing.assert_allclose(losses.gaussian_log_prob(x, mean, variance), expected, rtol=1e-4)


def test_kl_gaussian_equals_tfp():
    mean_p, log_var_p, mean_q, log_var_q = RNG.normal(size=(4, 6, 3)).astype("float32")
    expected = tfd.kl_divergence(
        tfd.MultivariateNormalDiag(mean_p, np.exp(log_var_p / 2)),
        tfd.MultivariateNormalDiag(mean_q, np.exp(log_var_q / 2)),
    )
    actual = losses.kl_gaussian(mean_p, log_var_p, mean_q, log_var_q)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_kl_gaussian_is_zero_at_equality_and_keeps_leading_axes():
    mean, log_var = RNG.normal(size=(2, 4, 3, 2))
    np.testing.assert_allclose(
        losses.kl_gaussian(mean, log_var, mean, log_var), np.zeros((4, 3)), atol=1e-6
    )


@pytest.mark.parametrize("features", [(), (2, 3)])
def test_marginalize_equals_a_loop(features):
    values = RNG.normal(size=(7, K, *features))
    expected = np.zeros((7, *features))
    for row, q in enumerate(softmax(LOGITS)):
        for k in range(K):
            expected[row] += q[k] * values[row, k]
    np.testing.assert_allclose(losses.marginalize(values, LOGITS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [losses.entropy, losses.mutual_information, lambda x: losses.kl_categorical(x, OTHER)],
)
def test_half_precision_is_computed_in_float32(function):
    half = tf.cast(LOGITS, tf.bfloat16)
    value = function(half)
    assert value.dtype == tf.float32
    np.testing.assert_array_equal(value, function(tf.cast(half, tf.float32)))


@pytest.mark.parametrize(
    "function", [losses.entropy, losses.mutual_information, lambda x: losses.marginalize(OTHER, x)]
)
def test_gradients_equal_finite_differences(function):
    logits = tf.Variable(LOGITS[:, :], dtype=tf.float32)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(function(logits))
    gradient = tape.gradient(total, logits).numpy()
    step = 1e-2
    for row, column in [(0, 0), (3, 2), (6, 4)]:
        moved = np.zeros_like(LOGITS)
        moved[row, column] = step
        above = float(tf.reduce_sum(function(LOGITS + moved)))
        below = float(tf.reduce_sum(function(LOGITS - moved)))
        assert gradient[row, column] == pytest.approx((above - below) / (2 * step), abs=2e-3)


@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_sums_over_features_are_sums_on_every_device(device, monkeypatch):
    found = [tf.config.LogicalDevice("/device:0", device)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: found)
    values = RNG.normal(size=(3, 4, 5, 2)) * 100
    total = float32.sum_features(tf.constant(values, tf.float32))
    np.testing.assert_allclose(total, values.sum((1, 2, 3)), rtol=1e-5, atol=1e-3)
    graph = tf.function(float32.sum_features).get_concrete_function(
        tf.TensorSpec((None, 4, 5, 2), tf.float32)
    )
    kinds = {operation.type for operation in graph.graph.get_operations()}
    assert ("Sum" in kinds) == (device == "GPU")
    assert float32.sum_features(tf.zeros((0, 4))).shape == (0,)


def test_sums_of_unknown_sizes_and_shapes_that_do_not_fit():
    function = tf.function(float32.sum_features)
    graph = function.get_concrete_function(tf.TensorSpec((None, None, None), tf.float32))
    np.testing.assert_allclose(graph(tf.ones((2, 3, 4))), [12.0, 12.0])
    with pytest.raises(InputError, match="must have the shape of x"):
        losses.bernoulli_log_prob(np.zeros((2, 3, 4)), np.zeros((2, 4, 3)))
    with pytest.raises(InputError, match=r"\(batch, K, ...\) where logits"):
        losses.marginalize(np.zeros((2, 1)), np.zeros((2, 3)))


def test_terms_are_added_in_their_order_whatever_is_free_to_be_overwritten():
    @tf.function
    def sums(x, y, z):
        # The third is used once: TensorFlow's own sum would start with it.
        values = [tf.exp(x), tf.sinh(y), tf.cos(z)]
        return losses.add_terms(values), tf.sqrt(values[0]), tf.tanh(values[1])

    arguments = [tf.constant([value], tf.float32) for value in (18.0, -18.6931, 0.0)]
    first, second = tf.exp(arguments[0]), tf.sinh(arguments[1])
    in_order, other = (first + second) + 1.0, (1.0 + second) + first
    assert in_order.numpy() != other.numpy(), "the order matters"
    found, *_ = sums(*arguments)
    np.testing.assert_array_equal(found, in_order)
