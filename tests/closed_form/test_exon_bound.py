"""EXoN: the parts of its bound, the straight-through draw, and its views of an image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.closed_form.small_exon import MEAN, PIXELS, VARIANCE, D, K, X, batch_of, make, softmax
from tfssvae import losses
from tfssvae.noise import Noise


def test_the_divergences_add_up_to_eq_12():
    model = make(class_prior=[0.5, 0.3, 0.2])
    found = model.terms(batch_of(model), training=False)
    mean, log_var = model.components(X)
    expected = losses.mixture_kl_upper_bound(
        found.logits, mean, log_var, MEAN, np.log(VARIANCE), [0.5, 0.3, 0.2]
    )
    np.testing.assert_allclose(found.values["kl_y"] + found.values["kl_z"], expected, rtol=1e-5)


def test_the_reconstruction_is_that_of_images_between_minus_one_and_one():
    """||x - D||^2 / (2 beta) + m/2 log(2 pi beta) - m log 2, the last for the change of scale."""
    beta = 0.3
    model = make(beta=beta)
    noise = Noise(1, 2)
    found = model.terms(batch_of(model), training=False)
    mean, log_var = (value.numpy() for value in model.components(X))
    gumbel = np.concatenate([noise.gumbel((4, K)), noise.gumbel((5, K))])
    normal = np.concatenate([noise.normal((4, D)), noise.normal((5, D))])
    k = np.argmax(np.log(softmax(found.logits.numpy())) + gumbel, axis=1)
    rows = np.arange(9)
    z = mean[rows, k] + np.exp(log_var[rows, k] / 2) * normal
    tanh = np.tanh(model.decode(z.astype("float32")).numpy() / 2)  # 2 sigmoid(u) - 1
    squared = np.square((2 * X - 1) - tanh).sum(1)
    expected = squared / (2 * beta) + PIXELS / 2 * np.log(2 * np.pi * beta) - PIXELS * np.log(2)
    np.testing.assert_allclose(found.values["reconstruction"], expected, rtol=1e-4)
    assert len(set(k)) == K, "every component is drawn"


def test_the_class_learns_from_the_image_by_the_published_gradient():
    """d loss / d log q_k = <d loss / d z, z_k>: the straight-through draw of one component."""
    model = make()
    batch = batch_of(model)
    fixed = tf.Variable(model.predict_logits(X))
    model.predict_logits = lambda x, training=False: tf.convert_to_tensor(fixed)
    with tf.GradientTape() as tape:
        terms = model.terms(batch, training=False)
        loss = tf.reduce_sum(terms.values["reconstruction"])
    found = tape.gradient(loss, fixed)
    noise = Noise(1, 2)
    gumbel = np.concatenate([noise.gumbel((4, K)), noise.gumbel((5, K))])
    normal = np.concatenate([noise.normal((4, D)), noise.normal((5, D))])
    mean, log_var = (value.numpy() for value in model.components(X))
    z_k = mean + np.exp(log_var / 2) * normal[:, None]
    probs = softmax(fixed.numpy())
    k = np.argmax(np.log(probs) + gumbel, axis=1)
    z = tf.constant(z_k[np.arange(9), k])
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = -tf.reduce_sum(model.likelihood.log_prob(X, model.decode(z)))
    slope = (tape.gradient(value, z).numpy()[:, None] * z_k).sum(-1)
    expected = slope - probs * slope.sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_the_heads_of_all_components_are_one_product():
    model = make()
    (kernel,) = [v for v in model.head_z.trainable_variables if v.shape.rank == 2]
    assert tuple(kernel.shape) == (8, 2 * K * D)
    mean, _ = model.components(X)
    features = model.encoder(X).numpy()
    for k in range(K):
        columns = slice(k * D, (k + 1) * D)
        expected = features @ kernel.numpy()[:, columns] + model.head_z.dense.bias[columns]
        np.testing.assert_allclose(mean[:, k], expected, rtol=1e-4, atol=1e-5)


def test_views_are_exact_over_the_class():
    model = make()
    probs = model.predict(X, verbose=0)
    mean, _ = (value.numpy() for value in model.components(X))
    np.testing.assert_allclose(model.encode(X), (probs[..., None] * mean).sum(1), rtol=1e-4)
    images = sum(
        probs[:, k, None] * model.likelihood.mean(model.decode(mean[:, k])) for k in range(K)
    )
    np.testing.assert_allclose(model.reconstruct(X), images, rtol=1e-4)


def test_generated_codes_come_from_the_component_of_the_label():
    model = make()
    seen = {}

    def decode(z, training=False):
        seen["z"] = z
        return tf.zeros((len(z), PIXELS))

    model.decode = decode
    labels = np.repeat(np.arange(K), 4000)
    model.sample_images(tf.constant(labels), Noise(0, 0))
    for k in range(K):
        z = seen["z"].numpy()[labels == k]
        error = np.sqrt(VARIANCE[k] / 4000)
        assert (np.abs(z.mean(0) - MEAN[k]) < 5 * error).all()
        np.testing.assert_allclose(z.var(0), VARIANCE[k], rtol=0.15)


def test_the_code_of_an_image_is_the_mixture():
    model = make()
    q_z = model.terms(batch_of(model), training=False).latents["z"]
    np.testing.assert_allclose(q_z.mean(), model.encode(X), rtol=1e-4, atol=1e-5)
    probs = model.predict(X, verbose=0)[..., None]
    mean, log_var = (value.numpy() for value in model.components(X))
    spread = np.square(mean - (probs * mean).sum(1, keepdims=True))
    expected = (probs * (np.exp(log_var) + spread)).sum(1)
    np.testing.assert_allclose(q_z.variance(), expected, rtol=1e-4)


def test_a_learnt_variance_settles_at_the_mean_squared_error():
    model = make(learn_beta=True, beta=4.0, weights={"kl_*": 0.0, "classification": 0.0})
    assert any("log_variance" in v.path for v in model.trainable_variables)
    assert not any("log_variance" in v.path for v in make().trainable_variables)
    z = np.random.default_rng(1).normal(size=(9, D)).astype("float32")
    outputs = model.decode(z)
    optimizer = keras.optimizers.Adam(0.1)
    variable = model.likelihood.log_variance
    optimizer.build([variable])
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(model.likelihood.log_prob(X, outputs))
        optimizer.apply([tape.gradient(loss, variable.value)], [variable])
    expected = np.square(X - model.likelihood.mean(outputs)).mean()
    assert np.exp(variable.numpy()) == pytest.approx(expected, rel=0.01)
