"""A uniform prior and a posterior through the logistic flow, in methods that had a Gaussian one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import tfssvae
from tests.closed_form.test_evidence import PIXELS, PRIOR, TINY, K, X, bounds, tiny
from tfssvae import layers
from tfssvae.noise import Noise

LOW, HIGH = -1.0, 2.0
INSIDE = np.linspace(LOW, HIGH, 4003)[1:-1].astype("float32")[:, None]  # midpoints are enough
METHODS = ("vae", "m1", "m2", "shot_vae", "adgm", "sdgm")


@pytest.fixture(scope="module", params=METHODS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    found = tiny(name, prior=layers.BoxPrior(1, LOW, HIGH))
    if name == "adgm":  # the tails of a logistic prior need a wider q than those of a Gaussian
        found.posterior_head_z.dense.bias.assign_add([0.0, 1.0])
    return found


def log_evidence(name, model, x):
    """log p(x), over every class and a grid of the box."""
    z_tilde = model.prior.flow.inverse(INSIDE)
    totals = []
    for k in range(K):
        y = np.tile(np.eye(K, dtype="float32")[k], (len(INSIDE), 1))
        if name in ("vae", "m1"):
            logits = model.decode(z_tilde)
        elif name in ("m2", "shot_vae"):
            logits = model.decode(z_tilde, y)
        else:
            logits = model.decode(tf.zeros_like(z_tilde), y, z_tilde)
        logits = logits.numpy().astype("float64")
        log_p = (x * logits - np.logaddexp(0, logits)).sum(-1)
        totals.append(np.log(PRIOR[k] * np.exp(log_p).mean()))
    return np.logaddexp.reduce(totals)


def test_importance_samples_reach_the_evidence_and_the_bound_is_below(name, model):
    if name == "sdgm":
        pytest.skip("its decoder sees a too")
    evidence = np.array([log_evidence(name, model, x) for x in X])
    found = model.log_likelihood(X, num_samples=200_000, batch_size=2)
    np.testing.assert_allclose(found, evidence, atol=0.03)
    bound, error = bounds(model)["unlabelled"]
    assert (bound < evidence + 4 * error).all()
    assert (bound < evidence - 0.05).any(), "no bound is loose"


def test_one_importance_sample_is_the_bound_on_average(model):
    bound, error = bounds(model)["unlabelled"]
    rows = np.repeat(X, 4000, axis=0)
    found = model.log_likelihood(rows, num_samples=1).reshape(2, 4000)
    spread = np.hypot(error, found.std(1) / np.sqrt(4000))
    assert (np.abs(found.mean(1) - bound) < 4 * spread).all()


def test_the_decoder_sees_the_code_in_the_box(name, model):
    z_tilde, y = np.array([[-50.0], [0.4], [50.0]], "float32"), np.eye(K, dtype="float32")
    a = np.ones((3, 1), "float32")
    z = model.prior.code(z_tilde)
    middle = LOW + (HIGH - LOW) / (1 + np.exp(-0.4))
    np.testing.assert_allclose(z[:, 0], [LOW, middle, HIGH], rtol=1e-6)
    given, seen = {
        "vae": ([z_tilde], z),
        "m1": ([z_tilde], z),
        "adgm": ([a, y, z_tilde], [y, z]),
        "sdgm": ([a, y, z_tilde], [a, y, z]),
    }.get(name, ([z_tilde, y], [z, y]))
    np.testing.assert_allclose(model.decode(*given), model.decoder(seen), rtol=1e-5)


def test_its_draws_are_uniform_in_the_box():
    prior = layers.BoxPrior(2, LOW, HIGH)
    z = prior.code(layers.sample_prior(prior, Noise(0, 0), 20_000)).numpy()
    for column in np.sort(z, axis=0).T:
        np.testing.assert_allclose(column, np.linspace(LOW, HIGH, len(z)), atol=0.05)
    again = layers.sample_prior(prior, Noise(0, 0), 20_000)
    np.testing.assert_array_equal(prior.code(again), z)


def test_a_divergence_that_nobody_knows_is_sampled():
    q_z = layers.gaussian(tf.constant([[0.4]]), tf.constant([[-0.6]]))
    prior = layers.BoxPrior(1, LOW, HIGH)
    rows = tfd.Independent(tfd.Normal(tf.tile(q_z.mean(), [50_000, 1]), q_z.stddev()), 1)
    z = layers.reparameterize(rows, Noise(0, 0).normal((50_000, 1)))
    found = layers.kl_to_prior(rows, prior, z).numpy()
    grid = np.linspace(-12, 12, 4001)[:, None].astype("float32")
    log_q, log_p = q_z.log_prob(grid).numpy(), prior.distribution().log_prob(grid).numpy()
    expected = np.trapezoid(np.exp(log_q) * (log_q - log_p), grid[:, 0])
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(len(found))
    gaussian = layers.StandardNormalPrior(1)
    exact = tfd.kl_divergence(q_z, gaussian.distribution())
    np.testing.assert_allclose(layers.kl_to_prior(q_z, gaussian, z[:1]), exact)


def test_a_model_with_a_box_is_saved_with_it(name, tmp_path):
    arguments = {**TINY[name], "prior": layers.BoxPrior(1, LOW, HIGH)}
    model = tfssvae.METHODS[name]((PIXELS,), K, **arguments)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.prior.get_config()["low"] == LOW
    np.testing.assert_array_equal(loaded.generate([0, 2], seed=3), model.generate([0, 2], seed=3))
