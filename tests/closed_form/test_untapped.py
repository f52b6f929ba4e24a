"""Untapped's equations: the reverse bound by enumeration, its gradients, the losses of eq. 7."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import losses
from tfssvae.batch import make_batch
from tfssvae.data.pipeline import training_order
from tfssvae.models import Untapped
from tfssvae.noise import Noise
from tfssvae.training import Checkpoint, restore_latest, train

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


@pytest.fixture(scope="module")
def model():
    return make_model()


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
        make_batch(({"unfeatured": labels},), (PIXELS,), K, Noise(0, 0))


# The forward model -------------------------------------------------------------------------------


def test_the_prior_of_z_is_uniform(model):
    z = np.sort(model.flow.forward(model.prior_z(Noise(0, 0), 50_000)).numpy()[:, 0])
    assert z[0] >= LOW
    assert z[-1] <= HIGH
    np.testing.assert_allclose(z, np.linspace(LOW, HIGH, len(z)), atol=0.03)
    assert model.log_p_z == pytest.approx(-np.log(3.0))


def posterior_on_a_grid(model, x, label):
    """The grid of z and the density q(z|x, y) on it."""
    z = np.linspace(LOW, HIGH, 20_003)[1:-1]
    index = np.flatnonzero((x == EVERY_IMAGE).all(1))[0]
    log_q_y = tf.nn.log_softmax(model.predict_logits(x[None])).numpy()[0, label]
    return z, np.exp(log_joint(model, label, z)[index] - log_q_y + PIXELS * np.log(2))


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


# Training on labels without images ---------------------------------------------------------------

SIZES = {"labelled": 30, "unlabelled": 704, "unfeatured": 16}  # two steps an epoch
STEPS = 2


@pytest.fixture(scope="module")
def digits():
    return tfssvae.data.load("digits", labels_per_class=3, unfeatured="classes")


def digits_model():
    model = Untapped((8, 8, 1), 10, hidden=(16,), seed=1)
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def flat_weights(model):
    return np.concatenate([np.ravel(value) for value in model.get_weights()])


def run_loop(model, data, epochs=2, **arguments):
    return train(model, data, epochs, jit_compile=False, verbose=0, **SIZES, **arguments)


@pytest.fixture(scope="module")
def trained(digits):
    model = digits_model()
    history = run_loop(model, digits).history
    assert history["unfeatured_label"][0] > 0
    return model, history


def test_both_drivers_and_streaming_see_the_same_labels(digits, trained):
    fitted, streamed = digits_model(), digits_model()
    history = fitted.fit(digits.train(**SIZES), epochs=2, verbose=0).history
    run_loop(streamed, digits, resident=False)
    for model in (fitted, streamed):
        np.testing.assert_array_equal(flat_weights(model), flat_weights(trained[0]))
    for name, values in history.items():
        np.testing.assert_allclose(values, trained[1][name], rtol=1e-6)
    without = digits_model()
    train(without, digits, 2, 30, 704, jit_compile=False, verbose=0, unfeatured=0)
    assert np.abs(flat_weights(without) - flat_weights(trained[0])).max() > 1e-4


def test_a_resumed_run_sees_the_labels_of_the_interrupted_one(digits, trained, tmp_path):
    class Killer(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.steps_done) == STEPS + 1:
                raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path, every_seconds=0, mid_epoch=True)
    with pytest.raises(KeyboardInterrupt):
        run_loop(digits_model(), digits, steps_per_call=1, callbacks=[checkpoint, Killer()])
    model = digits_model()
    state = restore_latest(model, tmp_path)
    assert state["step"] == STEPS + 1
    run_loop(model, digits, steps_per_call=1, initial_epoch=state["epoch"])
    np.testing.assert_array_equal(flat_weights(model), flat_weights(trained[0]))


def test_a_step_takes_the_labels_of_the_order(digits):
    order = training_order(digits, 30, 704, unfeatured=16)
    seen = []

    class Watching(Untapped):
        def terms(self, batch, training):
            if training:
                seen.append(batch.unfeatured.numpy())
            return super().terms(batch, training)

    model = Watching((8, 8, 1), 10, hidden=(16,))
    model.compile("adam", run_eagerly=True)
    model.fit(digits.train(**SIZES), epochs=2, verbose=0)
    for step, rows in enumerate(seen):
        np.testing.assert_array_equal(rows, np.eye(10)[order.unfeatured_rows(step, 1)[0]])
    assert len(seen) == 2 * STEPS


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_training_on_labels_without_images_raises_their_bound(digits, precision):
    bounds = []
    for weight in (0.0, 1.0):
        weights = {"unfeatured_*": weight}
        model = Untapped((8, 8, 1), 10, hidden=(32,), seed=0, dtype=precision, weights=weights)
        model.compile(keras.optimizers.Adam(1e-2))
        history = run_loop(model, digits, epochs=15).history
        assert np.isfinite(history["loss"]).all()
        bounds.append(history["monitor/unfeatured_bound"][-1])
    assert bounds[1] > bounds[0] + 1


def test_xla_draws_and_learns_alike(digits):
    model = digits_model()
    history = train(model, digits, 2, jit_compile=True, verbose=0, **SIZES).history
    assert np.isfinite(history["loss"]).all()
    assert history["unfeatured_label"][0] > 0
