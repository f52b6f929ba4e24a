"""A code in a box for any method: uniform prior, posterior through the logistic flow."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae.layers.flow import LogisticFlow
from tfssvae.layers.gaussian import reparameterize
from tfssvae.noise import Noise


@keras.saving.register_keras_serializable("tfssvae")
class BoxPrior(keras.layers.Layer):
    """p(z) = U(low, high)^d, for methods whose posterior is a Gaussian.

    The Gaussian is over z~, and the decoder sees z = flow(z~) (Untapped, eq. 10): the posterior of
    z is a Gaussian through `LogisticFlow`. The uniform prior of z is the standard logistic one of
    z~, and divergences are the same of both. `encode` gives z~.

    Args:
        latent_dim: d, the size of the latent vector.
        low: lower edge of z in each dimension.
        high: upper edge.
    """

    def __init__(self, latent_dim: int, low: float = -1.5, high: float = 1.5, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = int(latent_dim)
        self.flow = LogisticFlow(low, high)
        self.built = True

    def distribution(self) -> tfd.Distribution:
        """Return the prior of z~: batch shape (), event shape (d,)."""
        zeros = tf.zeros(self.latent_dim)
        return tfd.Independent(tfd.Logistic(zeros, 1.0), reinterpreted_batch_ndims=1)

    def code(self, z_tilde) -> tf.Tensor:
        """Return z = flow(z~), (rows, d) in [low, high], which the decoder sees."""
        return self.flow.forward(z_tilde)

    def get_config(self):
        edges = {"low": self.flow.low, "high": self.flow.high}
        return {**super().get_config(), "latent_dim": self.latent_dim, **edges}


def code_of(prior, z) -> tf.Tensor:
    """Return what the decoder sees of z, (rows, d): z itself, but for a prior with a `code`."""
    return prior.code(z) if hasattr(prior, "code") else z


def kl_to_prior(q_z: tfd.Distribution, prior, z) -> tf.Tensor:
    """Return KL(q(z|x) || p(z)), (rows,) nats: exact, or of one sample where nobody knows it.

    Args:
        q_z: a Gaussian of `gaussian`, (rows, d).
        prior: a layer with a method `distribution()`.
        z: (rows, d) samples of q_z, used where tfp has no divergence of the two: the entropy is
            exact and -log p(z) sampled.
    """
    p_z = prior.distribution()
    try:
        return tfd.kl_divergence(q_z, p_z)
    except NotImplementedError:
        return -q_z.entropy() - p_z.log_prob(z)


def sample_prior(prior, noise: Noise, rows) -> tf.Tensor:
    """Return draws from p(z), (rows, d).

    A Gaussian prior takes standard normal draws of the noise; another one a seed.
    """
    p_z = prior.distribution()
    normal = noise.normal((rows, *p_z.event_shape))
    if isinstance(getattr(p_z, "distribution", None), tfd.Normal):
        return reparameterize(p_z, normal)
    return p_z.sample(rows, seed=noise.key())
