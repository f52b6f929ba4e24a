"""Batch normalisation in one operation a pass, over the batch of all replicas."""

import keras
import tensorflow as tf

from tfssvae.replicas import on_one_device


@keras.saving.register_keras_serializable("tfssvae")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation, over the batch of all replicas, fused where it can be.

    In training on one device images are normalised by TensorFlow's fused operation: half the time
    of Keras's own, which passes over the images for each of its dozen operations, and in half
    precision without a float32 copy of them. What comes out, and the running statistics, are those
    of the base class, which does all else: several replicas, other axes, renormalisation, masks.

    Args:
        momentum: of the running statistics.
        **kwargs: of `keras.layers.BatchNormalization`.
    """

    def __init__(self, momentum: float = 0.99, **kwargs):
        super().__init__(momentum=momentum, **{"synchronized": True, **kwargs})

    def call(self, inputs, training=None, mask=None):
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
        for running, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(running * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _fuses(self, inputs) -> bool:
        images = len(inputs.shape) == 4 and self.axis in (-1, 3)
        return on_one_device() and images and self.scale and self.center and not self.renorm
