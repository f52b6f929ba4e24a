"""EXoN: a VAE with a latent space that the user designs (An, Choi and Jeon, 2022).

    generative model   p(x, y, z) = p(y) N(z; m_y, diag(s_y^2)) N(x; D(z), beta I)   (section 3.1)
    inference model    q(y, z|x) = q(y|x) N(z; mu_y(x), diag(sigma_y^2(x)))                (eq. 4)
    labels             only through -log q(y|x)                                       (eqs. 5, 6)

m and s^2 are chosen, not learnt. The soft-label consistency of eqs. 7 to 10 is the regularizer
`SoftLabelConsistency`.
"""

import logging
import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.checks import InputError, check_choice
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.models.exact import class_monitors, codes_of_classes, draw_classes
from tfssvae.noise import Noise
from tfssvae.schedules import linear_ramp
from tfssvae.weights import Weight

BETA = 0.25  # of MNIST, table 6; on images in [-1, 1]
LAMBDA_1 = 6000.0  # of MNIST, table 7
LABELLED_SHARE = 32 / 128  # of a batch, as published
DROPOUT = {"mlp": 0.5, "conv": 0.1}  # of each backbone, table 7
_OVERLAPPING = 0.5  # of 1, where classes four standard deviations apart have 0.135
_LOG = logging.getLogger("tfssvae")
PLANE = 2  # dimensions of the default latent space


@keras.saving.register_keras_serializable("tfssvae")
class EXoN(SemiSupervisedVAE):
    """Semi-supervised VAE whose prior is a Gaussian mixture with a component for each class.

    The decoder sees z alone: the class says where in the latent space an image lies, and so
    neighbours, paths and regions of that space have a meaning that is known before training. With
    the regularizer `SoftLabelConsistency` it is the paper's method, and it has that regularizer
    unless others, possibly none, are given. All weights are those of eq. 10 with the paper's
    lambda_1 of MNIST and this beta unless set (`classification_weight`, `paper_consistency`): they
    are large because a draw of the class passes on gradients as large as the latent space is wide.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: d, the size of z; None: that of the prior, or 2.
        backbone: the paper's networks: "mlp", of MNIST (tables 4 and 5), or "conv", of CIFAR-10
            (tables 8 and 9), for images.
        hidden: units of the hidden layers of the "mlp" encoder; the decoder has the same in
            reverse.
        filters: of the convolutions of the "mlp" classifier, which images have.
        dropout: rate of the classifier's channel dropout; None: the paper's.
        encoder: network from x to features, on which the heads of the K components are put;
            instead of the backbone's.
        decoder: network from z to the likelihood's parameters, one per pixel; instead of the
            backbone's.
        classifier: network from x to K logits; instead of the backbone's.
        prior: p(z|y), a `layers.GaussianMixturePrior` with K components; None: the circle of the
            paper's MNIST in two dimensions, the unit vectors of its CIFAR-10 in K or more.
        class_prior: p(y): None for the prior's weights, K probabilities, or "labels" to learn it.
        beta: variance of every pixel of the decoder, for images in [-1, 1] as in the paper: on
            images in [0, 1] it is beta / 4.
        learn_beta: whether the variance is trained, from beta on.
        likelihood: in place of the Gaussian of variance beta: "bernoulli", "gaussian" or a layer
            (see `layers.get_likelihood`).
        **kwargs: of `SemiSupervisedVAE`: weights, regularizers, augment, seed, name, dtype. What
            `augment` changes, the labelled images of the classification term and the images that
            `SoftLabelConsistency` mixes, the bound sees as it is.

    References:
        An, Choi and Jeon, "EXoN: EXplainable encoder Network", 2022.
    """

    EQUATIONS: ClassVar[str] = "An, Choi and Jeon (EXoN), 2022"
    TERMS: ClassVar[dict[str, str]] = {
        "reconstruction": "-E log p(x|z), eqs. 5 and 6",
        "kl_y": "KL(q(y|x) || p(y)), the first part of eq. 12",
        "kl_z": "sum_k q(k|x) KL(q(z|x,k) || p(z|k)), the second part of eq. 12",
        "classification": "-log q(y|x) of the labelled images, eqs. 6 and 10",
    }
    AUGMENTS_EVERYTHING: ClassVar[bool] = False

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int | None = None,
        backbone: str = "mlp",
        hidden: Sequence[int] = (256, 128),
        filters: Sequence[int] = (32, 64, 128),
        dropout: float | None = None,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        classifier: keras.Model | None = None,
        prior: layers.GaussianMixturePrior | None = None,
        class_prior=None,
        beta: float = BETA,
        learn_beta: bool = False,
        likelihood=None,
        **kwargs,
    ):
        _check_prior_type(prior)
        if class_prior is None and prior is not None and prior.probs is not None:
            class_prior = prior.probs.tolist()
        beta = _checked_beta(beta)
        if isinstance(likelihood, str) and (learn_beta or beta != BETA):
            raise InputError("beta is of the default likelihood: leave beta or likelihood out")
        if kwargs.get("regularizers") is None:
            kwargs["regularizers"] = self.paper_regularizers(beta)
        weights = {"classification": classification_weight(beta)}
        kwargs["weights"] = {**weights, **(kwargs.get("weights") or {})}
        super().__init__(input_shape, num_classes, class_prior=class_prior, **kwargs)
        self.prior = prior or default_prior(self.num_classes, latent_dim)
        self.latent_dim = self.prior.latent_dim if latent_dim is None else int(latent_dim)
        self._check_prior()
        self.hidden, self.filters = tuple(hidden), tuple(filters)
        self.beta, self.learn_beta = beta, bool(learn_beta)
        check_choice(backbone, DROPOUT, "backbone")
        self.backbone, self.dropout = backbone, dropout
        built = self._networks(encoder is None, decoder is None, classifier is None)
        self.encoder = encoder or built["encoder"]
        self.decoder = decoder or built["decoder"]
        self.classifier = classifier or built["classifier"]
        # The heads of all K components are one matrix product.
        self.head_z = layers.GaussianHead(
            self.num_classes * self.latent_dim, self.seed, name="head_z"
        )
        self.likelihood = (
            # An image in [0, 1] has half the scale of one in [-1, 1].
            layers.GaussianLikelihood(self.beta / 4, self.learn_beta)
            if likelihood is None
            else layers.get_likelihood(likelihood)
        )
        self.finish()

    def _networks(self, encoder: bool, decoder: bool, classifier: bool) -> dict[str, keras.Model]:
        """Build the backbone's networks that are asked for."""
        options = {"dtype": self.dtype_policy, "seed": self.seed}
        rate = DROPOUT[self.backbone] if self.dropout is None else float(self.dropout)
        x, z, classes = self.example_shape, self.latent_dim, self.num_classes
        if self.backbone == "conv":
            if len(x) != 3:
                raise InputError(f'the backbone "conv" needs images, got shape {x}')
            builders = {
                "encoder": partial(networks.exon_encoder, x),
                "decoder": partial(networks.exon_decoder, z, x),
                "classifier": partial(networks.exon_wide_classifier, x, classes, dropout=rate),
            }
        else:
            builders = {
                "encoder": partial(networks.mlp, x, self.hidden),
                "decoder": partial(networks.mlp, (z,), self.hidden[::-1], self.num_pixels),
                "classifier": partial(
                    networks.exon_classifier, x, classes, self.filters, dropout=rate
                ),
            }
        asked = {"encoder": encoder, "decoder": decoder, "classifier": classifier}
        return {
            name: build(name=name, **options) for name, build in builders.items() if asked[name]
        }

    def _check_prior(self) -> None:
        found = (self.prior.num_components, self.prior.latent_dim)
        if found != (self.num_classes, self.latent_dim):
            raise InputError(
                f"the prior must have {self.num_classes} components, one per class, in "
                f"{self.latent_dim} dimensions, got {found[0]} in {found[1]}"
            )
        overlap = np.triu(self.prior.overlap(), k=1)
        if overlap.max() > _OVERLAPPING:
            one, two = np.unravel_index(overlap.argmax(), overlap.shape)
            _LOG.warning(
                f"the prior's components {one} and {two} overlap by {overlap.max():.2f} of 1: "
                "codes of these classes will not lie apart"
            )
        probs = self.prior.probs
        if probs is not None and (
            self.class_prior == "labels" or not np.allclose(self.class_prior, probs, atol=1e-5)
        ):
            raise InputError(
                "the prior's probs and class_prior are both p(y), and differ: leave one out"
            )

    @classmethod
    def paper_regularizers(cls, beta: float = BETA, **arguments) -> list:
        """Return the soft-label consistency with the weights of eq. 10 and MNIST's lambda_1."""
        return [paper_consistency(_checked_beta(beta))]

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return none: the constructor has set the published one, whatever the number of labels."""
        return {}

    @classmethod
    def recommended_weights(
        cls, num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int
    ) -> dict[str, Weight]:
        """Return the published weights, but for a code that is costly in the first two fifths.

        With the published weight from the start images find a place before classes do, and stay
        there: of ten digits three ended up outside of their components (docs/methods/exon.md). As
        for M2, the more pixels, the more a code is worth, and up to 100 pixels it costs nothing
        extra (`exact.recommended_weights`); beyond that 2.5 times as much as there.
        """
        initial = min(8.0, num_pixels / 100)
        steps = max(1, 2 * steps // 5)
        return {"kl_z": linear_ramp(1.0, steps, 2.5 * initial)} if initial > 1 else {}

    # The model's densities ---------------------------------------------------------------------

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return tf.cast(self.classifier(x, training=training), tf.float32)

    def components(self, x, training=False) -> tuple[tf.Tensor, tf.Tensor]:
        """Return means and log-variances of q(z|x, y) for every y, both (batch, K, d), eq. 4."""
        shape = [-1, self.num_classes, self.latent_dim]
        mean, log_var = self.head_z(self.encoder(x, training=training))
        return tf.reshape(mean, shape), tf.reshape(log_var, shape)

    def decode(self, z, training=False) -> tf.Tensor:
        """Return the parameters of p(x|z), (rows, *input_shape)."""
        outputs = tf.cast(self.decoder(z, training=training), tf.float32)
        return tf.reshape(outputs, [-1, *self.example_shape])

    # The objective -----------------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of eq. 10 that are not of the regularizer: minus eq. 6."""
        x, labelled = batch.images, batch.num_labelled
        logits, logits_l = self._classify(batch, training)
        mean, log_var = self.components(x, training)
        y = layers.gumbel_max(logits, self._gumbel(batch))
        # One draw of noise per image, shared by its components: they are compared fairly.
        noise = batch.normal(self.latent_dim)[:, None]
        z = tf.einsum("bk,bkd->bd", y, mean + tf.exp(0.5 * log_var) * noise)
        outputs = self.decode(z, training)
        kl_z = losses.kl_gaussian(mean, log_var, self.prior.mean, self.prior.log_var)
        bound = {
            "reconstruction": -self.likelihood.log_prob(x, outputs),
            "kl_y": losses.kl_categorical(logits, self.log_class_prior()),
            "kl_z": losses.marginalize(kl_z, logits),
        }
        q_z = tfd.MixtureSameFamily(tfd.Categorical(logits), layers.gaussian(mean, log_var))
        return Terms(
            values={
                **bound,
                "classification": -losses.categorical_log_prob(batch.labels, logits_l),
            },
            logits=logits,
            monitors={
                **class_monitors(logits[labelled:]),
                "unlabelled_bound": -losses.add_terms(bound.values())[labelled:],
            },
            latents={"z": q_z},
        )

    def _classify(self, batch: Batch, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Return logits of every image, and those of the classification term, (L, K)."""
        x, labelled = batch.images, batch.num_labelled
        if not training or self.augment is None:
            logits = self.predict_logits(x, training)
            return logits, logits[:labelled]
        changed = layers.augment_images(self.augment, x[:labelled], batch.noise)
        rows = tf.shape(x)[0]
        # One pass: batch normalisation sees one mixed batch.
        logits = self.predict_logits(tf.concat([x, changed], axis=0), training)
        return logits[:rows], logits[rows:]

    def _gumbel(self, batch: Batch) -> tf.Tensor:
        # Two draws: a strategy shards labelled and unlabelled rows separately.
        counts = (batch.num_labelled, batch.num_unlabelled)
        draws = [batch.noise.gumbel((count, self.num_classes)) for count in counts]
        return tf.concat(draws, axis=0)

    # What a trained model gives ----------------------------------------------------------------

    def posterior_mean(self, x):
        """Return E[z|x] under eq. 4, exact over y: (batch, d)."""
        return losses.marginalize(self.components(x)[0], self.predict_logits(x))

    def expected_image(self, x):
        """Return the reconstruction: exact over y, z at its mean given y."""
        mean, _ = self.components(x)
        images = self.likelihood.mean(self.decode(tf.reshape(mean, [-1, self.latent_dim])))
        per_class = tf.reshape(images, [-1, self.num_classes, *self.example_shape])
        return losses.marginalize(per_class, self.predict_logits(x))

    @property
    def encoding_size(self) -> int:
        """How many numbers `encode` gives for an image."""
        return self.latent_dim

    def images_of_encoding(self, codes):
        """Return E[x|z] of codes (rows, d), as `encode` gives them."""
        return self.likelihood.mean(self.decode(codes))

    def codes_in_every_class(self, x):
        """Return where images lie in their own component, in every component: (batch, K, d).

        The place is that of the most probable class, in standard deviations of the prior.
        """
        label = tf.argmax(self.predict_logits(x), axis=-1, output_type=tf.int32)
        mean = tf.gather(self.components(x)[0], label, axis=1, batch_dims=1)
        deviation = tf.exp(0.5 * self.prior.log_var)
        place = (mean - tf.gather(self.prior.mean, label)) / tf.gather(deviation, label)
        return self.prior.mean + deviation * place[:, None]

    def sample_images(self, labels, noise: Noise):
        """Return E[x|z] with z drawn from the component of each label."""
        prior = layers.gaussian(
            tf.gather(self.prior.mean, labels), tf.gather(self.prior.log_var, labels)
        )
        z = layers.reparameterize(prior, noise.normal((tf.shape(labels)[0], self.latent_dim)))
        return self.likelihood.mean(self.decode(z))

    def log_weights(self, x, num_samples: int, noise: Noise):
        """Return log p(x, y, z) - log q(y, z|x) of samples of (y, z): (batch, num_samples)."""
        rows = tf.shape(x)[0]

        labels, _, log_q_y = draw_classes(self.predict_logits(x), num_samples, noise)
        every_q_z = layers.gaussian(
            *(tf.reshape(values, [-1, self.latent_dim]) for values in self.components(x))
        )
        q_z = codes_of_classes(every_q_z, labels, self.num_classes)
        p_z = layers.gaussian(
            *(tf.gather(v, labels) for v in (self.prior.mean, self.prior.log_var))
        )
        z = layers.reparameterize(q_z, noise.normal((rows * num_samples, self.latent_dim)))
        log_joint = (
            self.likelihood.log_prob(layers.repeat_rows(x, num_samples), self.decode(z))
            + tf.gather(self.log_class_prior(), labels)
            + p_z.log_prob(z)
        )
        return tf.reshape(log_joint - log_q_y - q_z.log_prob(z), [rows, num_samples])


def _checked_beta(beta) -> float:
    if not isinstance(beta, int | float | np.number) or not 0 < beta < math.inf:
        raise InputError(f"beta must be a positive number, got {beta!r}")
    return float(beta)


def _check_prior_type(prior) -> None:
    if prior is not None and not isinstance(prior, layers.GaussianMixturePrior):
        raise InputError(
            "prior must be a layers.GaussianMixturePrior, such as "
            f"GaussianMixturePrior(*layers.line_layout(10)), got {prior!r:.100}"
        )


def default_prior(num_classes: int, latent_dim: int | None = None) -> layers.GaussianMixturePrior:
    """Return the paper's prior for a latent space of this size.

    Args:
        num_classes: K.
        latent_dim: 2 (or None): a circle with variance 4; K or more: unit vectors.

    Raises:
        InputError: the paper has none of that size.
    """
    if latent_dim is None or latent_dim == PLANE:
        return layers.GaussianMixturePrior(*layers.circle_layout(num_classes, 4.0))
    if latent_dim >= num_classes:
        return layers.GaussianMixturePrior(*layers.one_hot_layout(num_classes, latent_dim))
    raise InputError(
        f"{num_classes} classes have a prior of their own in {PLANE}, or in {num_classes} and more "
        f"dimensions, not in {latent_dim}: choose one with prior=GaussianMixturePrior(...), such "
        "as of layers.line_layout or layers.similarity_layout"
    )


def classification_weight(beta: float = BETA, lambda_1: float = LAMBDA_1) -> float:
    """Return the weight of the classification term, eq. 10.

    The published sums run over a batch of 32 labelled and 96 unlabelled images. Divided by its 128
    images they are our means over examples: the bound, a mean over all images, has weight 1, and a
    mean over the labelled ones their share, a quarter, of its published 1 + lambda_1 / beta.

    >>> classification_weight(beta=0.25, lambda_1=6000.0)
    6000.25
    """
    return LABELLED_SHARE * (1 + lambda_1 / beta)


def paper_consistency(beta: float = BETA, lambda_1: float = LAMBDA_1, steps: int | None = None):
    """Return `SoftLabelConsistency` with the weights of eq. 10 (see `classification_weight`).

    Args:
        beta: variance of the decoder.
        lambda_1: of the paper, also the end of lambda_2's warm-up.
        steps: optimizer steps of the warm-up.
    """
    from tfssvae.regularizers import SoftLabelConsistency  # regularizers know the base class

    weight = lambda_1 / beta
    return SoftLabelConsistency(
        labelled=LABELLED_SHARE * weight, unlabelled=(1 - LABELLED_SHARE) * weight, steps=steps
    )
