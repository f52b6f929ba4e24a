"""ADGM and SDGM: auxiliary and skip deep generative models (Maaloe et al., 2016).

An auxiliary variable a makes q(y, z|x) richer than a Gaussian for each class.

    ADGM  generative model   p(x, y, a, z) = p(a|x, y, z) p(x|y, z) p(y) p(z)
    SDGM  generative model   p(x, y, a, z) = p(x|a, y, z) p(a|y, z) p(y) p(z)
    both  inference model    q(a, y, z|x) = q(z|a, x, y) q(y|a, x) q(a|x)
"""

from collections.abc import Sequence
from typing import ClassVar

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.core import FIXED_STEP, SemiSupervisedVAE, Terms
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
    recommended_weights,
)
from tfssvae.noise import Noise
from tfssvae.weights import Weight


@keras.saving.register_keras_serializable("tfssvae")
class ADGM(SemiSupervisedVAE):
    """Auxiliary deep generative model, exact over y; a is drawn once and shared by the classes.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: the size of z.
        auxiliary_dim: the size of a.
        hidden: units of the hidden layers of the default networks; the default classifier has one
            hidden layer with as many units as the first.
        auxiliary_encoder: network from x to features, for q(a|x).
        encoder: network from [x, a, one-hot y] to features, for q(z|a, x, y).
        auxiliary_decoder: network from [x, one-hot y, z] to features, for p(a|x, y, z); of
            `SDGM` from [one-hot y, z].
        decoder: network from [one-hot y, z] to the likelihood's parameters, one per pixel; of
            `SDGM` from [a, one-hot y, z].
        classifier: network from [x, a] to K logits, for q(y|a, x).
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        batch_norm: whether hidden layers of the default networks are normalised over the batch,
            as in the authors' code.
        predict_samples: draws of a over which `predict` averages q(y|a, x).
        prior: p(z), a layer with a method `distribution()`; default N(0, I). `layers.BoxPrior` is
            a uniform one over a box.
        class_block: classes whose pairs with the unlabelled images are held in memory at a time
            in a step (see `layers.over_classes`); None holds all, as `encode` and its like do.
        **kwargs: of `SemiSupervisedVAE`: class_prior, weights, regularizers, seed, name, dtype.

    References:
        Maaloe et al., "Auxiliary deep generative models", ICML 2016; equation numbers are theirs.
    """

    TERMS: ClassVar[dict[str, str]] = part_names(
        {
            "reconstruction": "-E log p(x|y,z)",
            "kl_z": "E KL(q(z|a,x,y) || p(z))",
            "kl_a": "E log q(a|x) - log p(a|x,y,z), one sample",
        }
    )

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int = 100,
        auxiliary_dim: int = 100,
        hidden: Sequence[int] = (500, 500),
        auxiliary_encoder: keras.Model | None = None,
        encoder: keras.Model | None = None,
        auxiliary_decoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        classifier: keras.Model | None = None,
        likelihood="bernoulli",
        batch_norm: bool = False,
        predict_samples: int = 10,
        prior: keras.layers.Layer | None = None,
        class_block: int | None = None,
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.latent_dim, self.auxiliary_dim = int(latent_dim), int(auxiliary_dim)
        self.hidden = tuple(hidden)
        self.class_block = checked_class_block(class_block)
        self.predict_samples = int(predict_samples)
        self.batch_norm = bool(batch_norm)
        options = {"dtype": self.dtype_policy, "seed": self.seed, "batch_norm": self.batch_norm}
        x, a, y, z = (
            self.example_shape,
            (self.auxiliary_dim,),
            (self.num_classes,),
            (self.latent_dim,),
        )
        self.auxiliary_encoder = auxiliary_encoder or networks.mlp(
            x, self.hidden, name="auxiliary_encoder", **options
        )
        self.encoder = encoder or networks.conditional_mlp(
            [x, a, y], self.hidden, name="encoder", **options
        )
        self.auxiliary_decoder = auxiliary_decoder or networks.conditional_mlp(
            self.parents_of_a(x, y, z), self.hidden, name="auxiliary_decoder", **options
        )
        self.decoder = decoder or networks.conditional_mlp(
            self.parents_of_x(a, y, z), self.hidden, self.num_pixels, name="decoder", **options
        )
        self.classifier = classifier or networks.conditional_mlp(
            [x, a], self.hidden[:1], self.num_classes, name="classifier", **options
        )
        self.posterior_head_a = layers.GaussianHead(self.auxiliary_dim, self.seed)
        self.posterior_head_z = layers.GaussianHead(self.latent_dim, self.seed)
        self.head_a = layers.GaussianHead(self.auxiliary_dim, self.seed)
        self.likelihood = layers.get_likelihood(likelihood)
        self.prior = prior or layers.StandardNormalPrior(self.latent_dim)
        self.finish()
        check_blocks(self)

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return alpha = 0.1 N / N_labelled of the classification term, as the authors' code."""
        return {"classification": paper_alpha(num_labelled, num_unlabelled)}

    @classmethod
    def recommended_weights(
        cls, num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int
    ) -> dict[str, Weight]:
        """Return weights as for M2: see `exact.recommended_weights`."""
        return recommended_weights(num_labelled, num_unlabelled, num_pixels, steps, "*_kl_z")

    # The model's densities ---------------------------------------------------------------------

    @staticmethod
    def parents_of_a(x, y, z) -> list:
        """Return what p(a|...) depends on."""
        return [x, y, z]

    @staticmethod
    def parents_of_x(a, y, z) -> list:
        """Return what p(x|...) depends on."""
        return [y, z]

    def posterior_a(self, x, expand=None, training=False) -> tfd.Distribution:
        """Return q(a|x), its rows repeated by `expand`."""
        parameters = self.posterior_head_a(self.auxiliary_encoder(x, training=training))
        return layers.gaussian(*(expand(value) if expand else value for value in parameters))

    def classify(self, x, a, expand=None, training=False) -> tf.Tensor:
        """Return the logits of q(y|a, x), (rows of a, K); `expand` repeats rows of x to them."""
        repeats = None if expand is None else [expand, None]
        outputs = networks.call_network(self.classifier, [x, a], repeats, training)
        return tf.cast(outputs, tf.float32)

    def posterior_z(self, x, a, y, expand_x=None, expand_a=None, training=False):
        """Return q(z|a, x, y) for the rows of y (rows, K)."""
        repeats = [expand_x, expand_a, None]
        features = networks.call_network(self.encoder, [x, a, y], repeats, training)
        return layers.gaussian(*self.posterior_head_z(features))

    def auxiliary(self, x, y, z, expand_x=None, training=False) -> tfd.Distribution:
        """Return p(a|...) for the rows of y and z."""
        repeats = self.parents_of_a(expand_x, None, None)
        inputs = self.parents_of_a(x, y, z)
        features = networks.call_network(self.auxiliary_decoder, inputs, repeats, training)
        return layers.gaussian(*self.head_a(features))

    def decode(self, a, y, z, expand_a=None, training=False) -> tf.Tensor:
        """Return the parameters of p(x|...), (rows, *input_shape), for the rows of y and z."""
        repeats = self.parents_of_x(expand_a, None, None)
        inputs = self.parents_of_x(a, y, layers.code_of(self.prior, z))
        outputs = networks.call_network(self.decoder, inputs, repeats, training)
        return tf.reshape(tf.cast(outputs, tf.float32), [-1, *self.example_shape])

    def predict_logits(self, x, training=False):
        """Return log E q(y|a, x) over fixed draws of a, the same for every image: (batch, K)."""
        noise = Noise(self.seed, FIXED_STEP).normal((self.predict_samples, self.auxiliary_dim))

        def expand(values):
            return layers.repeat_rows(values, self.predict_samples)

        q_a = self.posterior_a(x, expand, training)
        a = layers.reparameterize(q_a, tf.tile(noise, [tf.shape(x)[0], 1]))
        logits = self.classify(x, a, expand, training)
        shape = [-1, self.predict_samples, self.num_classes]
        log_probs = tf.reshape(tf.nn.log_softmax(logits), shape)
        return tf.reduce_logsumexp(log_probs, axis=1)

    # The objective -----------------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of both bounds, eqs. 8 and 10, and of the classification loss."""
        x = batch.images
        q_a = self.posterior_a(x, training=training)
        a = layers.reparameterize(q_a, batch.normal(self.auxiliary_dim))
        logits = self.classify(x, a, training=training)
        noise = batch.normal(self.latent_dim)

        def of_pairs(pairs):
            q_z = self.posterior_z(x, a, pairs.y, pairs.expand, pairs.expand, training)
            z = layers.reparameterize(q_z, pairs.expand(noise))
            p_a = self.auxiliary(x, pairs.y, z, pairs.expand, training)
            outputs = self.decode(a, pairs.y, z, pairs.expand, training)
            parts = {
                "reconstruction": -self.likelihood.log_prob(pairs.expand(x), outputs),
                "kl_z": layers.kl_to_prior(q_z, self.prior, z),
                # No closed form: z depends on a.
                "kl_a": pairs.expand(q_a.log_prob(a)) - p_a.log_prob(pairs.expand(a)),
            }
            return parts, q_z

        pairs = layers.Pairs(batch.labels, batch.num_unlabelled, self.num_classes)
        parts, q_z = layers.over_classes(of_pairs, pairs, self.class_block)
        return Terms(
            values=exact_terms(batch, pairs, logits, self.log_class_prior(), parts),
            logits=logits,
            monitors=class_monitors(pairs.split_examples(logits)[1]),
            latents={"z": code_of_images(pairs, q_z, logits), "a": q_a},
        )

    # What a trained model gives ----------------------------------------------------------------

    def posterior_mean(self, x):
        """Return E[z|x], exact over y, a at its mean: (batch, d)."""
        _, _, mean = self._codes(x)
        return losses.marginalize(mean, self.predict_logits(x))

    def expected_image(self, x):
        """Return the reconstruction: exact over y, a and z at their means."""
        pairs, a, mean = self._codes(x)
        z = tf.reshape(mean, [-1, self.latent_dim])
        images = self.likelihood.mean(self.decode(a, pairs.y, z, pairs.expand))
        return losses.marginalize(pairs.split(images)[1], self.predict_logits(x))

    def _codes(self, x):
        """Return every pair, the mean of a (batch, a) and the means of z (batch, K, d)."""
        pairs = every_class(x, self.num_classes)
        a = self.posterior_a(x).mean()
        mean = self.posterior_z(x, a, pairs.y, pairs.expand, pairs.expand).mean()
        return pairs, a, pairs.split(mean)[1]

    def sample_images(self, labels, noise: Noise):
        """Return E[x|a, y, z] with z, and a where x depends on it, drawn from the model."""
        z = layers.sample_prior(self.prior, noise, tf.shape(labels)[0])
        return self.images_of_codes(z, labels, noise)

    def images_of_codes(self, z, labels, noise: Noise):
        """Return E[x|a, y, z] of codes (rows, d) and labels (rows,), a drawn where x needs it."""
        y = tf.one_hot(labels, self.num_classes)
        a = self._sample_a(y, z, noise)
        return self.likelihood.mean(self.decode(a, y, z))

    def _sample_a(self, y, z, noise: Noise):
        return None  # x does not depend on a

    def log_weights(self, x, num_samples: int, noise: Noise):
        """Return log p(x, y, a, z) - log q(a, y, z|x) of samples: (batch, num_samples)."""
        rows = tf.shape(x)[0]

        def expand(values):
            return layers.repeat_rows(values, num_samples)

        q_a = self.posterior_a(x, expand)
        a = layers.reparameterize(q_a, noise.normal((rows * num_samples, self.auxiliary_dim)))
        labels, y, log_q_y = draw_classes(self.classify(x, a, expand), 1, noise)
        q_z = self.posterior_z(x, a, y, expand)
        z = layers.reparameterize(q_z, noise.normal((rows * num_samples, self.latent_dim)))
        log_joint = (
            self.likelihood.log_prob(expand(x), self.decode(a, y, z))
            + self.auxiliary(x, y, z, expand).log_prob(a)
            + tf.gather(self.log_class_prior(), labels)
            + self.prior.distribution().log_prob(z)
        )
        log_posterior = q_a.log_prob(a) + log_q_y + q_z.log_prob(z)
        return tf.reshape(log_joint - log_posterior, [rows, num_samples])


@keras.saving.register_keras_serializable("tfssvae")
class SDGM(ADGM):
    """Skip deep generative model: as `ADGM`, but a is a second latent layer that x depends on."""

    @staticmethod
    def parents_of_a(x, y, z) -> list:
        """Return what p(a|y, z) depends on."""
        return [y, z]

    @staticmethod
    def parents_of_x(a, y, z) -> list:
        """Return what p(x|a, y, z) depends on."""
        return [a, y, z]

    def _sample_a(self, y, z, noise: Noise):
        shape = (tf.shape(z)[0], self.auxiliary_dim)
        return layers.reparameterize(self.auxiliary(None, y, z), noise.normal(shape))
