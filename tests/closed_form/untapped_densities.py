"""A small Untapped, and its densities by enumeration, for the tests of both its models."""

import itertools

import numpy as np
import tensorflow as tf

from tfssvae.batch import make_batch
from tfssvae.models import Untapped
from tfssvae.noise import Noise

K, PIXELS, LOW, HIGH = 3, 4, -1.5, 1.5
X = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.2]], "float32")
LABELS = np.array([2, 0])
PRIOR = [0.5, 0.3, 0.2]
EVERY_IMAGE = np.array(list(itertools.product([0, 1], repeat=PIXELS)), "float32")
REVERSE = ["unfeatured_label", "unfeatured_code", "unfeatured_kl_x"]
EYE = np.eye(K, dtype="float32")


def make_model(spread=0.7, **arguments):
    settings = {"latent_dim": 1, "hidden": (8,), "classifier_hidden": (5,), "encoder_hidden": (6,)}
    model = Untapped((PIXELS,), K, class_prior=PRIOR, **{**settings, **arguments})
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * spread)
    return model


def batch_of(model, unfeatured, seed=0):
    data = ({"labelled": X, "unlabelled": X, "unfeatured": unfeatured}, LABELS)
    return make_batch(data, (PIXELS,), K, Noise(seed, 0))


def reverse_terms(model, unfeatured, seed=0):
    found = model.terms(batch_of(model, unfeatured, seed), training=False).values
    return {name: value for name, value in found.items() if name.startswith("unfeatured_")}


def reverse_bound(model, label, rows=20_000):
    """Mean of the reverse bound of one label over the noise, and its standard error."""
    found = reverse_terms(model, np.full(rows, label))
    bound = -sum(value.numpy().astype("float64") for value in found.values())
    return bound.mean(), bound.std() / np.sqrt(rows)


def log_joint(model, label, z):
    """log q(x, y, z) of every image at each z: (images, z)."""
    images = EVERY_IMAGE
    y = np.tile(EYE[label], (len(images), 1))
    log_q_y = tf.nn.log_softmax(model.predict_logits(images)).numpy()[:, label]
    q_z = model.posterior_z(images, y)
    mean, stddev = q_z.mean().numpy(), q_z.stddev().numpy()
    share = (np.asarray(z, "float64") - LOW) / (HIGH - LOW)
    z_tilde = np.log(share) - np.log1p(-share)
    log_normal = -0.5 * ((z_tilde - mean) / stddev) ** 2 - np.log(stddev * np.sqrt(2 * np.pi))
    log_q_z = log_normal - np.log((HIGH - LOW) * share * (1 - share))
    return log_q_y[:, None] + log_q_z - PIXELS * np.log(2)


def log_p_x(model, label, z):
    """log p(x|y, z) of every image at each z: (images, z)."""
    z = np.asarray(z, "float32").reshape(-1, 1)
    logits = model.decode(z, np.tile(EYE[label], (len(z), 1))).numpy().astype("float64")
    return EVERY_IMAGE @ logits.T - np.logaddexp(0, logits).sum(1)


def hold_z(monkeypatch, z):
    z_tilde = float(np.log((z - LOW) / (HIGH - z)))
    monkeypatch.setattr(Untapped, "prior_z", lambda self, noise, rows: tf.fill((rows, 1), z_tilde))


def posterior_on_a_grid(model, x, label):
    """The grid of z and the density q(z|x, y) on it."""
    z = np.linspace(LOW, HIGH, 20_003)[1:-1]
    index = np.flatnonzero((x == EVERY_IMAGE).all(1))[0]
    log_q_y = tf.nn.log_softmax(model.predict_logits(x[None])).numpy()[0, label]
    return z, np.exp(log_joint(model, label, z)[index] - log_q_y + PIXELS * np.log(2))
