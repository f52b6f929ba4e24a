"""Every method in half precision: networks compute in it, and nothing else does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract.conftest import make_model
from tfssvae import layers
from tfssvae.checks import InputError
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
        missing = network == "classifier" and name == "vae"
        assert outputs == (set() if missing else {"float32"}), network  # a later cast is too late
    heads = parts(model, layers.GaussianHead)
    assert {head.dense.compute_dtype for head in heads} == {"float32"}

    batch, _ = model._batch(next(iter(data.train(20, 30))), FIXED_STEP)
    found = model._objective(batch, training=True)
    assert found.logits.dtype == tf.float32
    assert {value.dtype for value in found.values.values()} == {tf.float32}
    assert {value.dtype for value in found.monitors.values()} == {tf.float32}
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


@pytest.mark.parametrize("broken", [0, 1])
def test_what_overflows_in_any_replica_reaches_no_weight(data, strategy, broken):
    images = data.x_train[:40].astype("float32") / 255
    x = {"labelled": images, "unlabelled": images}
    weights = np.ones(40, "float32")
    weights[20 * broken] = 1e38  # of a row of that replica
    batches = tf.data.Dataset.from_tensors((x, data.y_test[:40], weights))
    with strategy.scope():
        sgd = keras.optimizers.SGD(1e-3)
        model = make_model("m2", data, dtype="mixed_float16", optimizer=sgd)
    before = [variable.numpy() for variable in model.trainable_variables]
    scale = float(model.optimizer.initial_scale)
    model.fit(batches, epochs=1, verbose=0)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert float(model.optimizer.dynamic_scale.numpy()) == scale / 2

    batches = tf.data.Dataset.from_tensors((x, data.y_test[:40], np.ones(40, "float32")))
    model.fit(batches, epochs=1, verbose=0)
    after = [variable.numpy() for variable in model.trainable_variables]
    assert all(np.isfinite(value).all() for value in after)
    assert any(np.any(new != old) for new, old in zip(after, before, strict=True))


def test_gradients_of_several_steps_are_refused_on_several_replicas(data, strategy):
    adam = keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2)
    with strategy.scope(), pytest.raises(InputError, match="gradient_accumulation_steps"):
        make_model("m2", data, optimizer=adam)
