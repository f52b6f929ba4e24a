"""Eq. 11 of EXoN, and the Inception Score."""

import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import evaluation, losses


@pytest.fixture(scope="module")
def model():
    prior = tfssvae.layers.GaussianMixturePrior(*tfssvae.layers.circle_layout(3, 1.0))
    model = tfssvae.models.EXoN((16,), 3, hidden=(8,), prior=prior, regularizers=[])
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.6)
    return model


def test_the_four_parts_add_up_to_the_divergence(model):
    x = np.random.default_rng(1).uniform(size=(60, 16)).astype("float32")
    found = evaluation.kl_decomposition(model, x, samples=20_000)
    divergence = evaluation.kl_to_prior(model, x)
    assert sum(found.values()) == pytest.approx(divergence, rel=0.02)
    logits = model.predict_logits(x)
    assert found["information_y"] == pytest.approx(
        float(losses.mutual_information(logits)), rel=1e-4
    )
    assert 0 < found["information_z"] <= np.log(60) + 1e-6
    assert found["kl_z"] > 0


def test_a_posterior_that_ignores_the_image_has_no_information(model):
    x = np.zeros((5, 16), "float32")  # five times one image
    found = evaluation.kl_decomposition(model, x, samples=4000)
    assert found["information_y"] == pytest.approx(0, abs=1e-6)
    assert found["information_z"] == pytest.approx(0, abs=1e-9)
    q_y = tf.nn.softmax(model.predict_logits(x))[0].numpy()
    mean, log_var = (part[0] for part in model.components(x))
    exact = q_y @ losses.kl_gaussian(mean, log_var, model.prior.mean, model.prior.log_var).numpy()
    assert found["kl_z"] == pytest.approx(exact, rel=0.05)


def test_other_methods_have_no_decomposition():
    model = tfssvae.models.M2((4,), 3, latent_dim=2, hidden=(4,))
    with pytest.raises(tfssvae.InputError, match="EXoN"):
        evaluation.kl_decomposition(model, np.zeros((2, 4), "float32"))


def test_the_inception_score_is_k_for_sure_and_balanced_predictions():
    sure = np.eye(4)[np.arange(40) % 4]
    found = evaluation.inception_score(sure, lambda x: x, "itself", splits=5)
    assert found["mean"] == pytest.approx(4)
    assert found["sd"] == pytest.approx(0, abs=1e-9)
    assert found["classifier"] == "itself"
    alike = np.full((10, 4), 0.25)
    assert evaluation.inception_score(alike, lambda x: x, "itself", 2)["mean"] == pytest.approx(1)


def test_the_inception_score_equals_a_loop():
    probs = np.random.default_rng(0).dirichlet(np.ones(3), size=7)
    scores = []
    for part in (probs[:4], probs[4:]):
        marginal = part.mean(0)
        kl = [sum(p * np.log(p / m) for p, m in zip(row, marginal, strict=True)) for row in part]
        scores.append(np.exp(np.mean(kl)))
    found = evaluation.inception_score(probs, lambda x: x, "itself", splits=2)
    assert found["mean"] == pytest.approx(np.mean(scores), rel=1e-5)
    assert found["sd"] == pytest.approx(np.std(scores, ddof=1), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "splits", "message"),
    [
        (" ", 2, "name the classifier"),
        (None, 2, "name the classifier"),
        ("x", 9, "splits"),
        ("x", 0, "splits"),
        ("x", 2.5, "splits"),
    ],
)
def test_a_score_without_a_name_or_images_is_refused(name, splits, message):
    with pytest.raises(tfssvae.InputError, match=message):
        evaluation.inception_score(np.full((4, 2), 0.5), lambda x: x, name, splits)
