"""Fused batch normalisation against Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssvae import layers

RNG = np.random.default_rng(0)
GAMMA, BETA = RNG.uniform(0.5, 2, 3), RNG.normal(size=3)


def step(layer, x, weight, jit=False):
    """Return outputs, gradients and the running statistics after one step of training."""
    layer.build(x.shape)
    layer.gamma.assign(GAMMA)
    layer.beta.assign(BETA)

    @tf.function(jit_compile=jit)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(weight * tf.square(tf.cast(y, tf.float32)))
        return y, tape.gradient(loss, [x, *layer.trainable_weights])

    y, gradients = run(tf.constant(x))
    return [np.asarray(v, np.float32) for v in (y, *gradients, *layer.non_trainable_weights)]


def assert_equal_steps(ours, other, tolerance):
    for one, two in zip(ours, other, strict=True):
        np.testing.assert_allclose(one, two, rtol=tolerance, atol=tolerance * np.abs(two).max())


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (2, 1, 1, 3), (1, 3, 3, 3), (7, 3)])
def test_training_is_keras_batch_normalisation(shape, jit):
    x = (2 + 3 * RNG.normal(size=shape)).astype("float32")
    weight = RNG.normal(size=shape).astype("float32")
    ours = step(layers.BatchNormalization(0.9), x, weight, jit)
    keras_own = step(keras.layers.BatchNormalization(momentum=0.9), x, weight)
    assert_equal_steps(ours, keras_own, 1e-3 if shape == (2, 1, 1, 3) else 2e-5)


def test_half_precision_normalises_in_float32():
    x = (100 + RNG.normal(size=(8, 6, 6, 3))).astype("float32")
    weight = RNG.normal(size=x.shape).astype("float32")
    ours = step(layers.BatchNormalization(0.9, dtype="mixed_bfloat16"), x, weight)
    keras_own = step(
        keras.layers.BatchNormalization(momentum=0.9, dtype="mixed_bfloat16"), x, weight
    )
    assert np.isfinite(np.concatenate([value.ravel() for value in ours])).all()
    assert_equal_steps(ours, keras_own, 1e-2)


def test_images_are_fused_and_all_else_is_not():
    layer = layers.BatchNormalization()

    def operations(shape, **options):
        graph = tf.function(lambda x: layer(x, **options)).get_concrete_function(
            tf.TensorSpec(shape, tf.float32)
        )
        return {operation.type for operation in graph.graph.get_operations()}

    assert "FusedBatchNormV3" in operations((None, 4, 4, 3), training=True)
    assert "FusedBatchNormV3" not in operations((None, 4, 4, 3), training=False)
    layer.trainable = False
    assert "FusedBatchNormV3" not in operations((None, 4, 4, 3), training=True)


def test_several_replicas_normalise_over_all_rows(strategy):
    x = RNG.normal(size=(8, 2, 2, 3)).astype("float32")
    with strategy.scope():
        layer = layers.BatchNormalization()
        layer.build(x.shape)

    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        return layer(tf.constant(x)[4 * index : 4 * index + 4], training=True)

    parts = strategy.experimental_local_results(tf.function(lambda: strategy.run(replica))())
    whole = keras.layers.BatchNormalization()(x, training=True)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
