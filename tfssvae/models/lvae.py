"""LVAE: the ladder variational autoencoder (Sonderby et al., 2016) with a class at its top.

    generative model   p(x, y, z) = p(x|z_1) p(z_1|z_2) ... p(z_{L-1}|z_L, y) p(z_L) p(y)
    inference model    q(y, z|x) = q(y|x) q(z_L|x, y) prod_l q(z_l|z_{l+1}, x, y)

The image passes a deterministic network upwards, and q(z_l|z_{l+1}, ...) is the normalised product
of what that network says about z_l and of p(z_l|z_{l+1}): inference corrects generation. The
semi-supervised form, with y beside the top latent vector, is the one of MIER's tables.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.checks import InputError
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
    recommended_weights,
)
from tfssvae.noise import Noise
from tfssvae.weights import Weight


class Seen(NamedTuple):
    """A pass upwards, as far as it does not depend on the class.

    Attributes:
        parameters: mean and log-variance that the image says of z_1 to z_{L-1}, (rows, d_l) each.
        features: d_{L-1}, (rows, units), or the image where L is 1.
    """

    parameters: list[tuple[tf.Tensor, tf.Tensor]]
    features: tf.Tensor


class Level(NamedTuple):
    """One latent vector of a pass downwards: a sample, and its two distributions."""

    z: tf.Tensor
    posterior: tfd.Distribution
    prior: tfd.Distribution


@keras.saving.register_keras_serializable("tfssvae")
class LVAE(SemiSupervisedVAE):
    """Semi-supervised ladder VAE, exact over y, with any number of levels.

    Every hidden layer is normalised over the batch: labelled images with their label and
    unlabelled images with every class pass together.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dims: sizes of z_1 (next to the image) to z_L.
        hidden: units of the hidden layer of each level, as many as `latent_dims`; the default
            classifier has one hidden layer with as many units as the first.
        classifier: network from x to K logits.
        activation: of the hidden layers.
        batch_norm: whether hidden layers are normalised.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        class_block: classes whose pairs with the unlabelled images are held in memory at a time
            in a step (see `layers.over_classes`); None holds all, as `encode` and its like do.
        **kwargs: of `SemiSupervisedVAE`: class_prior, weights, regularizers, seed, name, dtype.

    References:
        Sonderby et al., "Ladder variational autoencoders", NeurIPS 2016; equation numbers are
        theirs.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dims: Sequence[int] = (32, 16, 8),
        hidden: Sequence[int] = (128, 128, 128),
        classifier: keras.Model | None = None,
        activation: str = "leaky_relu",
        batch_norm: bool = True,
        likelihood="bernoulli",
        class_block: int | None = None,
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.latent_dims, self.hidden = tuple(latent_dims), tuple(hidden)
        if not self.latent_dims or len(self.latent_dims) != len(self.hidden):
            raise InputError(
                "latent_dims and hidden need one size for each level, at least one level; got "
                f"{self.latent_dims} and {self.hidden}"
            )
        self.activation, self.batch_norm = activation, bool(batch_norm)
        self.class_block = checked_class_block(class_block)
        levels, classes = len(self.hidden), (self.num_classes,)
        common = {"activation": activation, "batch_norm": batch_norm, "dtype": self.dtype_policy}

        seeds = itertools.count(self.seed, 7919)

        def network(name, inputs, units, outputs=None, with_class=False):
            arguments = {"name": name, "seed": next(seeds), **common}
            if with_class:
                return networks.conditional_mlp([inputs, classes], [units], outputs, **arguments)
            return networks.mlp(inputs, [units], outputs, **arguments)

        # Upwards: d_1 from x, ..., d_L from d_{L-1} and y.
        inputs = [self.example_shape, *((units,) for units in self.hidden[:-1])]
        self.upward = [
            network(f"upward_{level + 1}", inputs[level], units, with_class=level == levels - 1)
            for level, units in enumerate(self.hidden)
        ]
        self.heads_q = [layers.GaussianHead(size, next(seeds)) for size in self.latent_dims]
        # Downwards: p(z_l|z_{l+1}) for l < L; y comes in beside z_L. Last the decoder, p(x|z_1).
        self.downward = [
            network(
                f"downward_{level + 1}",
                (self.latent_dims[level + 1],),
                self.hidden[level + 1],
                with_class=level == levels - 2,
            )
            for level in range(levels - 1)
        ]
        self.heads_p = [layers.GaussianHead(size, next(seeds)) for size in self.latent_dims[:-1]]
        self.decoder = network(
            "decoder", (self.latent_dims[0],), self.hidden[0], self.num_pixels, levels == 1
        )
        self.classifier = classifier or networks.mlp(
            self.example_shape,
            self.hidden[:1],
            self.num_classes,
            seed=self.seed,
            name="classifier",
            **common,
        )
        self.likelihood = layers.get_likelihood(likelihood)
        self.prior = layers.StandardNormalPrior(self.latent_dims[-1])
        self.finish()
        check_blocks(self)

    @property
    def TERMS(self) -> dict[str, str]:  # type: ignore[override]
        """Name -> meaning of every term; one divergence for each level."""
        return part_names(
            {
                "reconstruction": "-E log p(x|z_1)",
                **{
                    f"kl_z{level + 1}": f"E KL(q(z_{level + 1}|...) || p(z_{level + 1}|...))"
                    for level in range(len(self.latent_dims))
                },
            }
        )

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return alpha = 0.1 N / N_labelled of the classification term, as for M2."""
        return {"classification": paper_alpha(num_labelled, num_unlabelled)}

    @classmethod
    def recommended_weights(
        cls, num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int
    ) -> dict[str, Weight]:
        """Return weights as for M2: see `exact.recommended_weights`."""
        return recommended_weights(num_labelled, num_unlabelled, num_pixels, steps, "*_kl_z*")

    # The model's densities ---------------------------------------------------------------------

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return tf.cast(self.classifier(x, training=training), tf.float32)

    def upwards(self, x, training=False) -> Seen:
        """Return the pass upwards, all but its top, where the class comes in."""
        found, features = [], x
        for network, head in zip(self.upward[:-1], self.heads_q[:-1], strict=True):
            features = network(features, training=training)
            found.append(head(features))
        return Seen(found, features)

    def ladder(self, image: Seen, y, expand, noise: Sequence[tf.Tensor], training=False):
        """Return z_1 to z_L with q(z_l|z_{l+1}, x, y) and p(z_l|z_{l+1}) for the rows of y.

        Args:
            image: what `upwards` gives.
            y: (rows, K) one-hot classes.
            expand: repeats rows of images to those of y.
            noise: standard normal draws for z_1 to z_L, each (rows, d_l) or broadcast to it.
            training: whether batch statistics are used.

        Returns:
            A list of `Level`.
        """
        lower = [[expand(value) for value in parameters] for parameters in image.parameters]
        repeats = [expand, None]
        top = networks.call_network(self.upward[-1], [image.features, y], repeats, training)
        seen = [*lower, self.heads_q[-1](top)]
        found: list[Level] = []
        for level in reversed(range(len(self.latent_dims))):
            if not found:
                prior, posterior = self.prior.distribution(), layers.gaussian(*seen[level])
            else:
                parameters = self._prior_parameters(level, found[-1].z, y, training)
                prior = layers.gaussian(*parameters)
                merged = layers.precision_weighted_merge(*seen[level], *parameters)
                posterior = layers.gaussian(*merged)
            z = layers.reparameterize(posterior, noise[level])
            found.append(Level(z, posterior, prior))
        return found[::-1]

    def _prior_parameters(self, level: int, above, y, training=False):
        """Return mean and log-variance of p(z_l|z_{l+1}), below the top of p(z_l|z_{l+1}, y)."""
        features = _with_class(
            self.downward[level], above, y, level == len(self.latent_dims) - 2, training
        )
        return self.heads_p[level](features)

    def decode(self, z, y, training=False) -> tf.Tensor:
        """Return the parameters of p(x|z_1), (rows, *input_shape); y acts where L is 1."""
        outputs = _with_class(self.decoder, z, y, len(self.latent_dims) == 1, training)
        return tf.reshape(tf.cast(outputs, tf.float32), [-1, *self.example_shape])

    # The objective -----------------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of both bounds, of eq. 5 given y, and of the classification loss."""
        x, draws = batch.images, [batch.normal(size) for size in self.latent_dims]
        logits = self.predict_logits(x, training)
        seen = self.upwards(x, training)

        def of_pairs(pairs):
            noise = [pairs.expand(draw) for draw in draws]
            levels = self.ladder(seen, pairs.y, pairs.expand, noise, training)
            outputs = self.decode(levels[0].z, pairs.y, training)
            parts = {"reconstruction": -self.likelihood.log_prob(pairs.expand(x), outputs)}
            for number, level in enumerate(levels, start=1):
                parts[f"kl_z{number}"] = tfd.kl_divergence(level.posterior, level.prior)
            return parts, [level.posterior for level in levels]

        pairs = layers.Pairs(batch.labels, batch.num_unlabelled, self.num_classes)
        parts, posteriors = layers.over_classes(of_pairs, pairs, self.class_block)
        return Terms(
            values=exact_terms(batch, pairs, logits, self.log_class_prior(), parts),
            logits=logits,
            monitors=class_monitors(pairs.split_examples(logits)[1]),
            latents={
                f"z{number}": code_of_images(pairs, q_z, logits)
                for number, q_z in enumerate(posteriors, 1)
            },
        )

    # What a trained model gives ----------------------------------------------------------------

    def posterior_mean(self, x):
        """Return the means of z_1 to z_L side by side, exact over y: (batch, sum of sizes)."""
        pairs, levels = self._mean_ladder(x)
        code = tf.concat([level.z for level in levels], axis=-1)
        return losses.marginalize(pairs.split(code)[1], self.predict_logits(x))

    def expected_image(self, x):
        """Return the reconstruction: exact over y, each z_l at its mean given the ones above."""
        pairs, levels = self._mean_ladder(x)
        images = self.likelihood.mean(self.decode(levels[0].z, pairs.y))
        return losses.marginalize(pairs.split(images)[1], self.predict_logits(x))

    def _mean_ladder(self, x):
        pairs = every_class(x, self.num_classes)
        noise = [tf.zeros(size) for size in self.latent_dims]
        return pairs, self.ladder(self.upwards(x), pairs.y, pairs.expand, noise)

    def sample_images(self, labels, noise: Noise):
        """Return E[x|z_1] with the latent vectors drawn from the top downwards."""
        top = noise.normal((tf.shape(labels)[0], self.latent_dims[-1]))
        return self.images_of_codes(top, labels, noise)

    def images_of_codes(self, z, labels, noise: Noise):
        """Return E[x|z_1] of top codes (rows, d_L) and labels (rows,), z_1 to z_{L-1} drawn."""
        rows, y = tf.shape(labels)[0], tf.one_hot(labels, self.num_classes)
        for level in reversed(range(len(self.latent_dims) - 1)):
            prior = layers.gaussian(*self._prior_parameters(level, z, y))
            z = layers.reparameterize(prior, noise.normal((rows, self.latent_dims[level])))
        return self.likelihood.mean(self.decode(z, y))

    def log_weights(self, x, num_samples: int, noise: Noise):
        """Return log p(x, y, z) - log q(y, z|x) of samples: (batch, num_samples)."""
        rows = tf.shape(x)[0]
        labels, y, log_q_y = draw_classes(self.predict_logits(x), num_samples, noise)

        def expand(values):
            return layers.repeat_rows(values, num_samples)

        draws = [noise.normal((rows * num_samples, size)) for size in self.latent_dims]
        levels = self.ladder(self.upwards(x), y, expand, draws)
        log_ratio = (
            self.likelihood.log_prob(expand(x), self.decode(levels[0].z, y))
            + tf.gather(self.log_class_prior(), labels)
            - log_q_y
        )
        for level in levels:
            log_ratio += level.prior.log_prob(level.z) - level.posterior.log_prob(level.z)
        return tf.reshape(log_ratio, [rows, num_samples])


def _with_class(network, z, y, has_class: bool, training):
    if has_class:
        return networks.call_network(network, [z, y], training=training)
    return network(z, training=training)
