"""Untapped's reverse bound: its value by enumeration, its gradients, the labels it is about."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tests.closed_form.untapped_densities import (
    EVERY_IMAGE,
    EYE,
    HIGH,
    LABELS,
    LOW,
    PIXELS,
    REVERSE,
    K,
    X,
    batch_of,
    hold_z,
    log_joint,
    log_p_x,
    make_model,
    reverse_bound,
    reverse_terms,
)
from tfssvae import losses
from tfssvae.batch import make_batch
from tfssvae.batch_checks import checked_batch
from tfssvae.noise import Noise


@pytest.fixture(scope="module")
def model():
    return make_model()


# The reverse bound -------------------------------------------------------------------------------


@pytest.mark.parametrize(("label", "z"), [(0, -1.2), (2, 0.3)])
def test_the_bound_with_z_observed_is_its_enumeration_and_below_log_q(model, monkeypatch, label, z):
    joint, posterior = log_joint(model, label, [z])[:, 0], log_p_x(model, label, [z])[:, 0]
    expected = np.sum(np.exp(posterior) * (joint - posterior))
    hold_z(monkeypatch, z)
    bound, error = reverse_bound(model, label)
    assert abs(bound - expected) < 4 * error + 1e-4
    assert expected < np.logaddexp.reduce(joint) - 0.05


@pytest.mark.parametrize("label", range(K))
def test_the_bound_with_z_latent_is_its_quadrature_and_below_log_q_of_y(label):
    model = make_model(observed_z=False)
    z = np.linspace(LOW, HIGH, 4003)[1:-1]
    joint, posterior = log_joint(model, label, z), log_p_x(model, label, z)
    integrand = np.sum(np.exp(posterior) * (joint - posterior), axis=0) + np.log(HIGH - LOW)
    expected = np.trapezoid(integrand, z) / (HIGH - LOW)
    evidence = np.log(np.trapezoid(np.exp(np.logaddexp.reduce(joint, axis=0)), z))
    bound, error = reverse_bound(model, label)
    assert abs(bound - expected) < 4 * error + 0.01
    assert bound < evidence - 0.05
    log_q_y = tf.nn.log_softmax(model.predict_logits(EVERY_IMAGE)).numpy()[:, label]
    np.testing.assert_allclose(evidence, np.log(np.exp(log_q_y).mean()), atol=4e-3)


def test_the_bound_is_log_q_where_the_decoder_is_the_posterior_of_x(monkeypatch):
    model = make_model()
    for network in (model.classifier.layers[0], model.decoder.body.layers[-1]):
        network.kernel.assign(tf.zeros_like(network.kernel))
    model.encoder.merge.kernels[0].assign(tf.zeros_like(model.encoder.merge.kernels[0]))
    model.decoder.body.layers[-1].bias.assign(tf.zeros(PIXELS))
    hold_z(monkeypatch, 0.4)
    bound, error = reverse_bound(model, 1, rows=50)
    evidence = np.logaddexp.reduce(log_joint(model, 1, [0.4])[:, 0])
    np.testing.assert_allclose(bound, evidence, rtol=1e-5)
    assert error < 1e-5


def test_observed_and_latent_z_differ_by_a_constant():
    observed, latent = make_model(), make_model(observed_z=False)
    assert set(latent.TERMS) - set(observed.TERMS) == {"unfeatured_prior_z"}
    first, second = (reverse_terms(model, np.arange(K)) for model in (observed, latent))
    constant = second.pop("unfeatured_prior_z")
    np.testing.assert_allclose(constant, [-np.log(HIGH - LOW)] * K, rtol=1e-6)
    for name in REVERSE:
        np.testing.assert_array_equal(first[name], second[name])


def test_the_logged_bound_is_minus_the_sum_of_its_parts(model):
    batch = batch_of(model, np.arange(K))
    found = model._objective(batch, training=False)
    expected = -sum(found.values[name].numpy() for name in REVERSE)
    np.testing.assert_allclose(found.monitors["unfeatured_bound"], expected, rtol=1e-6)


# Gradients through the image ---------------------------------------------------------------------


def decoder_gradient(model):
    bias = model.decoder.body.layers[-1].bias
    with tf.GradientTape() as tape:
        found = reverse_terms(model, np.arange(K))
        recognised = tf.reduce_sum(found["unfeatured_label"] + found["unfeatured_code"])
        total = recognised + tf.reduce_sum(found["unfeatured_kl_x"])
    return total.numpy(), tape.gradient(total, bias), recognised.numpy()


def test_values_of_exact_draws_are_equal_and_only_detached_ones_stop_the_gradient():
    straight, relaxed, detached = (
        make_model(image_sampling=kind) for kind in ("straight_through", "relaxed", "detached")
    )
    values = [decoder_gradient(model) for model in (straight, relaxed, detached)]
    assert values[0][0] == values[2][0]
    assert values[0][0] != values[1][0]
    assert values[2][1] is None
    assert np.abs(values[0][1]).max() > 1e-3
    for model in (straight, relaxed, detached):
        with tf.GradientTape() as tape:
            total = tf.add_n([tf.reduce_sum(v) for v in reverse_terms(model, [0, 1]).values()])
        recognisers = [model.classifier.layers[-1].kernel, model.head_z.dense.kernel]
        for gradient in tape.gradient(total, recognisers):
            assert np.abs(gradient).max() > 0


def test_the_gradient_of_relaxed_images_is_that_of_the_value():
    model = make_model(image_sampling="relaxed", temperature=0.7)
    bias = model.decoder.body.layers[-1].bias
    start, step = bias.numpy(), 1e-2
    _, gradient, _ = decoder_gradient(model)
    for index in range(PIXELS):
        values = []
        for sign in (1, -1):
            bias.assign(start + sign * step * np.eye(PIXELS)[index])
            values.append(decoder_gradient(model)[0])
        np.testing.assert_allclose(
            gradient[index], (values[0] - values[1]) / (2 * step), rtol=0.02, atol=0.01
        )


def test_relaxed_images_become_exact_draws_as_the_temperature_falls():
    exact = decoder_gradient(make_model())[2]
    distances = [
        abs(decoder_gradient(make_model(image_sampling="relaxed", temperature=t))[2] - exact)
        for t in (1.0, 0.1, 1e-3)
    ]
    assert distances[2] < 1e-2 * distances[0]


# Labels without images ---------------------------------------------------------------------------


def test_a_batch_without_such_labels_has_empty_terms(model):
    found = model.terms(make_batch((X, LABELS), (PIXELS,), K, Noise(0, 0)), training=False).values
    for name in REVERSE:
        assert found[name].shape == (0,)
        assert found[name].dtype == tf.float32
    model.compile(run_eagerly=True)
    logs = model.test_on_batch(X, LABELS, return_dict=True)
    assert all(float(logs[name]) == 0 for name in [*REVERSE, "monitor/unfeatured_bound"])


def test_labels_and_their_one_hot_rows_are_the_same(model):
    classes, rows = (reverse_terms(model, labels) for labels in ([2, 0, 1], EYE[[2, 0, 1]]))
    for name in REVERSE:
        np.testing.assert_array_equal(classes[name], rows[name])


def test_classes_are_drawn_with_their_probabilities(model):
    rows = np.tile(np.array([[0.2, 0.7, 0.1]], "float32"), (20_000, 1))
    drawn = model._unfeatured_classes(batch_of(model, rows)).numpy()
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(0), rows[0], atol=0.015)
    other = model._unfeatured_classes(batch_of(model, rows, seed=1)).numpy()
    assert (drawn != other).any(axis=1).mean() > 0.3


def test_a_softened_label_is_scored_by_its_cross_entropy():
    model = make_model(epsilon=0.05)
    soft = model._unfeatured_classes(batch_of(model, [1, 2])).numpy()
    np.testing.assert_allclose(soft, losses.smooth_labels([1, 2], K, 0.05), rtol=1e-6)
    model.classifier.layers[0].kernel.assign(tf.zeros_like(model.classifier.layers[0].kernel))
    log_q = tf.nn.log_softmax(model.predict_logits(X[:1])).numpy()
    np.testing.assert_allclose(
        reverse_terms(model, [1, 2])["unfeatured_label"], -(soft * log_q).sum(1), rtol=1e-5
    )


@pytest.mark.parametrize("parts", [("unlabelled",), ("labelled",), ()])
def test_labels_without_images_need_no_other_part(parts):
    x = {"unfeatured": np.arange(K), **dict.fromkeys(parts, X)}
    y = LABELS if "labelled" in parts else None
    data = tf.data.Dataset.from_tensors((x,) if y is None else (x, y))
    model = make_model(image_sampling="straight_through")
    model.compile(keras.optimizers.SGD(1e-3))
    before = [v.numpy() for v in model.trainable_variables]
    history = model.fit(data, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert history["unfeatured_label"][0] > 0
    moved = [np.abs(v - b).max() for v, b in zip(model.trainable_variables, before, strict=True)]
    assert min(moved) > 0


@pytest.mark.parametrize(
    "labels",
    [np.zeros((2, K + 1), "float32"), np.zeros(3, "float32"), np.zeros((2, K, 1), "int32")],
)
def test_labels_of_another_shape_are_refused(labels):
    with pytest.raises(tfssvae.InputError, match="labels without images"):
        checked_batch(({"unfeatured": labels},), K)
