"""The compiled loop's own choices, and what it leaves to Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.models import M2
from tfssvae.training import loop

SHAPE, K = (8, 8, 1), 10


def convolving():
    """An M2 whose classifier has a convolution."""
    layers = [keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(K)]
    classifier = keras.Sequential([keras.Input(SHAPE), *layers])
    return M2(SHAPE, K, 2, (4,), classifier=classifier)


@pytest.mark.parametrize("gpu", [False, True])
def test_xla_is_used_where_it_pays(monkeypatch, gpu):
    models = M2(SHAPE, K, 2, (4,)), M2(SHAPE, K, 2, (4,), dtype="mixed_bfloat16"), convolving()
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU"] * gpu)
    assert [loop._xla_pays(model, 2000) for model in models] == [True, gpu, gpu]
    assert not any(loop._xla_pays(model, 1999) for model in models)


def flat(values):
    return np.concatenate([np.ravel(value) for value in values])


def test_gradients_of_several_steps_make_one():
    data = tfssvae.data.load("digits", labels_per_class=10)
    model, still = M2(SHAPE, K, 2, (8,)), M2(SHAPE, K, 2, (8,))
    model.compile(keras.optimizers.SGD(1e-3, gradient_accumulation_steps=2))
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", batch == 1)
    )
    options = {"callbacks": [stop], "steps_per_call": 1, "jit_compile": False, "verbose": 0}
    loop.train(model, data, 1, 10, 30, **options)

    found = []

    class Kept(keras.optimizers.SGD):
        """Keeps the gradients, and leaves the weights as they are."""

        def apply(self, grads, trainable_variables=None):
            found.append(flat(grads))

    still.compile(Kept())
    for batch in data.train(10, 30).from_step(0).take(2):
        still.train_step(batch)
    moved = flat(model.trainable_variables) - flat(still.trainable_variables)
    np.testing.assert_allclose(moved, -1e-3 * np.mean(found, axis=0), rtol=1e-3, atol=1e-7)
    assert np.abs(moved).max() > 1e-4
