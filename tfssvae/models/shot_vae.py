"""SHOT-VAE: smooth-ELBO and optimal interpolation (Feng et al., 2021).

    generative model   p(x, y, z) = p(x|y, z) p(y) p(z)                           (eqs. 1, 3)
    inference model    q(y, z|x) = q(y|x) q(z|x), from one shared network         (eqs. 2, 3)
    labels             p^(y|x) = Cat(smooth(1_y))                                 (eq. 9)

The unlabelled objective is the bound of eq. 4, the labelled one the smooth-ELBO of eq. 11; the
optimal interpolation of eqs. 13 to 16 is the regularizer `OptimalInterpolation`.
"""

import math
from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import ClassVar

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.checks import InputError, check_choice
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.models.exact import (
    class_monitors,
    draw_classes,
    every_class,
    part_names,
    recommended_weights,
)
from tfssvae.noise import Noise
from tfssvae.schedules import linear_ramp
from tfssvae.weights import Weight, weight_at

BETA = 0.01  # of the divergences (appendix F.2)
SAMPLING = ("gumbel_softmax", "gumbel_max", "exact")


@keras.saving.register_keras_serializable("tfssvae")
class ShotVAE(SemiSupervisedVAE):
    """Semi-supervised VAE whose labelled bound trains the classifier: the smooth-ELBO.

    With the regularizer `OptimalInterpolation` it is SHOT-VAE, and it has that regularizer unless
    others, possibly none, are given.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: d, the size of z.
        hidden: units of the hidden layers of the "mlp" encoder; the decoder has the same in
            reverse. The paper's backbones for MNIST have four layers, the heads included, and
            about a million weights.
        backbone: the paper's networks: "mlp", or "wide_resnet_28_2" (depth and width; any others
            too), with transposed convolutions as the decoder and `latent_dim` 128.
        encoder: network from x to features, on which the heads of z and y are put; instead of the
            backbone's.
        decoder: network from [z, class probabilities] to the likelihood's parameters, one per
            pixel; instead of the backbone's.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        prior: p(z), a layer with a method `distribution()`; default N(0, I). `layers.BoxPrior` is
            a uniform one over a box.
        class_prior: p(y): None for uniform, K probabilities, or "labels" to learn it from them.
        epsilon: of the label smoothing, eq. 9.
        temperature: of the relaxed draw of y.
        sampling: how the expectation over y is taken: "gumbel_softmax", one relaxed draw, as in
            the paper; "gumbel_max", one exact draw with the relaxed gradient; "exact", the sum
            over every class, which decodes K times as much.
        capacity_z: C(t), nats: KL(q(z|x) || p(z)) becomes |KL - C(t)| of its batch mean, as in
            the authors' code; a number or a schedule; None, the paper's, leaves it as it is.
        capacity_y: the same of KL(q(y|x) || p(y)).
        **kwargs: of `SemiSupervisedVAE`: weights, regularizers, seed, name, dtype.

    References:
        Feng et al., "SHOT-VAE: semi-supervised deep generative models with label-aware ELBO
        approximations", AAAI 2021.
    """

    EQUATIONS: ClassVar[str] = "Feng et al. (SHOT-VAE), 2021"
    TERMS: ClassVar[dict[str, str]] = {
        name: meaning
        for name, meaning in part_names(
            {
                "reconstruction": "-E log p(x|y,z), eqs. 4 and 11",
                "kl_z": "KL(q(z|x) || p(z)), eqs. 4 and 11",
                "kl_y": "KL(q(y|x) || p(y)), eqs. 4 and 11",
            }
        ).items()
        if name != "labelled_prior_y"
    } | {"classification": "KL(p^(y|x) || q(y|x)) of the labelled images, eq. 11"}

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int = 10,
        hidden: Sequence[int] = (500, 500, 500),
        backbone: str = "mlp",
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        likelihood="bernoulli",
        prior: keras.layers.Layer | None = None,
        class_prior="labels",
        epsilon: float = 0.001,
        temperature: float = 0.67,
        sampling: str = "gumbel_softmax",
        capacity_z: Weight | None = None,
        capacity_y: Weight | None = None,
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, class_prior=class_prior, **kwargs)
        self.latent_dim, self.hidden = int(latent_dim), tuple(hidden)
        self.epsilon, self.temperature = _checked(epsilon, temperature)
        check_choice(sampling, SAMPLING, "sampling")
        self.sampling = sampling
        self.capacity_z, self.capacity_y = capacity_z, capacity_y
        self.backbone = backbone
        default_encoder, default_decoder = self._backbone()
        self.encoder = encoder or default_encoder()
        self.decoder = decoder or default_decoder()
        self.head_z = layers.GaussianHead(self.latent_dim, self.seed, name="head_z")
        self.head_y = keras.layers.Dense(
            self.num_classes,
            kernel_initializer=keras.initializers.GlorotUniform(self.seed),
            dtype="float32",
            name="head_y",
        )
        self.likelihood = layers.get_likelihood(likelihood)
        self.prior = prior or layers.StandardNormalPrior(self.latent_dim)
        self.finish()

    def _backbone(self):
        """Return what builds the encoder, and what builds the decoder."""
        options = {"dtype": self.dtype_policy, "seed": self.seed}
        if self.backbone == "mlp":
            sizes = [(self.latent_dim,), (self.num_classes,)]
            return (
                partial(networks.mlp, self.example_shape, self.hidden, name="encoder", **options),
                partial(
                    networks.conditional_mlp,
                    sizes,
                    self.hidden[::-1],
                    self.num_pixels,
                    name="decoder",
                    **options,
                ),
            )
        sizes = networks.wide_resnet_sizes(str(self.backbone))
        if sizes is None:
            raise InputError(
                f'unknown backbone {self.backbone!r}: use "mlp" or "wide_resnet_DEPTH_WIDTH", '
                "such as wide_resnet_28_2"
            )
        if len(self.example_shape) != 3:
            raise InputError(f"a {self.backbone} needs images, got shape {self.example_shape}")
        return (
            partial(networks.wide_resnet, self.example_shape, *sizes, name="encoder", **options),
            partial(
                networks.class_conv_transpose,
                self.latent_dim,
                self.num_classes,
                self.example_shape,
                name="decoder",
                **options,
            ),
        )

    @property
    def classifier(self) -> keras.Model:
        """The network from x to the logits of q(y|x); it shares its layers with the model."""
        return keras.Sequential([keras.Input(self.example_shape), self.encoder, self.head_y])

    @classmethod
    def paper_regularizers(cls, **arguments) -> list:
        """Return the optimal interpolation."""
        from tfssvae.regularizers import OptimalInterpolation  # regularizers know this class

        return [OptimalInterpolation()]

    @classmethod
    def default_weights(cls) -> dict[str, Weight]:
        """Return beta of the divergences from the priors."""
        return {"*_kl_z": BETA, "*_kl_y": BETA}

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return beta: the smooth-ELBO needs no weight of the classification term."""
        return cls.default_weights()

    @classmethod
    def recommended_weights(
        cls, num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int
    ) -> dict[str, Weight]:
        """Return M2's recommended weights, on the scale of the classification term.

        A sum over pixels outweighs what the class terms say: its parts weigh 1 / alpha. The code is
        costly at first, so that the class explains the image (see `exact.recommended_weights`).
        """
        m2 = recommended_weights(num_labelled, num_unlabelled, num_pixels, steps)
        scale = 1.0 / float(m2.get("classification", 1.0))
        initial = min(8.0, num_pixels / 100)
        code = linear_ramp(scale, max(1, steps // 2), initial * scale) if initial > 1 else scale
        return {"*_reconstruction": scale, "*_kl_z": code, "*_kl_y": scale}

    # The model's densities ---------------------------------------------------------------------

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return self.infer(x, training)[1]

    def infer(self, x, training=False) -> tuple[tfd.Distribution, tf.Tensor]:
        """Return q(z|x) and the logits of q(y|x), eq. 2."""
        h = self.encoder(x, training=training)
        return layers.gaussian(*self.head_z(h)), self.head_y(h)

    def decode(self, z, y, expand_z=None, training=False) -> tf.Tensor:
        """Return the parameters of p(x|y, z), (rows of y, *input_shape)."""
        repeats = None if expand_z is None else [expand_z, None]
        outputs = networks.call_network(
            self.decoder, [layers.code_of(self.prior, z), y], repeats, training
        )
        return tf.reshape(tf.cast(outputs, tf.float32), [-1, *self.example_shape])

    # The objective -----------------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of -ELBO, eq. 4, and of -smooth-ELBO, eq. 11."""
        x, labelled = batch.images, batch.num_labelled
        q_z, logits = self.infer(x, training)
        z = layers.reparameterize(q_z, batch.normal(self.latent_dim))
        p_hat = losses.smooth_labels(batch.labels, self.num_classes, self.epsilon)
        log_p_y = self.log_class_prior()
        reconstruction = -self._expected_log_p_x(batch, z, p_hat, logits, training)
        kl_z = layers.kl_to_prior(q_z, self.prior, z)
        kl_y = losses.kl_categorical(logits, log_p_y)
        log_q = tf.nn.log_softmax(logits[:labelled])
        kl_p_hat_q = -_entropy_of_smooth(self.epsilon, self.num_classes) - tf.reduce_sum(
            p_hat * log_q, axis=-1
        )
        parts = {"reconstruction": reconstruction, "kl_z": kl_z, "kl_y": kl_y}
        values = {f"labelled_{name}": value[:labelled] for name, value in parts.items()}
        values |= {f"unlabelled_{name}": value[labelled:] for name, value in parts.items()}
        values["classification"] = kl_p_hat_q
        # Eq. 8: the bound that eq. 11 approximates.
        kl_p_hat_p = -_entropy_of_smooth(self.epsilon, self.num_classes) - tf.reduce_sum(
            p_hat * log_p_y, axis=-1
        )
        bound = -(reconstruction + kl_z)[:labelled] - kl_p_hat_p
        smooth = bound + kl_p_hat_p - kl_y[:labelled] - kl_p_hat_q
        monitors = {
            **class_monitors(logits[labelled:]),
            "labelled_bound": bound,
            "labelled_smooth_elbo": smooth,
            "labelled_smooth_elbo_error": _relative_error(smooth, bound, batch.labels >= 0),
            "unlabelled_bound": -(reconstruction + kl_z + kl_y)[labelled:],
        }
        return Terms(self._within_capacity(values), logits, monitors, latents={"z": q_z})

    def _expected_log_p_x(self, batch: Batch, z, p_hat, logits, training):
        """Return E log p(x|y, z) of every row, y from p^ or from q(y|x): (L + U,)."""
        x, labelled = batch.images, batch.num_labelled
        if self.sampling == "exact":
            pairs = every_class(x, self.num_classes)
            outputs = self.decode(z, pairs.y, pairs.expand, training)
            log_p_x = pairs.split(self.likelihood.log_prob(pairs.expand(x), outputs))[1]
            probs = tf.concat([p_hat, tf.nn.softmax(logits[labelled:])], axis=0)
            return tf.reduce_sum(probs * log_p_x, axis=-1)
        log_p_hat = tf.math.log(p_hat)  # -inf where epsilon is 0: never drawn
        noise_l = batch.noise.gumbel((labelled, self.num_classes))
        noise_u = batch.noise.gumbel((batch.num_unlabelled, self.num_classes))
        drawn = tf.argmax(log_p_hat + noise_l, axis=-1)
        y_l = tf.one_hot(drawn, self.num_classes)
        y_u = layers.gumbel_softmax(
            logits[labelled:], noise_u, self.temperature, hard=self.sampling == "gumbel_max"
        )
        outputs = self.decode(z, tf.concat([y_l, y_u], axis=0), training=training)
        return self.likelihood.log_prob(x, outputs)

    def _within_capacity(self, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the terms with each limited divergence replaced by |mean KL - C(t)|."""
        iterations = 0 if getattr(self, "optimizer", None) is None else self.optimizer.iterations
        limits = {"kl_z": self.capacity_z, "kl_y": self.capacity_y}
        found = dict(values)
        for name, value in values.items():
            capacity = limits.get(name.split("_", 1)[1]) if "_" in name else None
            if capacity is not None:
                found[name] = losses.capacity_distance(value, weight_at(capacity, iterations))
        return found

    # What a trained model gives ----------------------------------------------------------------

    def posterior_mean(self, x):
        """Return E[z|x]: (batch, d)."""
        return self.infer(x)[0].mean()

    def expected_image(self, x):
        """Return the reconstruction: exact over y, z at its mean."""
        q_z, logits = self.infer(x)
        pairs = every_class(x, self.num_classes)
        images = self.likelihood.mean(self.decode(q_z.mean(), pairs.y, pairs.expand))
        return losses.marginalize(pairs.split(images)[1], logits)

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

        def expand(values):
            return layers.repeat_rows(values, num_samples)

        q_z, logits = self.infer(x)
        labels, y, log_q_y = draw_classes(logits, num_samples, noise)
        q_z = tfd.Independent(tfd.Normal(expand(q_z.mean()), expand(q_z.stddev())), 1)
        z = layers.reparameterize(q_z, noise.normal((rows * num_samples, self.latent_dim)))
        log_joint = (
            self.likelihood.log_prob(expand(x), self.decode(z, y))
            + tf.gather(self.log_class_prior(), labels)
            + self.prior.distribution().log_prob(z)
        )
        return tf.reshape(log_joint - (log_q_y + q_z.log_prob(z)), [rows, num_samples])


def _checked(epsilon: float, temperature: float) -> tuple[float, float]:
    if not isinstance(epsilon, Real) or not 0.0 <= epsilon < 1.0:
        raise InputError(f"epsilon must be in [0, 1), got {epsilon}")
    if not temperature > 0.0:
        raise InputError(f"temperature must be positive, got {temperature}")
    return float(epsilon), float(temperature)


def _entropy_of_smooth(epsilon: float, num_classes: int) -> float:
    """Return H(p^), the same for every label."""
    if epsilon == 0.0:
        return 0.0
    return -(1 - epsilon) * math.log1p(-epsilon) - epsilon * math.log(epsilon / (num_classes - 1))


def _relative_error(smooth, bound, known) -> tf.Tensor:
    """Return |E smooth-ELBO - E ELBO| / |E ELBO| over rows that have a label (Table 2): (1,)."""
    known = tf.cast(known, tf.float32)
    total = tf.reduce_sum(bound * known)
    error = tf.abs(tf.reduce_sum((smooth - bound) * known))
    return tf.math.divide_no_nan(error, tf.abs(total))[None]
