"""CaGeM: which parameters labels reach, both classifiers, batch statistics, samples of a class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.batch import make_batch
from tfssvae.models import CaGeM
from tfssvae.noise import Noise

K, PIXELS = 3, 5
RNG = np.random.default_rng(0)
LABELLED, UNLABELLED = RNG.uniform(size=(2, 7, PIXELS)).astype("float32")
LABELS = np.array([0, 1, 2, 0, -1, 1, 2])
NETWORKS = {
    "encoder": ["encoder", "posterior_head_z1"],  # q(z1|x)
    "classifier": ["classifier"],  # q(y|z1, x): phi_y
    "top_encoder": ["top_encoder", "posterior_head_z2"],  # q(z2|x, y, z1)
    "top_classifier": ["top_classifier"],  # p(y|z2): theta_y
    "top_decoder": ["top_decoder", "head_z1"],  # p(z1|y, z2)
    "decoder": ["decoder"],  # p(x|y, z1)
}
"""The distributions of the model and the parts that hold their parameters."""


def make(**arguments):
    """A small model with weights of some size, its running averages too."""
    settings = {"latent_dims": (3, 2), "hidden": (16, 12), "seed": 4, **arguments}
    model = CaGeM((PIXELS,), K, **settings)
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(size=variable.shape) * 0.3)
    for variable in model.non_trainable_variables:
        if variable.path.endswith("moving_mean"):
            variable.assign(rng.uniform(-0.5, 0.5, variable.shape))
        if variable.path.endswith("moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def batch_of(labelled=LABELLED, unlabelled=UNLABELLED, labels=LABELS):
    data = ({"labelled": labelled, "unlabelled": unlabelled}, labels)
    return make_batch(data, (PIXELS,), K, Noise(0, 0))


def reached(model, value, variables_of=NETWORKS):
    """The distributions whose parameters, each single one, have a gradient of the value."""
    variables = {
        name: [v.value for part in parts for v in getattr(model, part).trainable_variables]
        for name, parts in variables_of.items()
    }
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(value())
    gradients = tape.gradient(total, variables)
    found = set()
    for name, parts in gradients.items():
        touched = [part is not None and bool(np.abs(part).max() > 0) for part in parts]
        assert all(touched) or not any(touched), name
        if all(touched):
            found.add(name)
    return found


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("classification", {"classifier"}),
        ("classification_p", {"classifier", "top_classifier"}),
        ("unlabelled_kl_y", {"encoder", "classifier", "top_encoder", "top_classifier"}),
        ("unlabelled_kl_z2", {"encoder", "classifier", "top_encoder"}),
        ("unlabelled_kl_z1", set(NETWORKS) - {"top_classifier", "decoder"}),
        ("unlabelled_reconstruction", {"encoder", "classifier", "decoder"}),
    ],
)
def test_a_term_reaches_the_parameters_that_section_4_says(term, expected, training):
    model = make()
    found = reached(model, lambda: model.terms(batch_of(), training).values[term])
    assert found == expected


def test_labelled_images_do_not_touch_the_bound():
    found = [
        make().terms(batch_of(labelled=x), training=True).values for x in (LABELLED, 1 - LABELLED)
    ]
    for name in CaGeM.TERMS:
        same = np.array_equal(found[0][name], found[1][name])
        assert same == name.startswith("unlabelled_"), name


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


@pytest.mark.parametrize("skip_connection", [True, False])
def test_both_cross_entropies_are_those_of_a_loop(skip_connection):
    model = make(skip_connection=skip_connection)
    values = model.terms(batch_of(), training=True).values
    noise = batch_of()
    noise_1, noise_2 = (noise.normal(size)[: len(LABELS)].numpy() for size in (3, 2))
    for i, label in enumerate(LABELS):
        x = LABELLED[i : i + 1]
        q_z1 = model.posterior_z1(x)
        z1 = q_z1.mean() + q_z1.stddev() * noise_1[i]
        q_y = softmax(model.classify(x, z1).numpy()[0])
        p_y = np.zeros(K)
        for k in range(K):
            q_z2 = model.posterior_z2(x, np.eye(K, dtype="float32")[k : k + 1], z1)
            z2 = q_z2.mean() + q_z2.stddev() * noise_2[i]
            p_y += q_y[k] * softmax(model.class_logits(z2).numpy()[0])
        expected = (0.0, 0.0) if label < 0 else (-np.log(q_y[label]), -np.log(p_y[label]))
        found = (values["classification"][i], values["classification_p"][i])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_paper_weighs_both_cross_entropies_alike():
    model = make(weights=CaGeM.paper_weights(100, 59_900))
    assert model.term_weights["classification"] == pytest.approx(60)
    assert model.term_weights["classification_p"] == pytest.approx(60)
    assert model.term_weights["unlabelled_kl_z1"] == 1


def test_the_temperature_acts_on_both_codes_and_labels_are_optional():
    weights = CaGeM.recommended_weights(0, 60_000, 784, steps=100)
    model = make(weights=weights)
    for term in ("unlabelled_kl_z1", "unlabelled_kl_z2"):
        found = [float(model.term_weights[term](step)) for step in (0, 10, 20, 99)]
        np.testing.assert_allclose(found, [0, 0.5, 1, 1])
    assert model.term_weights["classification"] == model.term_weights["unlabelled_kl_y"] == 1
    for labels, alpha in ((100, 10), (10, 100.1)):
        found = CaGeM.recommended_weights(labels, 10_000, 784, steps=100)["classification*"]
        assert found == pytest.approx(alpha, rel=0.02)


def statistics(model):
    return [
        variable.numpy()
        for variable in model.non_trainable_variables
        if variable.path.endswith(("moving_mean", "moving_variance"))
    ]


def step(model, *batch):
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    model.train_on_batch(*batch)
    return statistics(model)


def test_statistics_are_those_of_the_unlabelled_rows_alone():
    mixed = step(make(), {"labelled": LABELLED, "unlabelled": UNLABELLED}, LABELS)
    alone = step(make(), {"unlabelled": UNLABELLED})
    assert len(mixed) == 2 * 2 * len(NETWORKS)
    # Other random numbers of z1 and z2: the first network sees none of them.
    for one, other in zip(mixed[:4], alone[:4], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    for one, other in zip(mixed, statistics(make()), strict=True):
        assert np.abs(one - other).max() > 1e-4


def test_the_first_statistics_are_the_mean_and_variance_of_the_unlabelled_products():
    model = make()
    norm = next(
        part for part in model.encoder.layers if isinstance(part, keras.layers.BatchNormalization)
    )
    products = UNLABELLED @ model.encoder.layers[0].kernel.numpy()
    expected = [
        norm.momentum * before.numpy() + (1 - norm.momentum) * now
        for before, now in (
            (norm.moving_mean, products.mean(0)),
            (norm.moving_variance, products.var(0)),
        )
    ]
    step(model, {"labelled": LABELLED, "unlabelled": UNLABELLED}, LABELS)
    np.testing.assert_allclose(norm.moving_mean, expected[0], rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, expected[1], rtol=1e-4)


def test_labelled_images_alone_leave_the_statistics_as_they_are():
    after = step(make(), {"labelled": LABELLED}, LABELS)
    for one, other in zip(after, statistics(make()), strict=True):
        np.testing.assert_array_equal(one, other)


GRID = np.linspace(-6, 6, 121, dtype="float32")[:, None]


def normal_density(z):
    return np.exp(-0.5 * z.astype("float64") ** 2) / np.sqrt(2 * np.pi)


def column(distribution):
    """The density of a 1-d distribution on the grid, (rows, grid)."""
    mean, stddev = (
        value.numpy().astype("float64") for value in (distribution.mean(), distribution.stddev())
    )
    return normal_density((GRID[:, 0] - mean) / stddev) / stddev


@pytest.mark.parametrize("predict_with", ["p", "q"])
def test_predictions_are_integrated_over_both_codes(predict_with):
    model = make(latent_dims=(1, 1), predict_samples=20_000, predict_with=predict_with)
    p_y = softmax(model.class_logits(GRID).numpy().astype("float64"))  # (grid of z2, K)
    for x in UNLABELLED[:2]:
        rows = np.tile(x, (len(GRID), 1))
        q_z1 = column(model.posterior_z1(x[None]))[0]
        q_y = softmax(model.classify(rows, GRID).numpy())
        inner = np.zeros((len(GRID), K))
        for k in range(K):
            y = np.tile(np.eye(K, dtype="float32")[k], (len(GRID), 1))
            q_z2 = column(model.posterior_z2(rows, y, GRID))  # (grid of z1, grid of z2)
            inner += q_y[:, k : k + 1] * np.trapezoid(q_z2[:, :, None] * p_y, GRID[:, 0], axis=1)
        if predict_with == "q":
            inner = q_y
        expected = np.trapezoid(q_z1[:, None] * inner, GRID[:, 0], axis=0)
        found = model.predict(x[None], verbose=0)[0]
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_generated_images_have_the_mean_of_their_class():
    model = make(latent_dims=(1, 1))
    # Classes that differ in z2, and codes z1 that follow it.
    model.top_classifier.layers[-1].kernel.assign_add(RNG.normal(size=(12, K)))
    p_y = softmax(model.class_logits(GRID).numpy().astype("float64"))
    for k in range(K):
        y = np.tile(np.eye(K, dtype="float32")[k], (len(GRID), 1))
        p_z2 = normal_density(GRID[:, 0]) * p_y[:, k]
        p_z2 /= np.trapezoid(p_z2, GRID[:, 0])
        p_z1 = np.trapezoid(p_z2[:, None] * column(model.prior_z1(y, GRID)), GRID[:, 0], axis=0)
        images = tf.sigmoid(model.decode(y, GRID)).numpy()
        expected = np.trapezoid(p_z1[:, None] * images, GRID[:, 0], axis=0)
        found = model.generate(np.full(5000, k)).mean(0)
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_images_of_a_code_have_its_own_class_or_the_wanted_one():
    model = make()
    z2 = np.zeros((6, 2), "float32")
    model.top_classifier.layers[-1].kernel.assign(np.zeros((12, K)))
    model.top_classifier.layers[-1].bias.assign([0.0, 60.0, 0.0])

    def images(labels):
        # The class is drawn after the labels of the other case are given: the same noise follows.
        noise = Noise(0, 0)
        if labels is not None:
            noise.gumbel((1, 1))
        return model.images_of_codes(z2, labels, noise).numpy()

    np.testing.assert_array_equal(images(None), images([1] * 6))
    assert np.abs(images(None) - images([0] * 6)).max() > 1e-3


def test_without_the_skip_connection_z2_sees_x_through_z1_only():
    y, z1 = np.eye(K, dtype="float32")[:1], np.ones((1, 3), "float32")
    for skip_connection in (True, False):
        model = make(skip_connection=skip_connection)
        means = [model.posterior_z2(x[None], y, z1).mean().numpy() for x in UNLABELLED[:2]]
        assert np.array_equal(*means) != skip_connection


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dims": (3,)}, "z1 and z2"),
        ({"predict_samples": 0}, "at least 1"),
        ({"predict_with": "r"}, "must be"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make(**arguments)


def with_classes_in(model, order):
    """A copy of the model whose class k is the class order[k] of the model."""
    found = make()
    found.set_weights(model.get_weights())
    for network in (found.top_encoder, found.top_decoder, found.decoder):
        kernel = network.merge.kernels[-1]  # of the one-hot class
        kernel.assign(kernel.numpy()[order])
    for network in (found.classifier, found.top_classifier):
        kernel, bias = network.trainable_variables[-2:]
        kernel.assign(kernel.numpy()[:, order])
        bias.assign(bias.numpy()[order])
    return found


def test_without_labels_the_clusters_have_no_order():
    model, order = make(), [2, 0, 1]
    other = with_classes_in(model, order)
    values, others = (
        m.terms(make_batch({"unlabelled": UNLABELLED}, (PIXELS,), K, Noise(0, 0)), False).values
        for m in (model, other)
    )
    for name in CaGeM.TERMS:
        np.testing.assert_allclose(others[name], values[name], rtol=1e-4, atol=1e-5)
    predicted = model.predict(UNLABELLED, verbose=0)
    np.testing.assert_allclose(
        other.predict(UNLABELLED, verbose=0), predicted[:, order], rtol=1e-4, atol=1e-6
    )
    assert np.abs(predicted - predicted[:, order]).max() > 0.01


@pytest.mark.parametrize("rows", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 7))])
def test_arrays_of_any_length_are_fitted(rows):
    for y in (LABELS[:rows], None):
        model = make()
        model.compile("sgd")
        history = model.fit(UNLABELLED[:rows], y, batch_size=3, verbose=0).history
        assert np.isfinite(history["loss"]).all()
