"""Every method with parts of the user's own, and with many classes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import networks
from tfssvae.models import M2
from tfssvae.training import linear_ramp

K = 10


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):
    """A user's own layer with an argument of its own."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return self.factor * x

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def own_m2(seed=0):
    """M2 on convolutions, a functional encoder, a Gaussian likelihood and a schedule."""
    keras.utils.set_random_seed(seed)
    x, y = keras.Input((8, 8, 1)), keras.Input((K,))
    features = Doubled(2.0)(networks.conv((8, 8, 1), filters=(4,), hidden=12)(x))
    hidden = keras.layers.Dense(12, "relu")(keras.layers.Concatenate()([features, y]))
    encoder = keras.Model([x, y], keras.layers.BatchNormalization()(hidden))
    z = keras.Input((3,))
    decoder = keras.Model(
        [z, y],
        networks.conv_transpose(3 + K, (8, 8, 1), (4,))(keras.layers.Concatenate()([z, y])),
    )
    return M2(
        (8, 8, 1),
        K,
        latent_dim=3,
        encoder=encoder,
        decoder=decoder,
        classifier=networks.conv((8, 8, 1), (4,), 8, outputs=K),
        likelihood=tfssvae.layers.GaussianLikelihood(0.2, learn_variance=True),
        weights={"*_kl_z": linear_ramp(1.0, 10)},
        class_prior="labels",
    )


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=10)


def test_own_networks_train_save_load_and_resume(data, tmp_path):
    model = own_m2()
    model.compile(keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    history = model.fit(data.train(50, 446), epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "own.keras")
    loaded = keras.saving.load_model(tmp_path / "own.keras")
    x = data.x_test[:10]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    np.testing.assert_array_equal(loaded.reconstruct(x), model.reconstruct(x))
    for each in (model, loaded):
        each.fit(data.train(50, 446), epochs=1, verbose=0)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batch_norm_sees_one_mixed_batch(data):
    model = own_m2()
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    norm = model.encoder.layers[-1]
    before = norm.moving_mean.numpy()
    model.train_on_batch({"labelled": data.x_train[:4], "unlabelled": data.x_train[4:10]}, [1] * 4)
    pairs = tfssvae.layers.Pairs(tf.constant([1] * 4), 6, K)
    images = pairs.expand(tfssvae.layers.scale_images(data.x_train[:10]))
    inputs = keras.Model(model.encoder.inputs, norm.input)([images, pairs.y])
    expected = before * norm.momentum + inputs.numpy().mean(0) * (1 - norm.momentum)
    np.testing.assert_allclose(norm.moving_mean, expected, rtol=1e-4, atol=1e-6)


def test_networks_that_do_not_fit_are_refused_at_once():
    classifier = networks.mlp((8, 8, 1), (8,), outputs=K + 1)
    with pytest.raises(tfssvae.InputError, match="do not fit together"):
        M2((8, 8, 1), K, latent_dim=2, hidden=(8,), classifier=classifier)
    decoder = networks.conditional_mlp([(2,), (K,)], (8,), outputs=63)
    with pytest.raises(tfssvae.InputError, match="do not fit together"):
        M2((8, 8, 1), K, latent_dim=2, hidden=(8,), decoder=decoder)


def test_a_layers_own_penalty_is_a_term_of_its_own(data):
    penalty = keras.regularizers.L2(0.1)
    classifier = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(K, kernel_regularizer=penalty),
        ]
    )
    model = M2((8, 8, 1), K, latent_dim=2, hidden=(8,), classifier=classifier)
    model.compile("adam", run_eagerly=True)
    logs = model.test_on_batch(data.x_test[:5], data.y_test[:5], return_dict=True)
    expected = 0.1 * (classifier.layers[-1].kernel.numpy() ** 2).sum()
    assert float(logs["network_losses"]) == pytest.approx(expected, rel=1e-5)


def test_formats_that_keras_cannot_write_are_refused_with_what_to_write(tmp_path):
    model = M2((8, 8, 1), K, latent_dim=2, hidden=(8,))
    with pytest.raises(tfssvae.InputError, match=r"m\.h5: .*save it as \.keras"):
        model.save(tmp_path / "m.h5")
    with pytest.raises(tfssvae.InputError, match=r"tfssvae\.serving\.export\(model, '.*/out'\)"):
        model.export(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_users_own_method_lacks_is_named():
    class Half(M2):
        log_weights = tfssvae.SemiSupervisedVAE.log_weights

    model = Half((8, 8, 1), K, latent_dim=2, hidden=(8,))
    with pytest.raises(NotImplementedError, match="Half has no log_weights of its own"):
        model.log_likelihood(np.zeros((1, 8, 8, 1), "uint8"), num_samples=1, verbose=0)


def test_an_unknown_method_is_no_attribute():
    with pytest.raises(AttributeError, match="METHODS has no class 'M3': known: VAE, M1, M2, "):
        _ = tfssvae.models.M3


def test_a_hundred_classes_and_tables_of_numbers():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(300, 20)).astype("float32"), np.arange(300) % 100
    y[100:] = -1
    data = tfssvae.data.from_arrays(x, y, num_classes=100)
    model = M2((20,), 100, latent_dim=2, hidden=(16, 16))
    model.compile(keras.optimizers.Adam(1e-2))
    history = tfssvae.training.train(model, data, 3, 100, 200, jit_compile=False, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.predict(x[:4], verbose=0).shape == (4, 100)
