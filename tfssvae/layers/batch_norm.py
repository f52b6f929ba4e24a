"""Batch normalisation in one operation a pass, over the batch of all replicas and all blocks."""

import keras
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.layers.block_pass import Moments, active_pass
from tfssvae.replicas import on_one_device


@keras.saving.register_keras_serializable("tfssvae")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation, over the batch of all replicas, fused where it can be.

    In training on one device images are normalised by TensorFlow's fused operation: half the time
    of Keras's own, which passes over the images for each of its dozen operations, and in half
    precision without a float32 copy of them. What comes out, and the running statistics, are those
    of the base class, which does all else: several replicas, other axes, renormalisation, masks.

    Where pairs pass in blocks of classes (`over_classes`), the statistics are of all of them.

    Args:
        momentum: of the running statistics.
        **kwargs: of `keras.layers.BatchNormalization`.
    """

    def __init__(self, momentum: float = 0.99, **kwargs):
        super().__init__(momentum=momentum, **{"synchronized": True, **kwargs})

    def call(self, inputs, training=None, mask=None):
        block = active_pass()
        if training and self.trainable and block is not None:
            if self.renorm or mask is not None:
                raise InputError(
                    f'"{self.path}" renormalises, or has a mask, which does not go together with '
                    "class_block: leave one of them out"
                )
            return self._normalised(inputs, block.statistics(self, inputs))
        if not (training and self.trainable and mask is None and self._fuses(inputs)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation divides the sum of squares by n - 1, Keras's running variance by n.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        variance *= (count - 1.0) / count
        self.update_statistics(Moments(mean, variance))
        return outputs

    def update_statistics(self, values: Moments) -> None:
        """Move the running statistics towards those of a batch."""
        for running, value in zip((self.moving_mean, self.moving_variance), values, strict=True):
            running.assign(running * self.momentum + value * (1.0 - self.momentum))

    def moments(self, inputs, weights=None) -> tuple[Moments, tf.Tensor]:
        """Return moments of the inputs of each channel, and how many values they are of.

        Args:
            inputs: (rows, ..., c), or with c on another axis; without any row the moments are 0.
            weights: (rows,), how much a row counts, or None for 1.

        Returns:
            Moments (c,) and a scalar, float32.
        """
        inputs = tf.cast(inputs, tf.float32)
        axis = self.axis % inputs.shape.rank
        others = [a for a in range(inputs.shape.rank) if a != axis]
        counted = tf.ones(tf.shape(inputs)[:1]) if weights is None else weights
        each = tf.reshape(counted, [-1, *[1] * (inputs.shape.rank - 1)])
        places = tf.reduce_prod(tf.shape(inputs)[1:]) // inputs.shape[axis]
        count = tf.reduce_sum(counted) * tf.cast(places, tf.float32)
        mean = tf.math.divide_no_nan(tf.reduce_sum(each * inputs, others, keepdims=True), count)
        squares = tf.reduce_sum(each * tf.square(inputs - mean), others)
        return Moments(tf.reshape(mean, [-1]), tf.math.divide_no_nan(squares, count)), count

    def join_moments(self, parts: Moments, counts) -> Moments:
        """Return the moments of all values from those of parts of them, of all replicas.

        Args:
            parts: moments (parts, c).
            counts: (parts,), of how many values they are.
        """

        def total(values):
            if not self.synchronized or on_one_device():
                return values
            replica = tf.distribute.get_replica_context()
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)

        counts = counts[:, None]
        count = total(tf.reduce_sum(counts))
        mean = tf.math.divide_no_nan(total(tf.reduce_sum(counts * parts.mean, axis=0)), count)
        # Of each part its own variance, and the distance of its mean: no difference of squares.
        squares = counts * (parts.variance + tf.square(parts.mean - mean))
        return Moments(mean, tf.math.divide_no_nan(total(tf.reduce_sum(squares, axis=0)), count))

    def _normalised(self, inputs, values: Moments):
        outputs = keras.ops.batch_normalization(
            x=tf.cast(inputs, tf.float32),
            mean=values.mean,
            variance=values.variance,
            axis=self.axis,
            offset=tf.convert_to_tensor(self.beta) if self.center else None,
            scale=tf.convert_to_tensor(self.gamma) if self.scale else None,
            epsilon=self.epsilon,
        )
        return tf.cast(outputs, self.compute_dtype)

    def _fuses(self, inputs) -> bool:
        images = len(inputs.shape) == 4 and self.axis in (-1, 3)
        return on_one_device() and images and self.scale and self.center and not self.renorm
