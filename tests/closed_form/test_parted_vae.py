"""Parted-VAE: every part of its objective by hand, its attention, its learnt mixture."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfssvae
from tfssvae import evaluation, layers, losses, networks
from tfssvae.batch import make_batch
from tfssvae.models import PartedVAE
from tfssvae.noise import Noise
from tfssvae.schedules import linear_ramp

K, PIXELS, D, S = 3, 6, 2, 2
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(9, PIXELS)).astype("float32")
Y = np.array([0, 2, 1, -1])
PRIOR = [0.5, 0.3, 0.2]


def make(spread=0.5, **arguments):
    """Parted-VAE on vectors, with weights far from their initial values."""
    sizes = {"latent_dim": D, "style_dim": S, "hidden": (8,), "class_prior": PRIOR}
    constant = {"capacity_u": 7.0, "capacity_z": 7.0, "attention_slope": 8.0}
    model = PartedVAE((PIXELS,), K, **{**sizes, **constant, **arguments})
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * spread)
    return model


@pytest.fixture(scope="module")
def model():
    return make()


def batch_of(model, noise=None):
    data = ({"labelled": X[:4], "unlabelled": X[4:]}, Y)
    return make_batch(data, model.example_shape, K, noise or Noise(1, 2))


def terms_of(model, training=False):
    return model.terms(batch_of(model), training)


def softmax(logits):
    values = np.exp(logits - logits.max(-1, keepdims=True))
    return values / values.sum(-1, keepdims=True)


def draws(noise):
    """The noise of `terms`, in the order that it is drawn: z, u, Gumbel, labelled rows first."""
    shapes = [(S, noise.normal), (D, noise.normal), (K, noise.gumbel)]
    return [
        np.concatenate([draw((4, size)).numpy(), draw((5, size)).numpy()]) for size, draw in shapes
    ]


def kl(mean, variance, prior_mean, prior_variance):
    ratio = variance / prior_variance
    return 0.5 * (ratio + (mean - prior_mean) ** 2 / prior_variance - 1 - np.log(ratio)).sum(-1)


def test_every_term_by_hand(model):
    found = terms_of(model)
    eps_z, eps_u, gumbel = draws(Noise(1, 2))
    h = model.encoder(X).numpy().astype("float64")
    q = softmax(h @ model.head_y.kernel.numpy() + model.head_y.bias.numpy())
    y = softmax((np.log(q) + gumbel) / 0.67)
    a = 1 / (1 + np.exp(-8 * (y @ model.attention.kernel.numpy() + model.attention.bias.numpy())))
    mean_u, log_var_u = (part.numpy() for part in model.head_u(h * a))
    mean_z, log_var_z = (part.numpy() for part in model.head_z(h))
    u, z = mean_u + np.exp(log_var_u / 2) * eps_u, mean_z + np.exp(log_var_z / 2) * eps_z
    logits = model.decoder(np.concatenate([u, z], axis=1)).numpy()
    reconstruction = -(X * logits - np.logaddexp(0, logits)).sum(-1)
    prior = [part[None] for part in (model.prior.mean, model.prior.variance)]
    kl_u = (q * kl(mean_u[:, None], np.exp(log_var_u)[:, None], *prior)).sum(-1)
    kl_z = kl(mean_z, np.exp(log_var_z), 0.0, 1.0)
    mean_q = q.mean(0)
    expected = {
        "reconstruction": reconstruction.mean(),
        "kl_u": abs(kl_u.mean() - 7),
        "kl_z": abs(kl_z.mean() - 7),
        "kl_y": (mean_q * np.log(mean_q / PRIOR)).sum(),
        "entropy_y": -(q * np.log(q)).sum(-1).mean(),
    }
    for name, value in expected.items():
        assert np.mean(found.values[name]) == pytest.approx(value, rel=1e-4), name
    np.testing.assert_allclose(found.values["reconstruction"], reconstruction, rtol=1e-4)
    np.testing.assert_allclose(found.monitors["kl_u_nats"], kl_u, rtol=1e-3)
    np.testing.assert_allclose(found.monitors["kl_z_nats"], kl_z, rtol=1e-4)
    bound = -(reconstruction + kl_u + kl_z + (q * np.log(q / PRIOR)).sum(-1))
    np.testing.assert_allclose(found.monitors["unlabelled_bound"], bound[4:], rtol=1e-4)
    cross_entropy = [-np.log(q[0, 0]), -np.log(q[1, 2]), -np.log(q[2, 1]), 0]
    np.testing.assert_allclose(found.values["classification"], cross_entropy, rtol=1e-4)


def gradient(model, name, of=None):
    of = model.head_y.kernel if of is None else of
    with tf.GradientTape() as tape:
        mean = tf.reduce_mean(terms_of(model).values[name])
    return tape.gradient(mean, of.value).numpy()


def test_the_gradient_of_the_mean_class_is_that_of_its_divergence(model):
    with tf.GradientTape() as tape:
        q = tf.reduce_mean(tf.nn.softmax(model.predict_logits(X)), axis=0)
        divergence = tf.reduce_sum(q * tf.math.log(q / PRIOR))
    expected = tape.gradient(divergence, model.head_y.kernel.value)
    np.testing.assert_allclose(gradient(model, "kl_y"), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("code", ["u", "z"])
def test_a_capacity_pulls_the_divergence_to_it_and_none_down(code):
    head = {"u": "head_u", "z": "head_z"}[code]
    plain = make(**{f"capacity_{code}": None})
    found = terms_of(plain)
    np.testing.assert_array_equal(found.values[f"kl_{code}"], found.monitors[f"kl_{code}_nats"])
    mean = float(np.mean(found.values[f"kl_{code}"]))
    down = gradient(plain, f"kl_{code}", getattr(plain, head).dense.kernel)
    for capacity, sign in ((mean - 1, 1), (mean + 1, -1), (linear_ramp(mean + 9, 5, mean + 2), -1)):
        limited = make(**{f"capacity_{code}": capacity})
        distance = 1 if isinstance(capacity, float) else 2  # the schedule's at step 0
        values = terms_of(limited).values[f"kl_{code}"]
        assert np.mean(values) == pytest.approx(distance, rel=1e-3)
        pulled = gradient(limited, f"kl_{code}", getattr(limited, head).dense.kernel)
        np.testing.assert_allclose(pulled, sign * down, rtol=1e-4, atol=1e-6)


def test_overlap_costs_above_the_threshold_only():
    model = make(threshold=0.15)
    far = np.arctanh(0.5)  # log-variances of 0
    for part, value in (("_mean", [[0.0, 0], [1, 0], [0, 9]]), ("_spread", np.full((3, 2), far))):
        getattr(model.prior, part).assign(value)
    found = terms_of(model).values["overlap"]
    # Unit Gaussians a distance r apart overlap by exp(-r^2 / 8); the third is far away.
    np.testing.assert_allclose(found, np.full(9, np.exp(-1 / 8) - 0.15), rtol=1e-5)
    assert np.abs(gradient(model, "overlap", model.prior._mean)[2]).max() == 0
    apart = gradient(model, "overlap", model.prior._mean)
    slope = np.exp(-1 / 8) / 4  # of exp(-r^2 / 8) at r = 1, per unit of the first mean
    np.testing.assert_allclose(apart[:2], [[slope, 0], [-slope, 0]], rtol=1e-4, atol=1e-7)


def test_the_attention_sharpens_in_training_and_is_sharp_afterwards():
    model = make(attention_slope=linear_ramp(8.0, 100, initial=1.0))
    h, y = model.features(X), tf.one_hot([0] * 9, K)
    sharp = make().posterior_u(h, y).mean()
    np.testing.assert_allclose(model.posterior_u(h, y).mean(), sharp, rtol=1e-5)
    for step, slope in ((0, 1.0), (50, 4.5), (500, 8.0)):
        model.compile("sgd")
        model.optimizer.iterations.assign(step)
        expected = make(attention_slope=slope).posterior_u(h, y).mean()
        np.testing.assert_allclose(model.posterior_u(h, y, training=True).mean(), expected, 1e-5)


def test_schedules_last_as_published_or_as_long_as_the_run():
    model = PartedVAE((PIXELS,), K)
    for step, capacity, slope in ((0, 0, 1), (35_000, 2.45, 8), (100_000, 7, 8), (200_000, 7, 8)):
        assert float(model.capacity_u(step)) == pytest.approx(capacity)
        assert float(model.capacity_z(step)) == pytest.approx(capacity)
        assert float(model.attention_slope(step)) == pytest.approx(slope)
    found = PartedVAE.recommended_arguments(num_pixels=60, steps=100)
    assert float(found["capacity_u"](100)) == pytest.approx(2)
    assert float(found["attention_slope"](50)) == pytest.approx(8)
    large = PartedVAE.recommended_arguments(num_pixels=3072, steps=100)
    assert float(large["capacity_z"](50)) == pytest.approx(3.5)


def test_every_class_has_a_posterior_of_its_own(model):
    mean, log_var = model.components(X)
    for k in range(K):
        q_u = model.posterior_u(model.features(X), tf.one_hot([k] * 9, K))
        np.testing.assert_allclose(mean[:, k], q_u.mean(), rtol=1e-5)
        np.testing.assert_allclose(np.exp(log_var[:, k]), q_u.variance(), rtol=1e-4)
    q = model.predict(X, verbose=0)
    u = np.einsum("bk,bkd->bd", q, mean)
    z = model.head_z(model.features(X))[0]
    np.testing.assert_allclose(model.encode(X), np.concatenate([u, z], axis=1), rtol=1e-4)
    images = [model.likelihood.mean(model.decode(mean[:, k], z)) for k in range(K)]
    expected = np.einsum("bk,kbx->bx", q, images)
    np.testing.assert_allclose(model.reconstruct(X), expected, rtol=1e-4)


def test_exact_draws_average_to_the_sum_over_classes():
    exact, drawn = make(sampling="exact"), make(sampling="gumbel_max")
    rows = np.repeat(X[:1], 4000, axis=0)

    def values(model):
        batch = make_batch(rows, model.example_shape, K, Noise(3, 4))
        return model.terms(batch, False).values["reconstruction"].numpy()

    error = values(drawn).std() / np.sqrt(len(rows))
    assert values(exact).mean() == pytest.approx(values(drawn).mean(), abs=5 * error)
    assert values(exact).std() < values(drawn).std()
    mean, log_var = exact.components(X)
    per_class = losses.kl_gaussian(mean, log_var, exact.prior.mean, exact.prior.log_var)
    expected = losses.marginalize(per_class, exact.predict_logits(X))
    np.testing.assert_allclose(terms_of(exact).monitors["kl_u_nats"], expected, rtol=1e-3)


def test_generated_images_come_from_the_learnt_components(model):
    labels, noise = [2, 0, 2], Noise(5, 0)
    u = model.prior.mean[labels] + np.exp(model.prior.log_var[labels] / 2) * noise.normal((3, D))
    z = noise.normal((3, S))
    expected = model.likelihood.mean(model.decode(tf.cast(u, tf.float32), z))
    np.testing.assert_allclose(model.generate(labels, seed=5), expected, rtol=1e-4)


def test_the_learnt_mixture_begins_apart_and_stays_in_range():
    prior = layers.LearntMixturePrior(50, 40, seed=0)
    assert prior.mean.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(prior.mean.ravel(), prior._spread.numpy().ravel())[0, 1] < 0.1
    np.testing.assert_allclose(prior.log_var, 2 * np.tanh(prior._spread) - 1, atol=1e-6)
    np.testing.assert_allclose(prior.variance, np.exp(prior.log_var), rtol=1e-5)
    copied = layers.LearntMixturePrior.from_config(prior.get_config())
    np.testing.assert_array_equal(copied.mean, prior.mean)
    expected = layers.component_overlap(prior.mean, prior.variance)
    np.testing.assert_array_equal(prior.overlap(), expected)
    density = stats.norm(prior.mean[3], np.sqrt(prior.variance[3])).logpdf(0.1).sum()
    found = prior.components().log_prob(tf.fill((50, 40), 0.1))[3]
    assert float(found) == pytest.approx(density, rel=1e-4)


def test_the_latent_space_is_measured_like_exons(model):
    mean, log_var = model.components(X)
    q = model.predict(X, verbose=0)
    prior = [part[None] for part in (model.prior.mean, model.prior.variance)]
    of_code = (q * kl(mean.numpy(), np.exp(log_var), *prior)).sum(-1)
    expected = (of_code + (q * np.log(q / PRIOR)).sum(-1)).mean()
    assert evaluation.kl_to_prior(model, X) == pytest.approx(expected, rel=1e-3)
    codes = np.array([[0.5, -1.0], [2.0, 0.0]], "float32")
    z = tf.zeros((2, S))
    expected = model.likelihood.mean(model.decode(codes, z))
    np.testing.assert_allclose(evaluation.decode_codes(model, codes), expected, rtol=1e-5)


def test_the_networks_of_mnist():
    encoder = networks.parted_encoder((28, 28, 1), seed=1)
    decoder = networks.parted_decoder(16, (28, 28, 1), seed=1)
    shapes = [layer.output.shape[1:] for layer in encoder.layers]
    assert [shape for shape in shapes if len(shape) == 3][:3] == [
        (14, 14, 32),
        (7, 7, 64),
        (4, 4, 64),
    ]
    assert encoder.output_shape == (None, 256)
    # 17 * 256 + 257 * 1024, then 4x4 kernels from 64 to 32 to 32 to 1.
    weights = 4352 + 263_168 + 16 * 64 * 32 + 32 + 16 * 32 * 32 + 32 + 16 * 32 + 1
    assert decoder.count_params() == weights
    assert decoder.output_shape == (None, 28, 28, 1)
    again = networks.parted_decoder(16, (28, 28, 1), seed=1)
    for one, other in zip(decoder.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    wide = PartedVAE((8, 8, 3), 10, backbone="wide_resnet_10_1")
    assert wide.encoder.output_shape == (None, 64)
    assert wide.reconstruct(np.zeros((1, 8, 8, 3), "uint8")).shape == (1, 8, 8, 3)
    model = PartedVAE((28, 28, 1), 10)
    assert [layer.name for layer in (model.encoder, model.decoder)] == ["encoder", "decoder"]
    assert model.encoder.output_shape == (None, 256)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, "positive"),
        ({"sampling": "gumbel"}, "gumbel_max"),
        ({"backbone": "wide"}, "wide_resnet_DEPTH_WIDTH"),
        ({"backbone": "conv"}, "needs images"),
        ({"backbone": "wide_resnet_10_1"}, "needs images"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        PartedVAE((PIXELS,), K, **arguments)
