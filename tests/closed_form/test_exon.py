"""EXoN: its bound, the straight-through draw, the weights, and the soft-label consistency."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfssvae
from tfssvae import layers, losses, networks
from tfssvae.batch import make_batch
from tfssvae.models import M2, EXoN
from tfssvae.models.exon import classification_weight, default_prior, paper_consistency
from tfssvae.noise import Noise
from tfssvae.regularizers import SoftLabelConsistency
from tfssvae.regularizers.mixing import mixing_weights

K, PIXELS, D = 3, 6, 2
MEAN = np.array([[0.0, 1.0], [3.0, -2.0], [-1.0, 4.0]])
VARIANCE = np.array([[1.0, 4.0], [0.5, 0.25], [2.0, 1.0]])
SMALL = {"hidden": (8,), "filters": (4,), "dropout": 0.0}
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(9, PIXELS)).astype("float32")
Y = np.array([0, 2, 1, -1])


def make(seed=0, **arguments):
    """EXoN on vectors, with weights far from their initial values."""
    prior = layers.GaussianMixturePrior(MEAN, VARIANCE)
    # Without batch normalisation, training and evaluation are the same function.
    classifier = networks.mlp((PIXELS,), (8,), K)
    model = EXoN(
        (PIXELS,), K, **{"hidden": (8,), "prior": prior, "classifier": classifier}, **arguments
    )
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.4)
    return model


def batch_of(model, noise=None):
    data = ({"labelled": X[:4], "unlabelled": X[4:]}, Y)
    return make_batch(data, model.example_shape, K, noise or Noise(1, 2))


def softmax(logits):
    values = np.exp(logits - logits.max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)


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
    z = RNG.normal(size=(9, D)).astype("float32")
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


def test_default_priors_are_the_papers():
    np.testing.assert_allclose(default_prior(10).mean, layers.circle_layout(10, 4.0)[0], rtol=1e-6)
    prior = default_prior(10, 256)
    np.testing.assert_allclose(prior.mean, layers.one_hot_layout(10, 256)[0])
    with pytest.raises(tfssvae.InputError, match="not in 5"):
        EXoN((8, 8, 1), 10, latent_dim=5)


def test_the_priors_weights_are_the_class_prior():
    prior = layers.GaussianMixturePrior(MEAN, VARIANCE, [0.5, 0.3, 0.2])
    model = EXoN((PIXELS,), K, prior=prior, **SMALL)
    np.testing.assert_allclose(np.exp(model.log_class_prior()), [0.5, 0.3, 0.2], rtol=1e-5)
    copy = EXoN.from_config(model.get_config())
    np.testing.assert_allclose(np.exp(copy.log_class_prior()), [0.5, 0.3, 0.2], rtol=1e-5)
    assert copy.latent_dim == 2
    for other in ([0.2, 0.3, 0.5], "labels"):
        with pytest.raises(tfssvae.InputError, match="leave one out"):
            EXoN((PIXELS,), K, prior=prior, class_prior=other, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dim": 3}, "in 3 dimensions"),
        ({"beta": 0.0}, "beta must be a positive number"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make(**arguments)
    with pytest.raises(tfssvae.InputError, match="one per class"):
        EXoN((PIXELS,), K + 1, prior=layers.GaussianMixturePrior(MEAN, VARIANCE))


def test_published_weights():
    # Eq. 10 times beta, as the authors' code has it, for 32 labelled and 96 unlabelled images, in
    # units of a batch of 128 means.
    beta, lambda_1 = 0.25, 6000.0
    bound, cross_entropy, labelled, unlabelled = RNG.uniform(1, 2, size=4)
    published = 128 * bound + 32 * cross_entropy
    published += lambda_1 / beta * 32 * (cross_entropy + labelled)
    published += lambda_1 / beta * 96 * unlabelled
    weights = paper_consistency(beta, lambda_1).default_weights()
    ours = bound + classification_weight(beta, lambda_1) * cross_entropy
    ours += weights["labelled_consistency"] * labelled
    ours += weights["unlabelled_consistency"] * unlabelled
    assert ours == pytest.approx(published / 128)


def test_weights_follow_beta_unless_set():
    model = EXoN((PIXELS,), K, prior=layers.GaussianMixturePrior(MEAN, VARIANCE), beta=50.0)
    (consistency,) = model.regularizers
    assert model.weight_settings == {"classification": classification_weight(50.0)}
    assert consistency.default_weights() == paper_consistency(50.0).default_weights()
    revived = EXoN.from_config(model.get_config())
    assert revived.weight_settings == model.weight_settings
    chosen = EXoN((PIXELS,), K, prior=model.prior, beta=50.0, weights={"*": 2.0}, regularizers=[])
    assert chosen.regularizers == []
    assert set(chosen.term_weights.values()) == {2.0}


def test_the_recommended_code_is_costly_until_classes_have_their_places():
    def ramp(pixels):
        return EXoN.recommended_weights(100, 900, pixels, steps=1000)["kl_z"]

    assert [float(ramp(3072)(step)) for step in (0, 200, 400, 1000)] == [20.0, 10.5, 1.0, 1.0]
    assert float(ramp(784)(0)) == pytest.approx(19.6)
    assert EXoN.recommended_weights(100, 900, 100, steps=1000) == {}


def test_classes_in_one_place_are_reported(caplog):
    EXoN((PIXELS,), 3, prior=layers.GaussianMixturePrior([[0.0, 1.0], [4.0, 1.0], [4.0, 1.0]], 1.0))
    assert "components 1 and 2 overlap by 1.00" in caplog.text
    caplog.clear()
    EXoN((PIXELS,), 3)
    assert not caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"beta": float("inf")}, "beta must be a positive number"),
        ({"beta": "a"}, "beta must be a positive number"),
        ({"beta": 3.0, "likelihood": "bernoulli"}, "leave beta or likelihood out"),
        ({"learn_beta": True, "likelihood": "bernoulli"}, "leave beta or likelihood out"),
        ({"prior": "circle"}, "layers.GaussianMixturePrior"),
        ({"prior": layers.circle_layout(K)}, "layers.GaussianMixturePrior"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(tfssvae.InputError, match=words):
        EXoN((PIXELS,), K, **arguments)


def test_the_networks_have_the_papers_sizes():
    def weights(network):
        return sum(int(np.prod(v.shape)) for v in network.trainable_variables)

    # Kernels, two numbers of each normalisation, biases of the last layer.
    convolutions = 25 * 32 + 2 * 32 + 9 * 32 * 64 + 2 * 64 + 9 * 64 * 128 + 2 * 128
    head = 128 * 64 + 2 * 64 + 64 * 10 + 10
    assert weights(networks.exon_classifier((28, 28, 1), 10)) == convolutions + head
    wide = networks.exon_wide_classifier((32, 32, 3), 10)
    assert weights(wide) == pytest.approx(4.5e6, rel=0.02)  # table 1
    encoder = networks.exon_encoder((32, 32, 3))
    assert encoder.output_shape == (None, 1024)
    assert encoder.layers[-3].input.shape[1:] == (4 * 4 * 256,)
    decoder = networks.exon_decoder(256, (32, 32, 3))
    assert decoder.output_shape == (None, 32, 32, 3)
    assert networks.exon_decoder(8, (28, 28, 1), (16, 8, 8)).output_shape == (None, 28, 28, 1)
    model = EXoN((28, 28, 1), 10)
    shapes = [tuple(v.shape) for v in model.encoder.trainable_variables[::2]]
    assert shapes == [(784, 256), (256, 128)]
    shapes = [tuple(v.shape) for v in model.decoder.trainable_variables[::2]]
    assert shapes == [(2, 128), (128, 256), (256, 784)]


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (8, 8, 1), (5, 3, 2), (1, 1, 1), (7,)])
def test_the_default_classifier_takes_any_shape(shape):
    network = networks.exon_classifier(shape, 4)
    assert network(np.zeros((2, *shape), "float32")).shape == (2, 4)


# Soft-label consistency ------------------------------------------------------------------------


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


def consistency(model, regularizer, training=False, noise=None):
    batch = batch_of(model, noise)
    terms = model.terms(batch, training=False)
    return regularizer.terms(model, batch, terms, training), terms


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
    probs_1, probs_2 = softmax(RNG.normal(size=(1, K))), softmax(RNG.normal(size=(1, K)))
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
