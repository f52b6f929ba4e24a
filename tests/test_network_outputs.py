"""Classifiers and decoders that squeeze their outputs are refused, naming the layer."""

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae.models import ADGM, M2
from tfssvae.network_outputs import check_logits

SHAPE, K = (4, 4, 1), 3


def classifier(*last):
    return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), *last])


ENDS = {
    "an activation": ([keras.layers.Dense(K, "softmax", name="odds")], "odds"),
    "a sigmoid": ([keras.layers.Dense(K, "sigmoid", name="odds")], "odds"),
    "a layer": ([keras.layers.Dense(K), keras.layers.Softmax(name="odds")], "odds"),
    "an activation layer": (
        [keras.layers.Dense(K), keras.layers.Activation("softmax", name="odds")],
        "odds",
    ),
    "a reshaped one": (
        [keras.layers.Dense(K, "softmax", name="odds"), keras.layers.Reshape((K,))],
        "odds",
    ),
    "a nested model": (
        [keras.Sequential([keras.Input((16,)), keras.layers.Dense(K, "softmax", name="odds")])],
        "odds",
    ),
}


@pytest.mark.parametrize("end", sorted(ENDS))
def test_a_classifier_of_probabilities_is_refused(end):
    layers, name = ENDS[end]
    with pytest.raises(tfssvae.InputError, match=f"classifier ends in the layer '{name}'"):
        M2(SHAPE, K, latent_dim=2, hidden=(4,), classifier=classifier(*layers))


def test_a_functional_model_and_one_without_layers_are_refused():
    x = keras.Input(SHAPE)
    y = keras.layers.Dense(K, "softmax", name="odds")(keras.layers.Flatten()(x))
    with pytest.raises(tfssvae.InputError, match="'odds' with activation softmax"):
        M2(SHAPE, K, latent_dim=2, hidden=(4,), classifier=keras.Model(x, y))

    class Opaque(keras.Model):
        def __init__(self):
            super().__init__()
            self.flat, self.dense = keras.layers.Flatten(), keras.layers.Dense(K)

        def call(self, x):
            return keras.ops.softmax(self.dense(self.flat(x)))

    with pytest.raises(tfssvae.InputError, match="returns class probabilities"):
        M2(SHAPE, K, latent_dim=2, hidden=(4,), classifier=Opaque())


def test_a_decoder_of_intensities_is_refused():
    z, y = keras.Input((2,)), keras.Input((K,))
    merged = keras.layers.Concatenate()([z, y])
    pixels = keras.layers.Dense(16, "sigmoid", name="pixels")(merged)
    shaped = keras.layers.Reshape(SHAPE)(pixels)
    with pytest.raises(tfssvae.InputError, match="decoder ends in the layer 'pixels'"):
        M2(SHAPE, K, latent_dim=2, hidden=(4,), decoder=keras.Model([z, y], shaped))


def test_logits_of_any_other_kind_are_taken():
    M2(SHAPE, K, latent_dim=2, hidden=(4,), classifier=classifier(keras.layers.Dense(K)))
    M2(SHAPE, K, latent_dim=2, hidden=(4,), classifier=classifier(keras.layers.Dense(K, "relu")))
    last = keras.layers.Dense(K, "log_softmax")  # its softmax is what it was
    M2(SHAPE, K, latent_dim=2, hidden=(4,), classifier=classifier(last))
    ADGM(SHAPE, K, latent_dim=2, hidden=(4,), auxiliary_dim=2)
    check_logits(np.zeros((2, K)))
    check_logits(np.array([[0.5, 0.5, 0.0], [0.5, 0.4, 0.2]]))
