"""M2's bounds against enumeration over y and quadrature over z."""

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


def log_joint(model, x):
    """log p(x, y), (batch, K), by quadrature over the one latent dimension."""
    z = np.linspace(-9, 9, 3001, dtype="float32")[:, None]
    log_p_z = -0.5 * (np.log(2 * np.pi) + z[:, 0] ** 2)
    values = np.zeros((len(x), K))
    for k in range(K):
        y = np.tile(np.eye(K, dtype="float32")[k], (len(z), 1))
        logits = model.decode(z, y).numpy().astype("float64")
        for row, image in enumerate(x):
            log_p_x = (image * logits - np.logaddexp(0, logits)).sum(-1)
            total = np.log(np.trapezoid(np.exp(log_p_x + log_p_z), z[:, 0]))
            values[row, k] = np.log(PRIOR[k]) + total
    return values


def bounds(model, x, labels, repeats=4000):
    """Mean labelled and unlabelled bound over the noise, and their standard errors."""
    rows = np.repeat(x, repeats, axis=0)
    data = ({"labelled": rows, "unlabelled": rows}, np.repeat(labels, repeats))
    batch = make_batch(data, (PIXELS,), K, Noise(0, 0))
    values = model.terms(batch, training=False).values
    result = []
    for part in ("labelled_", "unlabelled_"):
        total = -sum(v.numpy() for name, v in values.items() if name.startswith(part))
        total = total.reshape(len(x), repeats)
        result.append((total.mean(1), total.std(1) / np.sqrt(repeats)))
    return result


def test_bounds_are_below_the_enumerated_evidence(model):
    labels = np.array([2, 0])
    joint = log_joint(model, X)
    (labelled, error_l), (unlabelled, error_u) = bounds(model, X, labels)
    assert (labelled < joint[[0, 1], labels] + 4 * error_l).all()
    assert (unlabelled < np.logaddexp.reduce(joint, axis=1) + 4 * error_u).all()
    assert (unlabelled < np.logaddexp.reduce(joint, axis=1) - 0.05).any(), "no bound is loose"


def test_importance_samples_reach_the_enumerated_evidence(model):
    evidence = np.logaddexp.reduce(log_joint(model, X), axis=1)
    estimate = model.log_likelihood(X, num_samples=200_000, batch_size=2)
    np.testing.assert_allclose(estimate, evidence, atol=0.02)


def test_one_importance_sample_is_the_unlabelled_bound_on_average(model):
    (_, _), (unlabelled, error) = bounds(model, X, np.zeros(2, int))
    rows = np.repeat(X, 4000, axis=0)
    estimate = model.log_likelihood(rows, num_samples=1).reshape(2, 4000)
    spread = np.hypot(error, estimate.std(1) / np.sqrt(4000))
    assert (np.abs(estimate.mean(1) - unlabelled) < 4 * spread).all()


def test_the_bound_is_the_evidence_where_the_posterior_is_exact():
    model = M2((PIXELS,), K, latent_dim=1, hidden=(8,), class_prior=PRIOR)
    randomize(model)
    model.decoder.merge.kernels[0].assign(np.zeros((1, 8)))  # x does not depend on z,
    for variable in model.head_z.trainable_variables:
        variable.assign(tf.zeros_like(variable))  # and q(z|x, y) is the prior
    joint = log_joint(model, X[:1])
    output = model.classifier.layers[-1]
    output.kernel.assign(tf.zeros_like(output.kernel))
    output.bias.assign(joint[0])
    (labelled, spread_l), (unlabelled, spread_u) = bounds(model, X[:1], np.array([1]), repeats=8)
    np.testing.assert_allclose(labelled, joint[0, 1], rtol=1e-4)
    np.testing.assert_allclose(unlabelled, np.logaddexp.reduce(joint[0]), rtol=1e-4)
    assert max(spread_l[0], spread_u[0]) < 1e-5


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
