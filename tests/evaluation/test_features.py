"""Penultimate activations: times the last kernel, plus its bias, they are the logits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssvae import evaluation, models, networks
from tfssvae.checks import InputError
from tfssvae.layers import scale_images


def last_dense(network):
    return last_dense(network.layers[-1]) if hasattr(network, "layers") else network


def assert_features_give(features, dense, logits):
    kernel, bias = (np.asarray(weight) for weight in dense.weights)
    np.testing.assert_allclose(features @ kernel + bias, logits, rtol=1e-5, atol=1e-5)


def test_features_of_every_method_give_its_logits(any_model, digits):
    x = digits.x_test[:30]
    if not hasattr(any_model, "classifier"):
        with pytest.raises(InputError, match="VAE has no classifier"):
            evaluation.classifier_features(any_model, x)
        return
    images = scale_images(x)
    beside = [name for name in ("posterior_a", "posterior_z1") if hasattr(any_model, name)]
    if beside:
        logits = any_model.classify(images, getattr(any_model, beside[0])(images).mean())
        network = any_model.classifier.body
    else:
        logits, network = any_model.predict_logits(images), any_model.classifier
    features = evaluation.classifier_features(any_model, x, batch_size=13)
    assert features.dtype == np.float32
    assert np.ptp(logits) > 0.1
    assert_features_give(features, last_dense(network), logits)
    as_floats = evaluation.classifier_features(any_model, (x / 255).astype("float32"))
    np.testing.assert_allclose(as_floats, features, rtol=1e-5, atol=1e-5)


def functional(ending):
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Dense(7, "tanh")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, ending(hidden))


def nested(hidden):
    head = keras.Sequential([keras.Input((7,)), keras.layers.Dense(5, "relu"), dense()])
    return head(hidden)


def dense():
    return keras.layers.Dense(10, name="logits")


CLASSIFIERS = {
    "conv": lambda: networks.conv((8, 8, 1), (4, 6), 9, 10),
    "functional": lambda: functional(lambda hidden: dense()(hidden)),
    "nested": lambda: functional(nested),
    "activation last": lambda: functional(
        lambda hidden: keras.layers.Activation("linear")(
            keras.layers.Reshape((10,))(dense()(hidden))
        )
    ),
    "no hidden layer": lambda: networks.mlp((8, 8, 1), (), 10),
    "twice in one layer": lambda: functional(lambda hidden: shared(hidden)),
}
WIDTHS = {"conv": 9, "nested": 5, "no hidden layer": 64}


def shared(hidden):
    layer = keras.layers.Dense(7, "tanh")
    return dense()(layer(layer(hidden)))


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_classifiers_of_the_user(case, digits):
    classifier = CLASSIFIERS[case]()
    model = models.METHODS["m2"](digits.input_shape, 10, 3, (12,), classifier=classifier)
    x = digits.x_test[:6]
    features = evaluation.classifier_features(model, x)
    assert features.shape == (6, WIDTHS.get(case, 7))
    named = [layer for layer in classifier._flatten_layers() if len(layer.weights) == 2]
    head = next(layer for layer in named if layer.weights[1].shape == (10,))
    assert_features_give(features, head, model.predict_logits(scale_images(x)))


def test_features_of_half_precision_are_float32(digits):
    model = models.METHODS["m2"](digits.input_shape, 10, 3, (12,), dtype="mixed_bfloat16")
    x = digits.x_test[:6]
    features = evaluation.classifier_features(model, x)
    assert features.dtype == np.float32
    # The head is in float32, so that its input is all that was rounded.
    logits = model.predict_logits(scale_images(x))
    assert_features_give(features, last_dense(model.classifier), logits)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.flat, self.dense = keras.layers.Flatten(), keras.layers.Dense(10)

    def call(self, inputs):
        return self.dense(self.flat(inputs))


def test_a_network_without_one_last_layer_is_refused(digits):
    two_heads = functional(
        lambda hidden: keras.layers.Average()([keras.layers.Dense(10)(hidden) for _ in range(2)])
    )
    for classifier, message in (
        (two_heads, "does not end in one dense layer"),
        (Subclassed(), "Sequential or functional"),
    ):
        classifier(tf.zeros((1, 8, 8, 1)))
        model = models.METHODS["m2"](digits.input_shape, 10, 3, (12,), classifier=classifier)
        with pytest.raises(InputError, match=message):
            evaluation.classifier_features(model, digits.x_test[:2])


def test_images_of_another_shape_are_refused(m2):
    with pytest.raises(InputError, match=r"x must have shape \(n, 8, 8, 1\)"):
        evaluation.classifier_features(m2, np.zeros((2, 4, 4, 1)))
