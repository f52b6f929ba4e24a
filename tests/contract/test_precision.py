"""Every method in half precision: networks compute in it, and nothing else does."""

import keras
import pytest
import tensorflow as tf

from tests.contract.conftest import make_model
from tfssvae import layers
from tfssvae.core import FIXED_STEP


def parts(model, kind):
    """Return the layers of a kind, wherever they are in a model."""
    layers_of = [] if model is None else model._flatten_layers()
    return [layer for layer in layers_of if isinstance(layer, kind)]


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_heads_losses_and_optimizer_state_are_float32(name, data, precision):
    model = make_model(name, data, dtype=precision, optimizer=keras.optimizers.Adam(1e-3))
    dense = parts(model, keras.layers.Dense)
    assert precision.removeprefix("mixed_") in {layer.compute_dtype for layer in dense}
    for network, size in (("classifier", model.num_classes), ("decoder", model.num_pixels)):
        dense = parts(getattr(model, network, None), keras.layers.Dense)
        outputs = {layer.compute_dtype for layer in dense if layer.units == size}
        assert outputs <= {"float32"}, network  # a cast after the product is too late
    heads = parts(model, layers.GaussianHead)
    assert {head.dense.compute_dtype for head in heads} <= {"float32"}

    batch = model._batch(next(iter(data.train(20, 30))), FIXED_STEP)
    found = model._objective(batch, training=True)
    assert found.logits.dtype == tf.float32
    assert {value.dtype for value in found.values.values()} == {tf.float32}
    assert {value.dtype for value in found.monitors.values()} <= {tf.float32}
    moments = [moment for q in found.latents.values() for moment in (q.mean(), q.variance())]
    assert {moment.dtype for moment in moments} <= {tf.float32}

    model.train_step(next(iter(data.train(20, 30))))
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    kept = [variable.dtype for variable in variables]
    assert set(kept) <= {"float32", "int32", "int64", "uint32"}
    x = tf.constant(data.x_test[:3])
    assert model(x).dtype == tf.float32
    assert model.encode_batch(x).dtype == tf.float32
    assert model.reconstruct_batch(x).dtype == tf.float32
