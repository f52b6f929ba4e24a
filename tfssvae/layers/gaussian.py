"""Gaussian posteriors and priors."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

_LOG_VAR_BOUND = 12.0  # standard deviations between exp(-6) and exp(6)


def gaussian(mean, log_var) -> tfd.Distribution:
    """Return the diagonal Gaussian over the last axis, in float32.

    Args:
        mean: (..., d) means.
        log_var: (..., d) log-variances.

    Returns:
        A tfp distribution of batch shape (...) and event shape (d,).
    """
    mean, log_var = tf.cast(mean, tf.float32), tf.cast(log_var, tf.float32)
    return tfd.Independent(tfd.Normal(mean, tf.exp(0.5 * log_var)), reinterpreted_batch_ndims=1)


def reparameterize(distribution: tfd.Distribution, noise) -> tf.Tensor:
    """Return mean + stddev * noise: a sample that gradients pass through (Kingma, 2014).

    Args:
        distribution: a Gaussian of `gaussian`.
        noise: standard normal draws, of the shape of the mean or broadcast to it.
    """
    return distribution.mean() + distribution.stddev() * noise


@keras.saving.register_keras_serializable("tfssvae")
class GaussianHead(keras.layers.Layer):
    """Mean and log-variance of a Gaussian, from one matrix product in float32.

    The log-variance is bounded smoothly to (-12, 12), b tanh(v / b), so that no input makes the
    divergence overflow, and a unit at the bound still has a gradient to come back by.

    Args:
        latent_dim: d, the size of the latent vector.
        seed: of the initial weights; None draws from Keras's global seed.
    """

    def __init__(self, latent_dim: int, seed: int | None = None, **kwargs):
        kwargs["dtype"] = "float32"  # rounding a log-variance after the product is too late
        super().__init__(**kwargs)
        self.latent_dim = int(latent_dim)
        self.seed = seed
        self.dense = keras.layers.Dense(
            2 * self.latent_dim,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype="float32",
            name="dense",
        )

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.built = True

    def call(self, features):
        """Map features (..., h) to a mean and a log-variance, both (..., d) float32."""
        mean, log_var = tf.split(self.dense(features), 2, axis=-1)
        return mean, _LOG_VAR_BOUND * tf.tanh(log_var / _LOG_VAR_BOUND)

    def get_config(self):
        return {**super().get_config(), "latent_dim": self.latent_dim, "seed": self.seed}


@keras.saving.register_keras_serializable("tfssvae")
class StandardNormalPrior(keras.layers.Layer):
    """p(z) = N(0, I), the prior of most methods.

    A prior is a layer with a method `distribution()` that builds the tfp distribution inside the
    caller's graph, so that a prior may have weights of its own.

    Args:
        latent_dim: d, the size of the latent vector.
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = int(latent_dim)
        self.built = True

    def distribution(self) -> tfd.Distribution:
        """Return the prior: batch shape (), event shape (d,)."""
        zeros = tf.zeros(self.latent_dim)
        return gaussian(zeros, zeros)

    def get_config(self):
        return {**super().get_config(), "latent_dim": self.latent_dim}
