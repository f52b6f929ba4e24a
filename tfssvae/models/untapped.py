"""Untapped: labels without images train the model in reverse (Gemp, Mahadevan and Parente).

    forward model    p(x, y, z) = p(y) p(z) p(x|y, z),  p(z) = U(low, high)           (eq. 1)
    reverse model    q(x, y, z) = q(x) q(y|x) q(z|x, y),  q(x) = Bern(1/2)            (eq. 2)
    inference        q(y|x) q(z|x, y) for the forward model, p(x|y, z) for the reverse one

Each model is the other's inference model: no network is added.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.checks import InputError, check_choice
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.losses.float32 import sum_features
from tfssvae.models.exact import (
    check_blocks,
    checked_class_block,
    class_monitors,
    code_of_images,
    draw_classes,
    every_class,
    part_names,
    posterior_of_draws,
)
from tfssvae.noise import Noise
from tfssvae.weights import Weight

ALPHA_F, ALPHA_R = 10.0, 0.1  # of the discriminative terms of eq. 8 (appendix D)
SAMPLING = ("gumbel_softmax", "gumbel_max", "exact")
IMAGE_SAMPLING = ("detached", "straight_through", "relaxed")
IMAGE_DISTANCES = ("squared", "euclidean")
_NODES = 32  # of the quadrature for E[z]


@keras.saving.register_keras_serializable("tfssvae")
class Untapped(SemiSupervisedVAE):
    """M2 that also learns from labels without images, by a bound on its own inverse.

    A label without an image is decoded to an image, which has to be recognised as that label and
    that code. Without such labels in the batch this is M2 with a bounded code and the terms of
    eq. 7. `data.load(..., unfeatured=...)` brings them, `data.train(unfeatured=B)` batches them.

    How gradients pass the binary image drawn in the reverse bound, which the paper leaves open, is
    `image_sampling`:

    - "detached": an exact draw through which no gradient passes, as in the authors' code. The
      reverse bound trains q(y|x) and q(z|x, y) alone, without bias; the decoder's gradient of it,
      that of KL(p(x|y, z) || q(x)) included, is left out.
    - "straight_through": the image is an exact draw and the bound's value is exact; its gradient
      is that of the relaxed draw, so the gradient of the decoder is biased.
    - "relaxed": the image is the relaxed draw itself, between 0 and 1. The gradient is that of
      the value, but the value is of images that are not binary: the bias is in the objective, and
      goes to 0 with the temperature, while the gradient's variance grows.

    With the last two the divergence from q(x) pulls the images of classes that no image claims
    towards noise; measured, "detached" is what makes such classes digits (docs/methods).

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: d, the size of z.
        hidden: units of the hidden layers of the default network (y, z) -> x.
        classifier_hidden: the same of x -> y.
        encoder_hidden: the same of (x, y) -> z.
        low: lower edge of z in each dimension.
        high: upper edge of z in each dimension.
        encoder: network from [x, y] to features, on which the Gaussian head of z~ is put.
        decoder: network from [z, y] to the log-odds of each pixel.
        classifier: network from x to K logits.
        likelihood: "bernoulli", or a `layers.BernoulliLikelihood`: q(x) is over binary images.
        temperature: of the relaxed draws of y and of x; the paper's is not stated, 1 is that of
            the authors' code.
        sampling: how the expectation over y in eq. 4 is taken: "gumbel_softmax", one relaxed draw
            (Concrete), as in the paper; "gumbel_max", one exact draw with the relaxed gradient;
            "exact", the sum over every class.
        image_sampling: see above.
        observed_z: whether z belongs to the unfeatured data, eq. 17, as in the paper's
            experiments; False is the bound on log q(y) alone, eq. 5. Both draw z from p(z), and
            differ by the constant log p(z).
        epsilon: probability taken from an unfeatured label and shared by the other classes, before
            it is decoded; the authors' code uses 0.05, the paper none.
        image_distance: L_x of eq. 7: "squared", the squared L2 distance, or "euclidean", its root,
            as in the authors' code.
        class_block: classes whose pairs with the unlabelled images are held in memory at a time
            in a step with `sampling="exact"` (see `layers.over_classes`); None holds all, as
            `encode` and its like do.
        **kwargs: of `SemiSupervisedVAE`: class_prior, weights, regularizers, seed, name, dtype.

    References:
        Gemp, Mahadevan and Parente, "Inverting VAEs for improved generative accuracy".
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int = 2,
        hidden: Sequence[int] = (250, 500),
        classifier_hidden: Sequence[int] = (50, 50),
        encoder_hidden: Sequence[int] = (10, 10),
        low: float = -1.5,
        high: float = 1.5,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        classifier: keras.Model | None = None,
        likelihood="bernoulli",
        temperature: float = 1.0,
        sampling: str = "gumbel_softmax",
        image_sampling: str = "detached",
        observed_z: bool = True,
        epsilon: float = 0.0,
        image_distance: str = "squared",
        class_block: int | None = None,
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.latent_dim = int(latent_dim)
        self.hidden = tuple(hidden)
        self.classifier_hidden = tuple(classifier_hidden)
        self.encoder_hidden = tuple(encoder_hidden)
        flow = layers.LogisticFlow(low, high)
        self.low, self.high = flow.low, flow.high
        self.temperature, self.epsilon = _checked_numbers(temperature, epsilon)
        self.sampling = check_choice(sampling, SAMPLING, "sampling")
        self.class_block = checked_class_block(class_block)
        if self.class_block is not None and self.sampling != "exact":
            raise InputError(
                'class_block cuts the sum over every class, which is sampling="exact": leave it '
                f'out with sampling="{self.sampling}"'
            )
        self.image_sampling = check_choice(image_sampling, IMAGE_SAMPLING, "image_sampling")
        self.image_distance = check_choice(image_distance, IMAGE_DISTANCES, "image_distance")
        self.observed_z = bool(observed_z)
        classes = (self.num_classes,)
        options = {"activation": "tanh", "dtype": self.dtype_policy, "seed": self.seed}
        self.encoder = encoder or networks.conditional_mlp(
            [self.example_shape, classes], self.encoder_hidden, name="encoder", **options
        )
        self.decoder = decoder or networks.conditional_mlp(
            [(self.latent_dim,), classes],
            self.hidden,
            outputs=self.num_pixels,
            name="decoder",
            **options,
        )
        self.classifier = classifier or networks.mlp(
            self.example_shape,
            self.classifier_hidden,
            self.num_classes,
            name="classifier",
            **options,
        )
        self.head_z = layers.GaussianHead(self.latent_dim, seed=self.seed, name="head_z")
        self.likelihood = layers.get_likelihood(likelihood)
        if not isinstance(self.likelihood, layers.BernoulliLikelihood):
            raise InputError(
                'the reverse model of Untapped draws binary images: use likelihood="bernoulli"'
            )
        self.finish()
        check_blocks(self)

    @property
    def TERMS(self) -> dict[str, str]:  # type: ignore[override]
        """Name -> meaning of every term; log p(z) where z is latent in the reverse model."""
        forward = part_names(
            {
                "reconstruction": "-E log p(x|y,z), eqs. 3 and 4",
                "kl_z": "E log q(z|x,y) - log p(z), eqs. 3 and 4",
            }
        )
        labelled = {
            "labelled_distance": "L_x, the distance of the decoded label from x, eq. 7",
            "labelled_reverse": "the reverse bound on log q(x, y), negated, eq. 51",
        }
        unfeatured = {
            "unfeatured_label": "-E log q(y|x), eqs. 5 and 17",
            "unfeatured_code": "-E log q(z|x,y), eqs. 5 and 17",
            "unfeatured_kl_x": "E KL(p(x|y,z) || q(x)), eqs. 5 and 17",
        }
        if not self.observed_z:
            unfeatured["unfeatured_prior_z"] = "log p(z), eq. 5"
        return {**forward, **labelled, **unfeatured}

    @classmethod
    def default_weights(cls) -> dict[str, Weight]:
        """Return the paper's weights, whatever the data: appendix D; E.3 leaves eq. 51 out."""
        return {"classification": ALPHA_F, "labelled_distance": ALPHA_R, "labelled_reverse": 0.0}

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return alpha_f^d = 10 and alpha_r^d = 0.1 of eq. 8 (appendix D)."""
        return cls.default_weights()

    # The two models' densities -----------------------------------------------------------------

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return tf.cast(self.classifier(x, training=training), tf.float32)

    def posterior_z(self, x, y, expand=None, training=False) -> tfd.Distribution:
        """Return the Gaussian of z~, z = flow(z~) ~ q(z|x, y), for the rows of y (rows, K).

        `expand` repeats rows of x to those of y.
        """
        repeats = None if expand is None else [expand, None]
        features = networks.call_network(self.encoder, [x, y], repeats, training)
        return layers.gaussian(*self.head_z(features))

    @property
    def flow(self) -> layers.LogisticFlow:
        """The scaled sigmoid from z~ to z, eq. 10."""
        return layers.LogisticFlow(self.low, self.high)

    def log_q_z(self, q_z: tfd.Distribution, z_tilde) -> tf.Tensor:
        """Return log q(z|x, y) at z = flow(z~), (rows,): the Gaussian's, less eq. 16."""
        return q_z.log_prob(z_tilde) - self._log_det(z_tilde)

    def _log_det(self, z_tilde) -> tf.Tensor:
        return self.flow.forward_log_det_jacobian(z_tilde, event_ndims=1)

    @property
    def log_p_z(self) -> float:
        """The constant log p(z) = -d log(high - low)."""
        return -self.latent_dim * math.log(self.high - self.low)

    def prior_z(self, noise: Noise, rows) -> tf.Tensor:
        """Return z~ (rows, d) whose flow is uniform: standard logistic draws."""
        # The draws are multiples of 2^-23 and, in the place of 0, the smallest float: a draw of
        # that size has a logit of -87, which no draw of so few bits should have.
        uniform = tf.clip_by_value(noise.uniform((rows, self.latent_dim)), 2.0**-24, 1.0 - 2.0**-24)
        return tf.math.log(uniform) - tf.math.log1p(-uniform)

    def decode(self, z, y, training=False) -> tf.Tensor:
        """Return the log-odds of p(x|y, z), (rows, *input_shape)."""
        outputs = networks.call_network(self.decoder, [z, y], training=training)
        return tf.reshape(tf.cast(outputs, tf.float32), [-1, *self.example_shape])

    # The objective -----------------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of -J, eq. 8: the bounds of eqs. 3, 4 and 17 and the losses of eq. 7."""
        x, labelled = batch.images, batch.num_labelled
        logits = self.predict_logits(x, training)
        logits_l, logits_u = logits[:labelled], logits[labelled:]

        # Forward: z ~ q(z|x, y) with the label, or with y ~ q(y|x) (algorithm 1).
        y_l = tf.one_hot(batch.labels, self.num_classes)
        if self.sampling != "exact":
            gumbel = batch.noise.gumbel((batch.num_unlabelled, self.num_classes))
            hard = self.sampling == "gumbel_max"
            y_u = layers.gumbel_softmax(logits_u, gumbel, self.temperature, hard)
        noise = batch.normal(self.latent_dim)

        # Reverse: z ~ p(z), with the label of an image, or with a label that has none.
        z_l = self.prior_z(batch.noise, labelled)
        y_r = self._unfeatured_classes(batch)
        z_r = self.prior_z(batch.noise, _rows(batch.unfeatured))

        def of_rows(y, expand):
            q_z = self.posterior_z(x, y, expand, training)
            z_tilde = layers.reparameterize(q_z, expand(noise))
            # One pass of the decoder, so that batch normalisation sees one mixed batch.
            codes = [z_tilde, expand(z_l)]
            z = self.flow.forward(tf.concat(codes, axis=0))
            outputs = self.decode(z, tf.concat([y, expand(y_l)], axis=0), training)
            forward, outputs_l = tf.split(outputs, [_rows(code) for code in codes])
            log_p_x = self.likelihood.log_prob(expand(x), forward)
            # E log q(z~|x, y) is minus the Gaussian's entropy: only its log-determinant is sampled.
            kl_z = -q_z.entropy() - self._log_det(z_tilde) - self.log_p_z
            return {"reconstruction": -log_p_x, "kl_z": kl_z}, q_z, outputs_l

        pairs = layers.Pairs(batch.labels, batch.num_unlabelled, self.num_classes)
        if self.sampling == "exact":
            parts, q_z, outputs_l = layers.over_classes(
                lambda pairs: of_rows(pairs.y, pairs.expand), pairs, self.class_block
            )
        else:
            parts, q_z, outputs_l = of_rows(tf.concat([y_l, y_u], axis=0), tf.identity)
        values: dict[str, tf.Tensor] = {}
        for name, part in parts.items():
            if self.sampling == "exact":
                part_l, per_class = pairs.split(part)
                part_u = losses.marginalize(per_class, logits_u)
            else:
                part_l, part_u = part[:labelled], part[labelled:]
            values |= {f"labelled_{name}": part_l, f"unlabelled_{name}": part_u}
        log_p_y = self.log_class_prior()
        prior = tf.broadcast_to(log_p_y, tf.shape(logits_l))
        values["labelled_prior_y"] = -losses.categorical_log_prob(batch.labels, prior)
        values["unlabelled_kl_y"] = losses.kl_categorical(logits_u, log_p_y)
        bound = values["labelled_reconstruction"] + values["labelled_kl_z"]
        monitors = {"labelled_bound": -bound - values["labelled_prior_y"]}

        log_q_y = losses.categorical_log_prob(batch.labels, logits_l)
        values["classification"] = -log_q_y
        values["labelled_distance"] = self._distance(outputs_l, x[:labelled])
        log_q_z = self.log_q_z(self._of_labelled(q_z, labelled), z_l)
        values["labelled_reverse"] = -(log_q_z + log_q_y + self.log_q_x - self.log_p_z)
        values |= self._reverse(batch, y_r, z_r, training)
        return Terms(
            values=values,
            logits=logits,
            monitors={**class_monitors(logits_u), **monitors},
            # Of z~, a Gaussian: regularizers compare codes by their means and variances.
            latents={"z": code_of_images(pairs, q_z, logits) if self.sampling == "exact" else q_z},
        )

    @property
    def log_q_x(self) -> float:
        """The constant log q(x) of a binary image, eq. 2."""
        return -self.num_pixels * math.log(2.0)

    def _of_labelled(self, q_z: tfd.Distribution, labelled) -> tfd.Distribution:
        mean, stddev = q_z.mean()[:labelled], q_z.stddev()[:labelled]
        return tfd.Independent(tfd.Normal(mean, stddev), 1)

    def _distance(self, outputs, x) -> tf.Tensor:
        """Return L_x of eq. 7: (rows,)."""
        difference = tf.math.squared_difference(self.likelihood.mean(outputs), x)
        squared = sum_features(difference)
        if self.image_distance == "squared":
            return squared
        return tf.sqrt(tf.maximum(squared, 2.0**-126))  # the root has no derivative at 0

    def _unfeatured_classes(self, batch: Batch) -> tf.Tensor:
        """Return one label drawn from each row of class probabilities, softened: (F, K)."""
        noise = batch.noise.gumbel((_rows(batch.unfeatured), self.num_classes))
        drawn = tf.argmax(tf.math.log(batch.unfeatured) + noise, axis=-1)
        return losses.smooth_labels(drawn, self.num_classes, self.epsilon)

    def _reverse(self, batch: Batch, y, z_tilde, training) -> dict[str, tf.Tensor]:
        """Return the terms of the negated reverse bound, eq. 17 (or 5), for labels without image.

        log q(y, z) >= E_p(x|y,z) [log q(y|x) + log q(z|x, y) - log p(x|y, z) + log q(x)]; the last
        two are -KL(p(x|y, z) || q(x)), exact for independent pixels. A softened label has
        log q(y|x) = sum_k y_k log q(k|x).

        Args:
            batch: the batch.
            y: (F, K) labels.
            z_tilde: (F, d), z = flow(z~) ~ p(z).
            training: whether the networks train.
        """
        if y.shape[0] == 0:  # known when traced: the networks never see an empty batch
            empty = tf.zeros((0,))
            return {name: empty for name in self.TERMS if name.startswith("unfeatured_")}
        # A pass of its own: through a detached draw the decoder has nothing to be differentiated.
        outputs = self.decode(self.flow.forward(z_tilde), y, training)
        noise = batch.noise.uniform((_rows(y), *self.example_shape))
        if self.image_sampling == "detached":
            outputs = tf.stop_gradient(outputs)
            x = layers.bernoulli(outputs, noise)
        else:
            hard = self.image_sampling == "straight_through"
            x = layers.relaxed_bernoulli(outputs, noise, self.temperature, hard)
        log_q_y = tf.reduce_sum(y * tf.nn.log_softmax(self.predict_logits(x, training)), axis=-1)
        log_q_z = self.log_q_z(self.posterior_z(x, y, training=training), z_tilde)
        # E log p(x|y, z) is minus the entropy of the pixels; log q(x) is the same of every image.
        kl_x = self.likelihood.log_prob(self.likelihood.mean(outputs), outputs) - self.log_q_x
        values = {
            "unfeatured_label": -log_q_y,
            "unfeatured_code": -log_q_z,
            "unfeatured_kl_x": kl_x,
        }
        if not self.observed_z:
            values["unfeatured_prior_z"] = tf.fill(tf.shape(kl_x), self.log_p_z)
        return values

    # What a trained model gives ----------------------------------------------------------------

    def posterior_mean(self, x):
        """Return E[z] under q(y, z|x), exact over y and by quadrature over z: (batch, d)."""
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
        return pairs, self._mean_of_flow(self.posterior_z(x, pairs.y, pairs.expand))

    def _mean_of_flow(self, q_z: tfd.Distribution) -> tf.Tensor:
        """Return E[flow(z~)], (rows, d), by Gauss-Hermite quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        points = q_z.mean()[..., None] + q_z.stddev()[..., None] * nodes.astype("float32")
        shares = (weights / weights.sum()).astype("float32")
        return tf.reduce_sum(self.flow.forward(points) * shares, axis=-1)

    def sample_images(self, labels, noise: Noise):
        """Return E[x|y, z] with z drawn from the prior."""
        return self.images_of_codes(
            self.flow.forward(self.prior_z(noise, tf.shape(labels)[0])), labels
        )

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
        normal = noise.normal((rows * num_samples, self.latent_dim))
        z_tilde = layers.reparameterize(q_z, normal)
        log_joint = (
            self.likelihood.log_prob(expand(x), self.decode(self.flow.forward(z_tilde), y))
            + tf.gather(self.log_class_prior(), labels)
            + self.log_p_z
        )
        log_posterior = log_q_y + self.log_q_z(q_z, z_tilde)
        return tf.reshape(log_joint - log_posterior, [rows, num_samples])


def _rows(values: tf.Tensor):
    return tf.shape(values)[0] if values.shape[0] is None else values.shape[0]


def _checked_numbers(temperature: float, epsilon: float) -> tuple[float, float]:
    if not temperature > 0.0:
        raise InputError(f"temperature must be positive, got {temperature}")
    if not 0.0 <= epsilon < 1.0:
        raise InputError(f"epsilon must be in [0, 1), got {epsilon}")
    return float(temperature), float(epsilon)
