"""The soft-label consistency of EXoN: its value, its gradient, its mixing and its augmentations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfssvae
from tests.closed_form.small_exon import PIXELS, K, X, Y, batch_of, make, softmax
from tfssvae import layers, losses
from tfssvae.models import M2
from tfssvae.noise import Noise
from tfssvae.regularizers import SoftLabelConsistency
from tfssvae.regularizers.mixing import mixing_weights


class Draws:
    """Noise of which every uniform is the same number."""

    def __init__(self, value):
        self.value = value

    def uniform(self, shape):
        return tf.fill(shape, self.value)


@pytest.mark.parametrize("concentration", [0.1, 2.0])
def test_mixing_weights_are_beta_distributed(concentration):
    """Kolmogorov-Smirnov at level 1e-4, away from the ends that float32 rounds to 0 and 1."""
    rho = mixing_weights(Noise(3, 4), 5000, concentration, per_example=True).numpy()
    inner = rho[(rho > 1e-6) & (rho < 1 - 1e-6)].astype("float64")
    beta = stats.beta(concentration, concentration)
    low, high = beta.cdf([1e-6, 1 - 1e-6])
    uniform = (beta.cdf(inner) - low) / (high - low)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4
    one = mixing_weights(Noise(3, 4), 5000, concentration, per_example=False)
    assert one.shape == ()


def expected_consistency(model, images, probs, rho):
    """Eq. 7 by numpy, with the next image as the partner."""
    other, other_probs = np.roll(images, -1, axis=0), np.roll(probs, -1, axis=0)
    log_f = np.log(softmax(model.predict_logits(rho * images + (1 - rho) * other).numpy()))
    target = rho * probs + (1 - rho) * other_probs
    return -(target * log_f).sum(1)


def test_consistency_is_the_cross_entropy_with_the_mixed_label():
    model, regularizer = make(), SoftLabelConsistency()
    batch = batch_of(model)._replace(noise=Draws(0.3))
    terms = model.terms(batch_of(model), training=False)
    found = regularizer.terms(model, batch, terms, training=False)
    predicted = softmax(terms.logits.numpy())
    labelled = np.where(Y[:, None] >= 0, np.eye(K)[Y], predicted[:4])
    for name, images, probs, a in (
        ("labelled_consistency", X[:4], labelled, 0.1),
        ("unlabelled_consistency", X[4:], predicted[4:], 2.0),
    ):
        rho = stats.beta(a, a).ppf(0.3)
        expected = expected_consistency(model, images, probs, np.float32(rho))
        np.testing.assert_allclose(found[name], expected, rtol=1e-4)


def test_the_minimum_of_consistency_is_the_consistent_classifier():
    """Eqs. 8 and 9: at fixed soft labels the best prediction is their mixture."""
    probs_1, probs_2 = np.split(softmax(np.random.default_rng(1).normal(size=(2, K))), 2)
    logits = tf.Variable(tf.zeros((1, K)))
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build([logits])
    for _ in range(500):
        with tf.GradientTape() as tape:
            loss = losses.soft_label_consistency(logits, probs_1, probs_2, 0.3)
        optimizer.apply([tape.gradient(loss, logits)], [logits])
    np.testing.assert_allclose(
        tf.nn.softmax(logits), 0.3 * probs_1 + 0.7 * probs_2, rtol=1e-3, atol=1e-4
    )


def test_no_gradient_passes_through_the_soft_labels():
    model, regularizer = make(), SoftLabelConsistency()
    batch, logits = batch_of(model), tf.Variable(model.predict_logits(X))
    plain = model.terms(batch, training=False)
    with tf.GradientTape() as tape:
        terms = plain._replace(logits=tf.convert_to_tensor(logits))
        found = regularizer.terms(model, batch, terms, training=False)
        loss = tf.add_n([tf.reduce_sum(value) for value in found.values()])
    assert tape.gradient(loss, logits) is None
    variables = [v.value for v in model.classifier.trainable_variables]
    with tf.GradientTape() as tape:
        found = regularizer.terms(model, batch, plain, training=False)
        loss = tf.add_n([tf.reduce_sum(value) for value in found.values()])
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(loss, variables))


@keras.saving.register_keras_serializable("tests_exon")
class Darker(keras.layers.Layer):
    """An augmentation with noise of the step: one factor for every image."""

    def call(self, images, noise):
        return images * noise.uniform((1, 1))


@keras.saving.register_keras_serializable("tests_exon")
def halved(images):
    return 0.5 * images


def test_the_bound_sees_images_as_they_are_and_the_classifier_changed_ones():
    plain, changed = make(), make(augment=halved)
    terms = [m.terms(batch_of(m), training=True) for m in (plain, changed)]
    for name in ("reconstruction", "kl_y", "kl_z"):
        np.testing.assert_array_equal(terms[0].values[name], terms[1].values[name])
    expected = -losses.categorical_log_prob(Y, changed.predict_logits(0.5 * X[:4]))
    np.testing.assert_allclose(terms[1].values["classification"], expected, rtol=1e-5)
    evaluated = changed.terms(batch_of(changed), training=False).values["classification"]
    np.testing.assert_allclose(
        evaluated, plain.terms(batch_of(plain), training=False).values["classification"]
    )


@pytest.mark.parametrize("owner", ["model", "regularizer"])
def test_consistency_mixes_changed_images_in_training(owner):
    model = make(augment=halved) if owner == "model" else make()
    regularizer = SoftLabelConsistency(augment=halved if owner == "regularizer" else None)
    batch = batch_of(model)._replace(noise=Draws(0.3))
    terms = model.terms(batch_of(model), training=False)
    probs = softmax(terms.logits.numpy())[4:]
    rho = np.float32(stats.beta(2, 2).ppf(0.3))
    for training, factor in ((True, 0.5), (False, 1.0)):
        found = regularizer.terms(model, batch, terms, training)["unlabelled_consistency"]
        expected = expected_consistency(model, factor * X[4:], probs, rho)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_an_augmentation_draws_the_noise_of_the_step():
    images = tf.ones((2, PIXELS))
    found = layers.augment_images(Darker(), images, Noise(1, 2))
    np.testing.assert_allclose(found, np.full((2, PIXELS), Noise(1, 2).uniform((1, 1))))
    noisy = keras.layers.GaussianNoise(0.1, seed=1)
    assert np.abs(layers.augment_images(noisy, images, Noise(1, 2)) - images).max() > 0


def test_weights_of_consistency_warm_up():
    plain = SoftLabelConsistency(labelled=2.0, unlabelled=3.0)
    assert plain.default_weights() == {"labelled_consistency": 2.0, "unlabelled_consistency": 3.0}
    weights = plain.recommended_weights(steps=1000)
    assert weights["labelled_consistency"] == 2.0
    for step in (0, 50, 500, 1000):
        expected = 3 * np.exp(-5 * (1 - min(1, step / 500)) ** 2)
        assert float(weights["unlabelled_consistency"](step)) == pytest.approx(expected, rel=1e-5)
    own = SoftLabelConsistency(steps=10).default_weights()["unlabelled_consistency"]
    assert float(own(0)) == pytest.approx(np.exp(-5))
    with pytest.raises(tfssvae.InputError, match="concentrations"):
        SoftLabelConsistency(labelled_concentration=0.0)


def test_a_model_with_an_augmentation_is_saved_and_loaded(tmp_path):
    model = make(regularizers=[SoftLabelConsistency(steps=7, augment=Darker())], augment=Darker())
    model.compile(keras.optimizers.Adam(1e-2))
    rows = {"labelled": X[:4], "unlabelled": X[4:]}
    batches = tf.data.Dataset.from_tensors((rows, Y)).repeat(3)
    model.fit(batches, epochs=1, verbose=0)
    model.save(tmp_path / "exon.keras")
    loaded = keras.saving.load_model(tmp_path / "exon.keras")
    for each in (model, loaded):
        each.fit(batches, epochs=1, verbose=0)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_method_takes_it():
    model = M2((PIXELS,), K, 2, (8,), regularizers=[SoftLabelConsistency(2.0, 3.0)])
    model.compile("adam", run_eagerly=True)
    logs = model.test_on_batch({"labelled": X[:4], "unlabelled": X[4:]}, Y, return_dict=True)
    assert logs["labelled_consistency"] == pytest.approx(
        2 * float(logs["monitor/labelled_consistency"]), rel=1e-5
    )
    assert logs["unlabelled_consistency"] > 0
    total = sum(float(logs[name]) for name in model.term_weights)
    assert float(logs["loss"]) == pytest.approx(total, rel=1e-5)
