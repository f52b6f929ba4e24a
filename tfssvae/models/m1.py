"""M1: a classifier on the code of a VAE (Kingma, Rezende, Mohamed and Welling, 2014, section 3.1).

generative model   p(x, z) = p(x|z) p(z),  p(z) = N(0, I)
inference model    q(z|x), and q(y|z), which the autoencoder does not feel
"""

from collections.abc import Sequence
from typing import ClassVar

import keras
import tensorflow as tf

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.core import Terms
from tfssvae.models.exact import class_monitors
from tfssvae.models.vae import Autoencoder


@keras.saving.register_keras_serializable("tfssvae")
class M1(Autoencoder):
    """A VAE of all images, and a classifier on its code that learns from the labelled ones.

    Both are trained in one run: no gradient goes from the classifier to the autoencoder, so that
    the code is what it would be without labels.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: d, the size of z.
        hidden: units of the hidden layers of the default encoder and decoder; the default
            classifier has one hidden layer with as many units as the first.
        encoder: network from x to features, on which a Gaussian head is put.
        decoder: network from z to the likelihood's parameters, one per pixel.
        classifier: network from z to K logits.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        prior: p(z), a layer with a method `distribution()`; default N(0, I). `layers.BoxPrior` is
            a uniform one over a box.
        **kwargs: of `SemiSupervisedVAE`: class_prior, weights, regularizers, seed, name, dtype.

    References:
        Kingma et al., "Semi-supervised learning with deep generative models", NeurIPS 2014.
    """

    TERMS: ClassVar[dict[str, str]] = {
        "reconstruction": "-E log p(x|z)",
        "kl_z": "KL(q(z|x) || p(z))",
        "classification": "-log q(y|x) of the labelled images",
    }

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int = 50,
        hidden: Sequence[int] = (600, 600),
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        classifier: keras.Model | None = None,
        likelihood="bernoulli",
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
        self.classifier = classifier or networks.mlp(
            (self.latent_dim,),
            self.hidden[:1],
            self.num_classes,
            seed=self.seed,
            dtype=self.dtype_policy,
            name="classifier",
        )
        self.finish()

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int):
        """Return no weights: the classifier's term does not compete with the bound."""
        return {}

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return tf.cast(self.classifier(self.posterior_z(x).mean(), training=training), tf.float32)

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the bound's terms of all images and the classification term of the labelled."""
        q_z = self.posterior_z(batch.images, training)
        noise = batch.normal(self.latent_dim)[:, None]
        z, log_p_x, _ = self.draw(batch.images, q_z, noise, training)
        code = tf.stop_gradient(q_z.mean())
        logits = tf.cast(self.classifier(code, training=training), tf.float32)
        logits_l, logits_u = logits[: batch.num_labelled], logits[batch.num_labelled :]
        reconstruction = -log_p_x[:, 0]
        kl_z = layers.kl_to_prior(q_z, self.prior, z)
        return Terms(
            values={
                "reconstruction": reconstruction,
                "kl_z": kl_z,
                "classification": -losses.categorical_log_prob(batch.labels, logits_l),
            },
            logits=logits,
            monitors={
                "unlabelled_bound": -(reconstruction + kl_z)[batch.num_labelled :],
                **class_monitors(logits_u),
            },
            latents={"z": q_z},
        )
