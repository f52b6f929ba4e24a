"""Dropout whose masks are a function of a seed and a saved count: runs resume exactly."""

import keras
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.noise import Noise


@keras.saving.register_keras_serializable("tfssvae")
class ChannelDropout(keras.layers.Layer):
    """Drop whole channels in training, and scale the others to keep the mean.

    What `keras.layers.SpatialDropout2D` does to images; features without places, (batch, units),
    are dropped one by one. Keras's layer keeps a random state that checkpoints do not hold; this
    one counts its calls in a saved variable, and call n draws the numbers of (seed, n).

    Args:
        rate: fraction dropped, in [0, 1).
        seed: of the masks; layers of one network have different ones.
    """

    def __init__(self, rate: float, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= rate < 1.0:
            raise InputError(f"rate must be in [0, 1), got {rate}")
        self.rate, self.seed = float(rate), int(seed)

    def build(self, input_shape):
        self.calls = self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name="calls",
        )
        self.built = True

    def call(self, inputs, training=None):
        """Return the inputs (batch, ..., channels), in training with channels dropped."""
        if not training or self.rate == 0.0:
            return inputs
        rows = inputs.shape[0] if inputs.shape[0] is not None else tf.shape(inputs)[0]
        places = [1] * (inputs.shape.rank - 2)
        uniform = Noise(self.seed, self.calls).uniform((rows, *places, inputs.shape[-1]))
        self.calls.assign(self.calls + 1)
        scale = tf.where(uniform < self.rate, 0.0, 1.0 / (1.0 - self.rate))
        return inputs * tf.cast(scale, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
