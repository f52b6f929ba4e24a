"""Untapped's forward model, the losses of eq. 7, the paper's defaults."""

import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tests.closed_form.untapped_densities import (
    EYE,
    HIGH,
    LABELS,
    LOW,
    PIXELS,
    K,
    X,
    batch_of,
    hold_z,
    make_model,
    posterior_on_a_grid,
)
from tfssvae.batch import make_batch
from tfssvae.models import Untapped
from tfssvae.noise import Noise


@pytest.fixture(scope="module")
def model():
    return make_model()


def test_the_prior_of_z_is_uniform(model):
    z = np.sort(model.flow.forward(model.prior_z(Noise(0, 0), 50_000)).numpy()[:, 0])
    assert z[0] >= LOW
    assert z[-1] <= HIGH
    np.testing.assert_allclose(z, np.linspace(LOW, HIGH, len(z)), atol=0.03)
    assert model.log_p_z == pytest.approx(-np.log(3.0))


def test_the_divergence_of_z_is_its_integral():
    model, rows = make_model(), 20_000
    data = (np.repeat(X[:1], rows, axis=0), np.full(rows, 2))
    batch = make_batch(data, (PIXELS,), K, Noise(0, 0))
    found = model.terms(batch, training=False).values["labelled_kl_z"].numpy()
    z, density = posterior_on_a_grid(model, X[0], 2)
    expected = np.trapezoid(density * (np.log(density) + np.log(HIGH - LOW)), z)
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(rows) + 1e-3
    assert expected > 0.05


def test_the_code_is_the_mean_of_z_over_every_class(model):
    q = model.predict(X[:1], verbose=0)[0]
    means = []
    for label in range(K):
        z, density = posterior_on_a_grid(model, X[0], label)
        means.append(np.trapezoid(z * density, z))
    np.testing.assert_allclose(model.encode(X[:1])[0, 0], q @ means, atol=1e-3)


def test_relaxed_and_hard_draws_of_the_class_agree_where_it_is_certain():
    found = []
    for sampling in ("gumbel_max", "gumbel_softmax"):
        model = make_model(sampling=sampling, temperature=0.1)
        model.classifier.layers[-1].bias.assign([0.0, 200.0, 0.0])
        found.append(model.terms(batch_of(model, [0]), training=False).values)
    for part in ("reconstruction", "kl_z", "kl_y"):
        name = f"unlabelled_{part}"
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-5)


def test_a_hard_draw_of_the_class_estimates_the_sum():
    rows, means = 20_000, {}
    for sampling in ("exact", "gumbel_max"):
        model = make_model(sampling=sampling)
        batch = make_batch(np.repeat(X[:1], rows, axis=0), (PIXELS,), K, Noise(0, 0))
        values = model.terms(batch, training=False).values
        total = (values["unlabelled_reconstruction"] + values["unlabelled_kl_z"]).numpy()
        means[sampling] = total.mean(), total.std() / np.sqrt(rows)
    spread = np.hypot(means["exact"][1], means["gumbel_max"][1])
    assert abs(means["exact"][0] - means["gumbel_max"][0]) < 4 * spread


# The losses of eq. 7 and the bound of eq. 51 -----------------------------------------------------


def test_the_distance_is_that_of_the_decoded_label(monkeypatch):
    hold_z(monkeypatch, 0.9)
    squared, euclidean = make_model(), make_model(image_distance="euclidean")
    decoded = tf.sigmoid(squared.decode(np.full((2, 1), 0.9, "float32"), EYE[LABELS])).numpy()
    expected = ((decoded - X) ** 2).sum(1)
    for model, value in ((squared, expected), (euclidean, np.sqrt(expected))):
        found = model.terms(batch_of(model, [0]), training=False).values["labelled_distance"]
        np.testing.assert_allclose(found, value, rtol=1e-5)


def test_the_reverse_bound_of_labelled_images_is_below_log_q(model):
    rows = 20_000
    data = ({"labelled": np.repeat(X[:1], rows, axis=0)}, np.full(rows, 2))
    batch = make_batch(data, (PIXELS,), K, Noise(0, 0))
    bound = -model.terms(batch, training=False).values["labelled_reverse"].numpy()
    z, density = posterior_on_a_grid(model, X[0], 2)
    log_q_y = tf.nn.log_softmax(model.predict_logits(X[:1])).numpy()[0, 2]
    log_q = log_q_y - PIXELS * np.log(2)  # q(x, y): q(z|x, y) integrates to 1
    expected = log_q + np.trapezoid(np.log(density), z) / (HIGH - LOW) + np.log(HIGH - LOW)
    error = bound.std() / np.sqrt(rows)
    assert abs(bound.mean() - expected) < 4 * error + 0.01
    assert bound.mean() < log_q - 4 * error


def test_the_papers_weights_are_the_default():
    model = make_model()
    weights = {"classification": 10.0, "labelled_distance": 0.1, "labelled_reverse": 0.0}
    assert Untapped.paper_weights(100, 59_900) == weights
    for name in model.TERMS:
        assert model.term_weights[name] == weights.get(name, 1.0)
    assert make_model(weights={"labelled_reverse": 1.0}).term_weights["labelled_reverse"] == 1.0


def test_the_default_networks_are_the_papers():
    model = Untapped((28, 28, 1), 10)

    def widths(network):
        return [layer.units for layer in network.layers if hasattr(layer, "units")]

    assert widths(model.classifier) == [50, 50, 10]
    assert [model.encoder.merge.units, *widths(model.encoder.body)] == [10, 10]
    assert [model.decoder.merge.units, *widths(model.decoder.body)] == [250, 500, 784]
    assert model.latent_dim == 2
    assert (model.low, model.high) == (-1.5, 1.5)
    activations = [model.classifier.layers[1].activation, model.encoder.merge.activation]
    activations += [model.decoder.merge.activation, model.decoder.body.layers[0].activation]
    assert {activation.__name__ for activation in activations} == {"tanh"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 1.0, "high": 1.0}, "low < high"),
        ({"temperature": 0.0}, "temperature"),
        ({"epsilon": 1.0}, "epsilon"),
        ({"sampling": "gumbel"}, "did you mean"),
        ({"image_sampling": "hard"}, "known: detached, relaxed"),
        ({"image_distance": "square"}, "squared"),
        ({"likelihood": "gaussian"}, "binary images"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make_model(**arguments)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_class_is_one_relaxed_draw_at_its_temperature(temperature):
    model = make_model(sampling="gumbel_softmax", temperature=temperature)
    noise = Noise(0, 0)
    gumbel, normal = noise.gumbel((2, K)).numpy(), [noise.normal((n, 1)) for n in (0, 2)][1]
    batch = make_batch({"unlabelled": X[:2]}, (PIXELS,), K, Noise(0, 0))
    found = model.terms(batch, training=False).values["unlabelled_reconstruction"]
    scores = (np.log(model.predict(X[:2], verbose=0)) + gumbel) / temperature
    y = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    q_z = model.posterior_z(X[:2], y.astype("float32"))
    z = LOW + (HIGH - LOW) / (1 + np.exp(-(q_z.mean() + q_z.stddev() * normal).numpy()))
    logits = model.decode(z.astype("float32"), y.astype("float32")).numpy()
    expected = (np.logaddexp(0, logits) - X[:2] * logits).sum(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert y.max() < 0.99


def test_codes_of_the_prior_have_no_outliers(model):
    class Ends(Noise):
        def uniform(self, shape):
            return tf.constant([[2.0**-126], [1.0 - 2.0**-24]])

    np.testing.assert_allclose(
        model.prior_z(Ends(0, 0), 2)[:, 0], [-24 * np.log(2), 24 * np.log(2)], rtol=1e-4
    )
