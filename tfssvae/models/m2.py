"""M2: the generative semi-supervised model (Kingma, Rezende, Mohamed and Welling, 2014).

Equation numbers are those of Hasan Khan et al., "MIER", section 3.2 and appendix A.

    generative model   p(x, y, z) = p(x|y, z) p(y) p(z),  p(y) uniform, p(z) = N(0, I)
    inference model    q(y, z|x) = q(z|x, y) q(y|x)
"""

from collections.abc import Sequence
from typing import ClassVar

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.models.exact import (
    check_blocks,
    checked_class_block,
    class_monitors,
    code_of_images,
    draw_classes,
    every_class,
    exact_terms,
    paper_alpha,
    part_names,
    posterior_of_draws,
    recommended_weights,
)
from tfssvae.noise import Noise
from tfssvae.weights import Weight


@keras.saving.register_keras_serializable("tfssvae")
class M2(SemiSupervisedVAE):
    """Semi-supervised VAE with a class y and a continuous code z, exact over y.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: d, the size of z.
        hidden: units of the hidden layers of the default encoder and decoder; the default
            classifier has one hidden layer with as many units as the first.
        encoder: network from [x, one-hot y] to features, on which a Gaussian head is put.
        decoder: network from [z, one-hot y] to the likelihood's parameters, one per pixel.
        classifier: network from x to K logits.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        prior: p(z), a layer with a method `distribution()`; default N(0, I). `layers.BoxPrior` is
            a uniform one over a box.
        class_block: classes whose pairs with the unlabelled images are held in memory at a time
            in a step (see `layers.over_classes`); None holds all, as `encode` and its like do.
        **kwargs: of `SemiSupervisedVAE`: class_prior, weights, regularizers, seed, name, dtype.

    Networks that `networks.conditional_mlp` builds share the work that does not depend on y; any
    other keras.Model with the same inputs works and repeats it for each class.

    References:
        Kingma et al., "Semi-supervised learning with deep generative models", NeurIPS 2014.
    """

    EQUATIONS: ClassVar[str] = "Hasan Khan et al. (MIER)"
    TERMS: ClassVar[dict[str, str]] = part_names(
        {
            "reconstruction": "-E log p(x|y,z), eqs. 1 and 2",
            "kl_z": "E KL(q(z|x,y) || p(z)), eqs. 1 and 2",
        }
    )

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
        class_block: int | None = None,
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.latent_dim = int(latent_dim)
        self.hidden = tuple(hidden)
        self.class_block = checked_class_block(class_block)
        classes = (self.num_classes,)
        options = {"dtype": self.dtype_policy, "seed": self.seed}
        self.encoder = encoder or networks.conditional_mlp(
            [self.example_shape, classes], self.hidden, name="encoder", **options
        )
        self.decoder = decoder or networks.conditional_mlp(
            [(self.latent_dim,), classes],
            self.hidden,
            outputs=self.num_pixels,
            name="decoder",
            **options,
        )
        self.classifier = classifier or networks.mlp(
            self.example_shape, self.hidden[:1], self.num_classes, name="classifier", **options
        )
        self.head_z = layers.GaussianHead(self.latent_dim, seed=self.seed, name="head_z")
        self.likelihood = layers.get_likelihood(likelihood)
        self.prior = prior or layers.StandardNormalPrior(self.latent_dim)
        self.finish()
        check_blocks(self)

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return alpha of eq. 4, 0.1 N / N_labelled."""
        return {"classification": paper_alpha(num_labelled, num_unlabelled)}

    @classmethod
    def recommended_weights(
        cls, num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int
    ) -> dict[str, Weight]:
        """Return a larger alpha for small data, and a falling weight of KL(q(z|x,y) || p(z)).

        See `exact.recommended_weights` for the reasons.
        """
        return recommended_weights(num_labelled, num_unlabelled, num_pixels, steps)

    # The model's densities ---------------------------------------------------------------------

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return tf.cast(self.classifier(x, training=training), tf.float32)

    def posterior_z(self, x, y, expand=None, training=False) -> tfd.Distribution:
        """Return q(z|x, y) for the rows of y (rows, K); `expand` repeats rows of x to them."""
        features = networks.call_network(
            self.encoder, [x, y], None if expand is None else [expand, None], training
        )
        return layers.gaussian(*self.head_z(features))

    def decode(self, z, y, training=False) -> tf.Tensor:
        """Return the parameters of p(x|y, z), (rows, *input_shape)."""
        outputs = networks.call_network(
            self.decoder, [layers.code_of(self.prior, z), y], training=training
        )
        return tf.reshape(tf.cast(outputs, tf.float32), [-1, *self.example_shape])

    # The objective -----------------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of -J, eq. 4: the bounds of eqs. 1 and 2 and the classification term."""
        x, noise = batch.images, batch.normal(self.latent_dim)
        logits = self.predict_logits(x, training)

        def of_pairs(pairs):
            q_z = self.posterior_z(x, pairs.y, pairs.expand, training)
            # One draw of noise per image, shared by its classes: the classes are compared fairly.
            z = layers.reparameterize(q_z, pairs.expand(noise))
            outputs = self.decode(z, pairs.y, training)
            log_p_x = self.likelihood.log_prob(pairs.expand(x), outputs)
            return {"reconstruction": -log_p_x, "kl_z": layers.kl_to_prior(q_z, self.prior, z)}, q_z

        pairs = layers.Pairs(batch.labels, batch.num_unlabelled, self.num_classes)
        parts, q_z = layers.over_classes(of_pairs, pairs, self.class_block)
        return Terms(
            values=exact_terms(batch, pairs, logits, self.log_class_prior(), parts),
            logits=logits,
            monitors=class_monitors(pairs.split_examples(logits)[1]),
            latents={"z": code_of_images(pairs, q_z, logits)},
        )

    # What a trained model gives ----------------------------------------------------------------

    def posterior_mean(self, x):
        """Return E[z] under q(y, z|x), exact over y: (batch, d)."""
        pairs, mean = self._codes(x)
        return losses.marginalize(pairs.split(mean)[1], self.predict_logits(x))

    def expected_image(self, x):
        """Return the reconstruction: exact over y, z at its mean given y."""
        pairs, mean = self._codes(x)
        images = self.likelihood.mean(self.decode(mean, pairs.y))
        return losses.marginalize(pairs.split(images)[1], self.predict_logits(x))

    def _codes(self, x):
        """Return every pair and the mean of its q(z|x, y), (batch K, d)."""
        pairs = every_class(x, self.num_classes)
        return pairs, self.posterior_z(x, pairs.y, pairs.expand).mean()

    def sample_images(self, labels, noise: Noise):
        """Return E[x|y, z] with z drawn from the prior."""
        z = layers.sample_prior(self.prior, noise, tf.shape(labels)[0])
        return self.images_of_codes(z, labels)

    def images_of_codes(self, z, labels, noise: Noise | None = None):
        """Return E[x|y, z] of codes (rows, d) and labels (rows,); nothing is left to `noise`."""
        return self.likelihood.mean(self.decode(z, tf.one_hot(labels, self.num_classes)))

    def log_weights(self, x, num_samples: int, noise: Noise):
        """Return log p(x, y, z) - log q(y, z|x) of samples of (y, z): (batch, num_samples)."""
        rows = tf.shape(x)[0]
        labels, y, log_q_y = draw_classes(self.predict_logits(x), num_samples, noise)

        def expand(values):
            return layers.repeat_rows(values, num_samples)

        q_z = posterior_of_draws(self, x, labels, num_samples)
        z = layers.reparameterize(q_z, noise.normal((rows * num_samples, self.latent_dim)))
        log_joint = (
            self.likelihood.log_prob(expand(x), self.decode(z, y))
            + tf.gather(self.log_class_prior(), labels)
            + self.prior.distribution().log_prob(z)
        )
        return tf.reshape(log_joint - (log_q_y + q_z.log_prob(z)), [rows, num_samples])
