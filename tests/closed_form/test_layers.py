"""Layers and networks against plain dense layers on concatenated inputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssvae import InputError, layers, networks

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(5, 4, 4, 1)).astype("float32")
K = 3


@pytest.fixture
def pairs():
    return layers.Pairs(tf.constant([2, -1]), 3, K)


def test_pairs_are_the_labelled_rows_then_every_class_of_the_others(pairs):
    expected = [[0, 0, 1], [0, 0, 0], *np.tile(np.eye(K), (3, 1))]
    np.testing.assert_array_equal(pairs.y, expected)
    rows = tf.range(5.0)[:, None]
    np.testing.assert_array_equal(pairs.expand(rows)[:, 0], [0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4])
    labelled, unlabelled = pairs.split(pairs.expand(rows)[:, 0])
    np.testing.assert_array_equal(labelled, [0, 1])
    np.testing.assert_array_equal(unlabelled, [[2] * 3, [3] * 3, [4] * 3])


def test_merged_dense_is_a_dense_layer_on_the_concatenation():
    layer = layers.MergedDense(6, "relu", seed=1)
    a, b = RNG.normal(size=(2, 7, 3)).astype("float32")
    output = layer([a, b])
    dense = keras.layers.Dense(6, "relu")
    dense.build((None, 6))
    dense.set_weights([np.concatenate([k.numpy() for k in layer.kernels]), layer.bias.numpy()])
    np.testing.assert_allclose(output, dense(np.concatenate([a, b], axis=1)), rtol=1e-5, atol=1e-6)


def test_expanding_products_equals_expanding_inputs(pairs):
    network = networks.conditional_mlp([(4, 4, 1), (K,)], hidden=(8, 6), outputs=2, seed=0)
    shared = network([X, pairs.y], expand=[pairs.expand, None])
    repeated = network([pairs.expand(tf.constant(X)), pairs.y])
    np.testing.assert_allclose(shared, repeated, rtol=1e-5, atol=1e-6)
    plain = keras.Sequential([keras.Input((16 + K,)), keras.layers.Dense(8, "relu")])
    plain.add(keras.layers.Dense(6, "relu"))
    plain.add(keras.layers.Dense(2))
    kernels = np.concatenate([kernel.numpy() for kernel in network.merge.kernels])
    body = [weight.numpy() for weight in network.body.weights]
    plain.set_weights([kernels, network.merge.bias.numpy(), *body])
    inputs = np.concatenate([pairs.expand(tf.constant(X.reshape(5, 16))), pairs.y], axis=1)
    np.testing.assert_allclose(shared, plain(inputs), rtol=1e-4, atol=1e-5)


def test_any_keras_model_of_two_inputs_is_expanded(pairs):
    x, y = keras.Input((4, 4, 1)), keras.Input((K,))
    merged = keras.layers.Concatenate()([keras.layers.Flatten()(x), y])
    network = keras.Model([x, y], keras.layers.Dense(2)(merged))
    actual = networks.call_network(network, [tf.constant(X), pairs.y], [pairs.expand, None])
    expected = network([pairs.expand(tf.constant(X)), pairs.y])
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_merged_dense_starts_at_glorots_limit_of_the_whole_matrix():
    layer = layers.MergedDense(600, seed=0)
    layer.build([(None, 784), (None, 10)])
    limit = np.sqrt(6 / (784 + 10 + 600))
    for kernel in layer.kernels:
        values = np.abs(kernel.numpy())
        assert 0.98 * limit < values.max() <= limit
    assert not np.allclose(layer.kernels[0][:10], layer.kernels[1])


def test_layers_of_one_network_do_not_share_initial_weights():
    network = networks.mlp((8,), hidden=(8, 8), outputs=8, seed=0)
    kernels = [w.numpy() for w in network.weights if w.shape == (8, 8)]
    assert len(kernels) == 3
    assert not np.allclose(kernels[0], kernels[1])
    again = networks.mlp((8,), hidden=(8, 8), outputs=8, seed=0)
    np.testing.assert_array_equal(kernels[0], again.weights[0])


def test_a_network_without_layers_is_the_identity_and_is_saved(tmp_path):
    network = networks.mlp((3,), hidden=(), outputs=None, dtype="mixed_bfloat16")
    network.save(tmp_path / "identity.keras")
    x = np.array([[1.0, -2.0, 3.0]], "float32")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "identity.keras")(x), x)


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (32, 32, 3), (9, 7, 2)])
def test_convolutional_decoder_has_the_shape_of_the_image(shape):
    assert networks.conv_transpose(5, shape, filters=(8, 4)).output_shape == (None, *shape)
    assert networks.conv(shape, filters=(4, 8), hidden=6, outputs=3).output_shape == (None, 3)


def test_scaling_takes_uint8_and_float():
    np.testing.assert_allclose(
        layers.scale_images(np.array([0, 51, 255], "uint8")), [0, 0.2, 1], rtol=1e-6
    )
    np.testing.assert_array_equal(layers.scale_images(np.array([0.25, 1.0])), [0.25, 1.0])


def test_gaussian_likelihood_equals_the_density_at_its_variance():
    layer = layers.GaussianLikelihood(variance=0.3)
    outputs, x = RNG.normal(size=(2, 4)), RNG.uniform(size=(2, 4))
    mean = 1 / (1 + np.exp(-outputs))
    expected = (-0.5 * ((x - mean) ** 2 / 0.3 + np.log(2 * np.pi * 0.3))).sum(1)
    np.testing.assert_allclose(layer.log_prob(x, outputs), expected, rtol=1e-5)
    assert layer.trainable_variables == []
    assert len(layers.GaussianLikelihood(learn_variance=True).trainable_variables) == 1


def test_unknown_likelihood_names_the_known_ones():
    with pytest.raises(InputError, match="bernoulli"):
        layers.get_likelihood("bernouli")
    with pytest.raises(InputError, match="positive"):
        layers.GaussianLikelihood(variance=0.0)
