"""VAE: the variational autoencoder (Kingma and Welling, 2014), also importance-weighted (IWAE).

    generative model   p(x, z) = p(x|z) p(z),  p(z) = N(0, I)
    inference model    q(z|x)

It knows nothing of classes, q(y|x) = p(y): the baseline for likelihoods, and the first stage of
`M1` and `M1M2`.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.noise import Noise


class Autoencoder(SemiSupervisedVAE):
    """q(z|x) and p(x|z) p(z): what `VAE`, `M1` and `M1M2` have in common.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: d, the size of z.
        hidden: units of the hidden layers of the default networks.
        encoder: network from x to features, on which a Gaussian head is put.
        decoder: network from z to the likelihood's parameters, one per pixel.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        prior: p(z), a layer with a method `distribution()`; None: N(0, I).
        **kwargs: of `SemiSupervisedVAE`.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int,
        hidden: Sequence[int],
        encoder: keras.Model | None,
        decoder: keras.Model | None,
        likelihood,
        prior: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.latent_dim, self.hidden = int(latent_dim), tuple(hidden)
        options = {"dtype": self.dtype_policy, "seed": self.seed}
        self.encoder = encoder or networks.mlp(
            self.example_shape, self.hidden, name="encoder", **options
        )
        self.decoder = decoder or networks.mlp(
            (self.latent_dim,), self.hidden[::-1], self.num_pixels, name="decoder", **options
        )
        self.head_z = layers.GaussianHead(self.latent_dim, seed=self.seed, name="head_z")
        self.likelihood = layers.get_likelihood(likelihood)
        self.prior = prior or layers.StandardNormalPrior(self.latent_dim)

    def posterior_z(self, x, training=False) -> tfd.Distribution:
        """Return q(z|x)."""
        return layers.gaussian(*self.head_z(self.encoder(x, training=training)))

    def decode(self, z, training=False) -> tf.Tensor:
        """Return the parameters of p(x|z), (rows, *input_shape)."""
        code = layers.code_of(self.prior, z)
        outputs = tf.cast(self.decoder(code, training=training), tf.float32)
        return tf.reshape(outputs, [-1, *self.example_shape])

    def draw(self, x, q_z: tfd.Distribution, noise, training=False):
        """Return samples of z, log p(x|z) and log q(z|x) - log p(z) of each.

        Args:
            x: (rows, *input_shape) images.
            q_z: q(z|x).
            noise: (rows, samples, d) standard normal draws.
            training: whether weights are being trained.

        Returns:
            (rows * samples, d), (rows, samples) and (rows, samples).
        """
        samples = noise.shape[1]
        mean, stddev = (layers.repeat_rows(value, samples) for value in (q_z.mean(), q_z.stddev()))
        noise = tf.reshape(noise, [-1, self.latent_dim])
        z = mean + stddev * noise
        log_p_x = self.likelihood.log_prob(layers.repeat_rows(x, samples), self.decode(z, training))
        log_q = losses.gaussian_log_prob(noise, 0.0, 1.0) - tf.reduce_sum(tf.math.log(stddev), -1)
        log_ratio = log_q - self.prior.distribution().log_prob(z)
        return z, tf.reshape(log_p_x, [-1, samples]), tf.reshape(log_ratio, [-1, samples])

    def posterior_mean(self, x):
        """Return E[z|x], (batch, d)."""
        return self.posterior_z(x).mean()

    def expected_image(self, x):
        """Return E[x|z] at the mean of z."""
        return self.likelihood.mean(self.decode(self.posterior_z(x).mean()))

    @property
    def encoding_size(self) -> int:
        """How many numbers `encode` gives for an image."""
        return self.latent_dim

    def images_of_encoding(self, codes):
        """Return E[x|z] of codes (rows, d), as `encode` gives them."""
        return self.likelihood.mean(self.decode(codes))

    def sample_images(self, labels, noise: Noise):
        """Return E[x|z] with z drawn from the prior, one for each label, which plays no part."""
        z = layers.sample_prior(self.prior, noise, tf.shape(labels)[0])
        return self.likelihood.mean(self.decode(z))

    def log_weights(self, x, num_samples: int, noise: Noise):
        """Return log p(x, z) - log q(z|x) of samples of z: (batch, num_samples)."""
        draws = noise.normal((tf.shape(x)[0], num_samples, self.latent_dim))
        _, log_p_x, log_ratio = self.draw(x, self.posterior_z(x), draws)
        return log_p_x - log_ratio


@keras.saving.register_keras_serializable("tfssvae")
class VAE(Autoencoder):
    """Variational autoencoder; every image counts alike, labelled or not.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K; `predict` gives the prior p(y), and `generate` ignores the label.
        latent_dim: d, the size of z.
        hidden: units of the hidden layers of the default encoder and decoder.
        encoder: network from x to features, on which a Gaussian head is put.
        decoder: network from z to the likelihood's parameters, one per pixel.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        importance_samples: k, samples of z per image in training; more than one trains the
            importance-weighted bound (IWAE).
        prior: p(z), a layer with a method `distribution()`; default N(0, I). `layers.BoxPrior` is
            a uniform one over a box.
        **kwargs: of `SemiSupervisedVAE`: class_prior, weights, regularizers, seed, name, dtype.

    References:
        Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014; Burda et al., "Importance
        weighted autoencoders", ICLR 2016.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int = 50,
        hidden: Sequence[int] = (600, 600),
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        likelihood="bernoulli",
        importance_samples: int = 1,
        prior: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(
            input_shape,
            num_classes,
            latent_dim,
            hidden,
            encoder,
            decoder,
            likelihood,
            prior,
            **kwargs,
        )
        if importance_samples < 1:
            raise InputError(f"importance_samples must be at least 1, got {importance_samples}")
        self.importance_samples = int(importance_samples)
        self.finish()

    @property
    def TERMS(self) -> dict[str, str]:  # type: ignore[override]
        """Name -> meaning of every term."""
        found = {"reconstruction": "-E log p(x|z)", "kl_z": "KL(q(z|x) || p(z))"}
        if self.importance_samples > 1:
            found["kl_z"] += ", estimated by the samples"
            found["importance_gap"] = "mean log w - log mean w, w = p(x,z) / q(z|x); at most 0"
        return found

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int):
        """Return no weights: the bound as it is."""
        return {}

    def predict_logits(self, x, training=False):
        """Return log p(y) for every image, (batch, K): a VAE knows nothing of classes."""
        return tf.tile(self.log_class_prior()[None], [tf.shape(x)[0], 1])

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of minus the bound on log p(x)."""
        x, samples = batch.images, self.importance_samples
        q_z = self.posterior_z(x, training)
        noise = tf.reshape(batch.normal(samples * self.latent_dim), [-1, samples, self.latent_dim])
        z, log_p_x, log_ratio = self.draw(x, q_z, noise, training)
        values = {"reconstruction": -tf.reduce_mean(log_p_x, axis=-1)}
        if samples == 1:
            values["kl_z"] = layers.kl_to_prior(q_z, self.prior, z)
        else:
            # The three add up to -log mean w (Burda et al., eq. 8).
            values["kl_z"] = tf.reduce_mean(log_ratio, axis=-1)
            log_w = log_p_x - log_ratio
            bound = losses.importance_weighted_bound(log_w)
            values["importance_gap"] = tf.reduce_mean(log_w, axis=-1) - bound
        return Terms(
            values=values,
            logits=self.predict_logits(x, training),
            monitors={"unlabelled_bound": -losses.add_terms(values.values())[batch.num_labelled :]},
            latents={"z": q_z},
        )
