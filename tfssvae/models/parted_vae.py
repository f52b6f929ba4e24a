"""Parted-VAE: a code of the class and a code of all else (Hajimiri, Lotfi and Baghshah, 2021).

    generative model   p(x, y, u, z) = p(y) N(u; m_y, diag(s_y^2)) N(z; 0, I) p(x|u, z)
    inference model    q(y, u, z|x) = q(y|x) q(u|x, y) q(z|x), from the features h of one network
    attention          q(u|x, y) sees h * a(y), a(y) = sigmoid(k (W y + b))

u is the class-related code and z the class-independent one; m_y and s_y^2 are learnt. y is the
paper's c. The objective, as the authors' published code has it:

    E -log p(x|u, z) + gamma_z |KL_z - C_z| + gamma_u |KL_u - C_u|
      + gamma_c KL(q(y) || p(y)) + gamma_h E H(q(y|x)) + gamma_bc sum_{i<j} max(0, BC_ij - tau)
    KL_z = E KL(q(z|x) || p(z)),   KL_u = E sum_y q(y|x) KL(q(u|x, y) || p(u|y)),   q(y) = E q(y|x)

with the Bhattacharyya coefficients BC of the components of p(u), and the cross-entropy of the
labelled images, which the authors train in steps of its own between the others.
"""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.checks import InputError, check_choice
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.models.exact import class_monitors, every_class, sample_classes
from tfssvae.noise import Noise
from tfssvae.replicas import of_all_replicas
from tfssvae.schedules import linear_ramp
from tfssvae.weights import Weight, weight_at

# Of MNIST, in the authors' code.
GAMMA_Z, GAMMA_U, GAMMA_C, GAMMA_H, GAMMA_BC = 15.0, 15.0, 15.0, 30.0, 30.0
CAPACITY = linear_ramp(7.0, steps=100_000)
SLOPE = linear_ramp(8.0, steps=35_000, initial=1.0)
THRESHOLD = 0.15
TEMPERATURE = 0.67
ALPHA = 1000.0  # of the cross-entropy, measured: see docs/methods/parted_vae.md
SAMPLING = ("gumbel_softmax", "gumbel_max", "exact")
_END = 2**31 - 1  # of a schedule


@keras.saving.register_keras_serializable("tfssvae")
class PartedVAE(SemiSupervisedVAE):
    """Semi-supervised VAE that parts what the class says of an image from all else.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: the size of u, the class-related code.
        style_dim: the size of z, the class-independent code.
        backbone: the default networks: "conv", the paper's of MNIST, for images; "mlp"; or
            "wide_resnet_28_4" (depth and width; any others too) with the decoder of `EXoN`'s
            CIFAR-10. None: the first, or for tables the second.
        hidden: units of the hidden layers of the "mlp" encoder; the decoder has the same in
            reverse. The dense layers of "conv" have as many units as the last.
        encoder: network from x to features h; instead of the backbone's.
        decoder: network from (u, z) side by side to the likelihood's parameters, one per pixel;
            instead of the backbone's.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        capacity_u: C_u, nats, a number or a schedule; None: no capacity, the divergence of u
            itself. While it is small, u is what the class says: with a large one from the start the
            components of p(u) come to mean nothing (see `recommended_arguments`).
        capacity_z: C_z, nats, likewise.
        threshold: tau, the overlap of two components of p(u) that costs nothing.
        attention_slope: k, a number or a schedule; outside of training it is at its end.
        temperature: of the relaxed draw of y.
        sampling: how the expectation over y is taken: "gumbel_softmax", one relaxed draw, as in
            the paper; "gumbel_max", one exact draw with the relaxed gradient; "exact", the sum over
            every class, which decodes K times as much.
        **kwargs: of `SemiSupervisedVAE`: class_prior, weights, regularizers, augment, seed, name,
            dtype.

    References:
        Hajimiri, Lotfi and Soleymani Baghshah, "Semi-supervised disentanglement of class-related
        and class-independent factors in VAE", 2021.
    """

    TERMS: ClassVar[dict[str, str]] = {
        "reconstruction": "-E log p(x|u,z)",
        "kl_u": "|KL_u - C_u|, of weight gamma_u",
        "kl_z": "|KL_z - C_z|, of weight gamma_z",
        "kl_y": "KL(q(y) || p(y)) of the mean q(y) of the batch, of weight gamma_c",
        "entropy_y": "H(q(y|x)), of weight gamma_h",
        "overlap": "sum_{i<j} max(0, BC_ij - tau), of weight gamma_bc",
        "classification": "-log q(y|x) of the labelled images",
    }

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int = 10,
        style_dim: int = 6,
        backbone: str | None = None,
        hidden: Sequence[int] = (256,),
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        likelihood="bernoulli",
        capacity_u: Weight | None = CAPACITY,
        capacity_z: Weight | None = CAPACITY,
        threshold: float = THRESHOLD,
        attention_slope: Weight = SLOPE,
        temperature: float = TEMPERATURE,
        sampling: str = "gumbel_softmax",
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.latent_dim, self.style_dim = int(latent_dim), int(style_dim)
        self.hidden = tuple(hidden)
        self.capacity_u, self.capacity_z = capacity_u, capacity_z
        self.threshold, self.attention_slope = float(threshold), attention_slope
        if not temperature > 0:
            raise InputError(f"temperature must be positive, got {temperature}")
        self.temperature = float(temperature)
        check_choice(sampling, SAMPLING, "sampling")
        self.sampling = sampling
        self.backbone = backbone
        default_encoder, default_decoder = self._backbone()
        self.encoder = encoder or default_encoder()
        self.decoder = decoder or default_decoder()
        self.head_y = self._dense(self.num_classes, "head_y")
        self.attention = self._dense(self.encoder.output_shape[-1], "attention")
        self.head_u = layers.GaussianHead(self.latent_dim, self.seed, name="head_u")
        self.head_z = layers.GaussianHead(self.style_dim, self.seed, name="head_z")
        self.likelihood = layers.get_likelihood(likelihood)
        self.prior = layers.LearntMixturePrior(self.num_classes, self.latent_dim, self.seed)
        self.style_prior = layers.StandardNormalPrior(self.style_dim)
        self.finish()

    def _dense(self, units: int, name: str) -> keras.layers.Dense:
        initializer = keras.initializers.GlorotUniform(self.seed)
        return keras.layers.Dense(units, kernel_initializer=initializer, dtype="float32", name=name)

    def _backbone(self):
        """Return what builds the encoder, and what builds the decoder."""
        options = {"dtype": self.dtype_policy, "seed": self.seed}
        x, codes = self.example_shape, self.latent_dim + self.style_dim
        backbone = self.backbone or ("conv" if len(x) == 3 else "mlp")
        sizes = networks.wide_resnet_sizes(str(backbone))
        if backbone == "mlp":
            encoder = partial(networks.mlp, x, self.hidden)
            decoder = partial(networks.mlp, (codes,), self.hidden[::-1], self.num_pixels)
        elif backbone == "conv":
            encoder = partial(networks.parted_encoder, x, hidden=self.hidden[-1])
            decoder = partial(networks.parted_decoder, codes, x, hidden=self.hidden[-1])
        elif sizes is not None:
            encoder = partial(networks.wide_resnet, x, *sizes)
            decoder = partial(networks.exon_decoder, codes, x)
        else:
            raise InputError(
                f'unknown backbone {backbone!r}: use "conv", "mlp" or "wide_resnet_DEPTH_WIDTH", '
                "such as wide_resnet_28_4"
            )
        if backbone != "mlp" and len(x) != 3:
            raise InputError(f"the backbone {backbone!r} needs images, got shape {x}")
        return (
            partial(encoder, name="encoder", **options),
            partial(decoder, name="decoder", **options),
        )

    @property
    def classifier(self) -> keras.Model:
        """The network from x to the logits of q(y|x); it shares its layers with the model."""
        return keras.Sequential([keras.Input(self.example_shape), self.encoder, self.head_y])

    @classmethod
    def default_weights(cls) -> dict[str, Weight]:
        """Return the gammas of MNIST, and the weight of the cross-entropy."""
        return {
            "kl_u": GAMMA_U,
            "kl_z": GAMMA_Z,
            "kl_y": GAMMA_C,
            "entropy_y": GAMMA_H,
            "overlap": GAMMA_BC,
            "classification": ALPHA,
        }

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return the published weights, whatever the number of labels."""
        return cls.default_weights()

    @classmethod
    def recommended_arguments(cls, num_pixels: int, steps: int) -> dict:
        """Return capacities that rise during the whole run, and an attention sharp after half.

        Small images have less to say: pixels / 30 nats, at most the published 7.
        """
        capacity = linear_ramp(min(7.0, num_pixels / 30), max(1, steps))
        slope = linear_ramp(SLOPE.final, max(1, steps // 2), SLOPE.initial)
        return {"capacity_u": capacity, "capacity_z": capacity, "attention_slope": slope}

    # The model's densities ---------------------------------------------------------------------

    def features(self, x, training=False) -> tf.Tensor:
        """Return h, (batch, features) float32."""
        return tf.cast(self.encoder(x, training=training), tf.float32)

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return self.head_y(self.features(x, training))

    def posterior_u(self, h, y, training=False) -> tfd.Distribution:
        """Return q(u|x, y) for rows of features h and of classes y (rows, K), relaxed or not."""
        slope = weight_at(self.attention_slope, self._iterations() if training else _END)
        return layers.gaussian(*self.head_u(h * tf.sigmoid(slope * self.attention(y))))

    def posterior_z(self, h) -> tfd.Distribution:
        """Return q(z|x) for rows of features h."""
        return layers.gaussian(*self.head_z(h))

    def components(self, x, training=False) -> tuple[tf.Tensor, tf.Tensor]:
        """Return means and log-variances of q(u|x, y) for every y, both (batch, K, d)."""
        pairs = every_class(x, self.num_classes)
        q_u = self.posterior_u(pairs.expand(self.features(x, training)), pairs.y, training)
        return pairs.split(q_u.mean())[1], 2.0 * tf.math.log(pairs.split(q_u.stddev())[1])

    def decode(self, u, z=None, training=False) -> tf.Tensor:
        """Return the parameters of p(x|u, z), (rows, *input_shape); no z is the mean of p(z)."""
        z = tf.zeros((tf.shape(u)[0], self.style_dim)) if z is None else z
        outputs = self.decoder(tf.concat([u, z], axis=-1), training=training)
        return tf.reshape(tf.cast(outputs, tf.float32), [-1, *self.example_shape])

    def _iterations(self):
        optimizer = getattr(self, "optimizer", None)
        return 0 if optimizer is None else optimizer.iterations

    # The objective -----------------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of the objective above."""
        x, labelled = batch.images, batch.num_labelled
        h = self.features(x, training)
        logits, q_z = self.head_y(h), self.posterior_z(h)
        z = layers.reparameterize(q_z, batch.normal(self.style_dim))
        noise_u = batch.normal(self.latent_dim)
        if self.sampling == "exact":
            pairs = every_class(x, self.num_classes)
            q_u = self.posterior_u(pairs.expand(h), pairs.y, training)
            u = layers.reparameterize(q_u, pairs.expand(noise_u))
            outputs = self.decode(u, pairs.expand(z), training)
            log_p = pairs.split(self.likelihood.log_prob(pairs.expand(x), outputs))[1]
            log_p_x = losses.marginalize(log_p, logits)
            mean, variance = pairs.split(q_u.mean())[1], pairs.split(q_u.variance())[1]
        else:
            hard = self.sampling == "gumbel_max"
            y = layers.gumbel_softmax(logits, self._gumbel(batch), self.temperature, hard)
            q_u = self.posterior_u(h, y, training)
            u = layers.reparameterize(q_u, noise_u)
            log_p_x = self.likelihood.log_prob(x, self.decode(u, z, training))
            mean, variance = q_u.mean()[:, None], q_u.variance()[:, None]
        kl_u = losses.kl_gaussian(mean, tf.math.log(variance), *self.prior.parameters())
        divergences = {
            "kl_u": losses.marginalize(kl_u, logits),
            "kl_z": tfd.kl_divergence(q_z, self.style_prior.distribution()),
        }
        log_p_y = self.log_class_prior()
        bound = log_p_x - losses.add_terms(
            [*divergences.values(), losses.kl_categorical(logits, log_p_y)]
        )
        return Terms(
            values={
                "reconstruction": -log_p_x,
                "kl_u": self._from_capacity(divergences["kl_u"], self.capacity_u),
                "kl_z": self._from_capacity(divergences["kl_z"], self.capacity_z),
                "kl_y": _divergence_of_mean(logits, log_p_y),
                "entropy_y": losses.entropy(logits),
                "overlap": tf.fill([tf.shape(x)[0]], self._overlap()),
                "classification": -losses.categorical_log_prob(batch.labels, logits[:labelled]),
            },
            logits=logits,
            monitors={
                **class_monitors(logits[labelled:]),
                **{f"{name}_nats": value for name, value in divergences.items()},
                "unlabelled_bound": bound[labelled:],
            },
            latents={"z": q_z},
        )

    def _gumbel(self, batch: Batch) -> tf.Tensor:
        # Two draws: a strategy shards labelled and unlabelled rows separately.
        counts = (batch.num_labelled, batch.num_unlabelled)
        draws = [batch.noise.gumbel((count, self.num_classes)) for count in counts]
        return tf.concat(draws, axis=0)

    def _from_capacity(self, divergence: tf.Tensor, capacity: Weight | None) -> tf.Tensor:
        """Return |KL - C| of the batch, one value per example; the divergences without C."""
        if capacity is None:
            return divergence
        mean = tf.reduce_mean(of_all_replicas(divergence))
        return losses.capacity_distance(divergence, weight_at(capacity, self._iterations()), mean)

    def _overlap(self) -> tf.Tensor:
        """Return sum_{i<j} max(0, BC_ij - tau), a scalar."""
        coefficients = losses.bhattacharyya(*self.prior.parameters())
        pairs = 1.0 - tf.linalg.band_part(tf.ones_like(coefficients), -1, 0)  # i < j
        return tf.reduce_sum(pairs * tf.nn.relu(coefficients - self.threshold))

    # What a trained model gives ----------------------------------------------------------------

    def posterior_mean(self, x):
        """Return E[u|x], exact over y, and E[z|x] side by side: (batch, d_u + d_z)."""
        u = losses.marginalize(self.components(x)[0], self.predict_logits(x))
        return tf.concat([u, self.posterior_z(self.features(x)).mean()], axis=-1)

    def expected_image(self, x):
        """Return the reconstruction: exact over y, u and z at their means."""
        pairs, h = every_class(x, self.num_classes), self.features(x)
        u = self.posterior_u(pairs.expand(h), pairs.y).mean()
        z = pairs.expand(self.posterior_z(h).mean())
        images = self.likelihood.mean(self.decode(u, z))
        return losses.marginalize(pairs.split(images)[1], self.head_y(h))

    @property
    def encoding_size(self) -> int:
        """How many numbers `encode` gives for an image."""
        return self.latent_dim + self.style_dim

    def images_of_encoding(self, codes):
        """Return E[x|u, z] of codes (rows, d_u + d_z), as `encode` gives them."""
        u, z = codes[:, : self.latent_dim], codes[:, self.latent_dim :]
        return self.likelihood.mean(self.decode(u, z))

    def sample_images(self, labels, noise: Noise):
        """Return E[x|u, z] with u drawn from the component of each label, z from its prior."""
        rows = tf.shape(labels)[0]
        mean, log_var = (tf.gather(values, labels) for values in self.prior.parameters())
        u = layers.reparameterize(
            layers.gaussian(mean, log_var), noise.normal((rows, self.latent_dim))
        )
        z = noise.normal((rows, self.style_dim))
        return self.likelihood.mean(self.decode(u, z))

    def log_weights(self, x, num_samples: int, noise: Noise):
        """Return log p(x, y, u, z) - log q(y, u, z|x) of samples: (batch, num_samples)."""
        rows = tf.shape(x)[0]
        h = self.features(x)
        logits = self.head_y(h)
        labels = sample_classes(logits, num_samples, noise)
        h = layers.repeat_rows(h, num_samples)
        q_u = self.posterior_u(h, tf.one_hot(labels, self.num_classes))
        q_z = self.posterior_z(h)
        p_u = layers.gaussian(*(tf.gather(values, labels) for values in self.prior.parameters()))
        u = layers.reparameterize(q_u, noise.normal((rows * num_samples, self.latent_dim)))
        z = layers.reparameterize(q_z, noise.normal((rows * num_samples, self.style_dim)))
        log_joint = (
            self.likelihood.log_prob(layers.repeat_rows(x, num_samples), self.decode(u, z))
            + tf.gather(self.log_class_prior(), labels)
            + p_u.log_prob(u)
            + self.style_prior.distribution().log_prob(z)
        )
        log_q_y = losses.categorical_log_prob(labels, layers.repeat_rows(logits, num_samples))
        log_posterior = log_q_y + q_u.log_prob(u) + q_z.log_prob(z)
        return tf.reshape(log_joint - log_posterior, [rows, num_samples])


def _divergence_of_mean(logits, log_p_y) -> tf.Tensor:
    """Return KL(q(y) || p(y)) of the mean q(y) of all rows, as the part that each row has in it."""
    log_q = of_all_replicas(tf.nn.log_softmax(logits))
    rows = tf.cast(tf.shape(log_q)[0], tf.float32)
    log_mean = tf.reduce_logsumexp(log_q, axis=0) - tf.math.log(rows)
    # The probabilities add up to 1: the gradient of log q(y) is nothing in the mean.
    ratio = tf.stop_gradient(log_mean) - log_p_y
    return tf.reduce_sum(tf.nn.softmax(logits) * ratio, axis=-1)
