"""The compiled loop's own choices."""

import keras
import pytest
import tensorflow as tf

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
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU"] * gpu)
    models = M2(SHAPE, K, 2, (4,)), M2(SHAPE, K, 2, (4,), dtype="mixed_bfloat16"), convolving()
    assert [loop._xla_pays(model, 2000) for model in models] == [True, gpu, gpu]
    assert not any(loop._xla_pays(model, 1999) for model in models)
