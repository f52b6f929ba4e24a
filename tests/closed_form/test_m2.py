"""M2's terms and views against loops over the classes."""

import numpy as np
import pytest
import tensorflow as tf

from tfssvae import layers, losses
from tfssvae.batch import make_batch
from tfssvae.models import M2
from tfssvae.noise import Noise

K, PIXELS = 3, 4
X = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.2]], "float32")
PRIOR = [0.5, 0.3, 0.2]


def randomize(model, scale=1.0, seed=3):
    """Give every weight a value far from its initial one, so that no bound is tight."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * scale)


@pytest.fixture(scope="module")
def model():
    model = M2((PIXELS,), K, latent_dim=1, hidden=(8,), class_prior=PRIOR)
    randomize(model)
    return model


def test_terms_equal_a_loop_over_classes(model):
    labels = np.array([2, -1, 0])
    x_l = np.random.default_rng(0).uniform(size=(3, PIXELS)).astype("float32")
    batch = make_batch(({"labelled": x_l, "unlabelled": X}, labels), (PIXELS,), K, Noise(5, 9))
    values = model.terms(batch, training=False).values
    noise = Noise(5, 9)
    eps = np.concatenate([noise.normal((3, 1)), noise.normal((2, 1))])
    images = np.concatenate([x_l, X])
    per_class = {"reconstruction": [], "kl_z": []}
    for k in range(K):
        y = np.tile(np.eye(K, dtype="float32")[k], (5, 1))
        mean, log_var = model.head_z(model.encoder([images, y]))
        z = mean + tf.exp(log_var / 2) * eps
        logits = model.decode(z, y)
        per_class["reconstruction"].append(-losses.bernoulli_log_prob(images, logits))
        per_class["kl_z"].append(losses.kl_gaussian(mean, log_var, 0.0, 0.0))
    q = tf.nn.softmax(model.predict_logits(images)).numpy()
    for name, table in per_class.items():
        table = np.stack(table, axis=1)
        labelled = values[f"labelled_{name}"].numpy()
        np.testing.assert_allclose(labelled[[0, 2]], table[[0, 2], [2, 0]], rtol=1e-4)
        np.testing.assert_allclose(
            values[f"unlabelled_{name}"], (q[3:] * table[3:]).sum(1), rtol=1e-4
        )
    np.testing.assert_allclose(
        values["unlabelled_kl_y"], (q[3:] * np.log(q[3:] / PRIOR)).sum(1), rtol=1e-3
    )
    np.testing.assert_allclose(
        values["classification"].numpy()[[0, 2]], -np.log(q[[0, 2], [2, 0]]), rtol=1e-3
    )
    expected_prior = -np.log(np.array(PRIOR)[[2, 0]])
    np.testing.assert_allclose(
        values["labelled_prior_y"].numpy()[[0, 2]], expected_prior, rtol=1e-5
    )


def test_reconstruction_and_code_are_exact_over_y(model):
    q = model.predict(X, verbose=0)
    codes, images = np.zeros((2, 1)), np.zeros((2, PIXELS))
    for k in range(K):
        y = np.tile(np.eye(K, dtype="float32")[k], (2, 1))
        mean = model.posterior_z(X, y).mean()
        codes += q[:, k : k + 1] * mean.numpy()
        images += q[:, k : k + 1] * tf.sigmoid(model.decode(mean, y)).numpy()
    np.testing.assert_allclose(model.encode(X), codes, rtol=1e-4)
    np.testing.assert_allclose(model.reconstruct(X), images, rtol=1e-4)


def test_paper_weights_give_sixty_for_a_hundred_labels_of_mnist():
    assert M2.paper_weights(100, 59_900) == {"classification": pytest.approx(60.0)}


@pytest.mark.parametrize(("pixels", "initial"), [(64, None), (400, 4.0), (3072, 8.0)])
def test_recommended_weights_end_on_the_papers_objective(pixels, initial):
    weights = M2.recommended_weights(100, 59_900, pixels, steps=1000)
    assert weights.pop("classification") == pytest.approx(60.0)
    if initial is None:
        assert weights == {}
    else:
        assert float(weights["*_kl_z"](0)) == initial
        assert float(weights["*_kl_z"](500)) == 1.0
    assert M2.recommended_weights(100, 1338, pixels, steps=9)["classification"] == 10.0
    assert "classification" not in M2.recommended_weights(0, 100, pixels, steps=1000)


def test_head_variances_are_not_bounded_below_by_one_and_never_overflow():
    head = layers.GaussianHead(1)
    mean, log_var = head(np.array([[-1e6], [-1.0], [0.0], [1e6]], "float32"))
    head.dense.kernel.assign([[1.0, 1.0]])
    mean, log_var = head(np.array([[-1e6], [-1.0], [0.0], [1e6]], "float32"))
    np.testing.assert_allclose(mean[:, 0], [-1e6, -1, 0, 1e6])
    np.testing.assert_allclose(log_var[:, 0], [-12, -12 * np.tanh(1 / 12), 0, 12], rtol=1e-5)
