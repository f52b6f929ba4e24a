"""CaGeM: cluster-aware generative models (Maaloe, Fraccaro and Winther, 2017).

    generative model   p(x, y, z1, z2) = p(x|y, z1) p(z1|y, z2) p(y|z2) p(z2)
    inference model    q(y, z1, z2|x) = q(z2|x, y, z1) q(y|z1, x) q(z1|x)
    objective          I = sum over unlabelled x of F(x)
                           - alpha sum over labelled (x, y) of H_p + H_q        (section 4)

y is a cluster that depends on the top code z2 alone, so that z2 has to say something about the
image. Labels, where there are any, only say which examples share a cluster: they train p(y|z2) and
q(y|z1, x), and nothing else.
"""

import itertools
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.checks import InputError
from tfssvae.core import FIXED_STEP, SemiSupervisedVAE, Terms
from tfssvae.models.exact import (
    check_blocks,
    checked_class_block,
    class_monitors,
    code_of_images,
    draw_classes,
    every_class,
    paper_alpha,
    sample_classes,
)
from tfssvae.noise import Noise
from tfssvae.schedules import linear_ramp
from tfssvae.weights import Weight

# Labelled rows are normalised by running averages: with Keras's 0.99 these lag so far behind the
# weights that labels train other functions than the unlabelled rows see. 0.9 is that of Lasagne,
# which the paper used.
_MOMENTUM = 0.9
_CANDIDATES = 100  # draws of z2, of which one is kept for the wanted class


class Lower(NamedTuple):
    """The inference model up to the class, with one draw of z1 in each row.

    Attributes:
        q_z1: q(z1|x), (rows,).
        z1: (rows, d1).
        logits: of q(y|z1, x), (rows, K).
    """

    q_z1: tfd.Distribution
    z1: tf.Tensor
    logits: tf.Tensor


@keras.saving.register_keras_serializable("tfssvae")
class CaGeM(SemiSupervisedVAE):
    """Cluster-aware generative model, exact over y; K clusters without any label is CaGeM-0.

    Statistics of batch normalisation come from unlabelled images only, as in the paper: labelled
    rows pass in inference mode, normalised by the running averages, which they do not move.
    Statistics of the unlabelled rows of the batch would not do: through them a label would reach
    the distributions over z1 and z2.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K, the number of clusters; that of the classes where labels are used.
        latent_dims: sizes of z1 (next to the image) and z2.
        hidden: units of the hidden layers of each default network.
        encoder: network from x to features, for q(z1|x).
        classifier: network from [x, z1] to K logits, for q(y|z1, x).
        top_encoder: network from [x, z1, one-hot y] to features, for q(z2|x, y, z1); from
            [z1, one-hot y] without the skip connection.
        top_classifier: network from z2 to K logits, for p(y|z2).
        top_decoder: network from [z2, one-hot y] to features, for p(z1|y, z2).
        decoder: network from [z1, one-hot y] to the likelihood's parameters, one per pixel.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        skip_connection: whether q(z2|x, y, z1) sees x itself.
        batch_norm: whether hidden layers of the default networks are normalised over the batch.
        predict_with: "p", p(y|x) of the generative model, as in the paper; or "q", q(y|x) of the
            inference model, which learns sooner.
        predict_samples: draws of z1 (and z2) over which `predict` averages.
        class_block: classes whose pairs with the images are held in memory at a time in a step (see
            `layers.over_classes`); None holds all, as `encode`, `predict` and their like do.
        **kwargs: of `SemiSupervisedVAE`: weights, regularizers, seed, name, dtype. p(y|z2) takes
            the place of `class_prior`, which plays no part.

    References:
        Maaloe, Fraccaro and Winther, "Semi-supervised generation with cluster-aware generative
        models", 2017. Only eq. 1 has a number there; sections are named instead.
    """

    EQUATIONS: ClassVar[str] = "Maaloe, Fraccaro and Winther (CaGeM), 2017"
    TERMS: ClassVar[dict[str, str]] = {
        "unlabelled_reconstruction": "-E log p(x|y,z1), section 3.1",
        "unlabelled_kl_z1": "E log q(z1|x) - log p(z1|y,z2), one sample, section 3.1",
        "unlabelled_kl_z2": "E KL(q(z2|x,y,z1) || p(z2)), section 3.1",
        "unlabelled_kl_y": "E log q(y|z1,x) - log p(y|z2), section 3.1",
        "classification": "H_q, -log q(y|x) of the labelled images, section 4",
        "classification_p": "H_p, -log p(y|x) of the labelled images, section 4",
    }

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dims: Sequence[int] = (64, 32),
        hidden: Sequence[int] = (1024, 512),
        encoder: keras.Model | None = None,
        classifier: keras.Model | None = None,
        top_encoder: keras.Model | None = None,
        top_classifier: keras.Model | None = None,
        top_decoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        likelihood="bernoulli",
        skip_connection: bool = True,
        batch_norm: bool = True,
        predict_with: str = "p",
        predict_samples: int = 10,
        class_block: int | None = None,
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.latent_dims, self.hidden = tuple(latent_dims), tuple(hidden)
        if len(self.latent_dims) != 2:
            raise InputError(f"latent_dims must be the sizes of z1 and z2, got {latent_dims}")
        if predict_samples < 1:
            raise InputError(f"predict_samples must be at least 1, got {predict_samples}")
        self.skip_connection, self.batch_norm = bool(skip_connection), bool(batch_norm)
        if predict_with not in ("p", "q"):
            raise InputError(f'predict_with must be "p" or "q", got {predict_with!r}')
        self.predict_with, self.predict_samples = predict_with, int(predict_samples)
        self.class_block = checked_class_block(class_block)
        x, y = self.example_shape, (self.num_classes,)
        z1, z2 = ((size,) for size in self.latent_dims)
        seeds = itertools.count(self.seed, 7919)

        def network(name, inputs, outputs=None):
            build = networks.mlp if isinstance(inputs, tuple) else networks.conditional_mlp
            return build(
                inputs,
                self.hidden,
                outputs,
                seed=next(seeds),
                dtype=self.dtype_policy,
                name=name,
                batch_norm=self.batch_norm,
                momentum=_MOMENTUM,
            )

        below_z2 = [x, z1, y] if self.skip_connection else [z1, y]
        self.encoder = encoder or network("encoder", x)
        self.classifier = classifier or network("classifier", [x, z1], self.num_classes)
        self.top_encoder = top_encoder or network("top_encoder", below_z2)
        self.top_classifier = top_classifier or network("top_classifier", z2, self.num_classes)
        self.top_decoder = top_decoder or network("top_decoder", [z2, y])
        self.decoder = decoder or network("decoder", [z1, y], self.num_pixels)
        self.posterior_head_z1 = layers.GaussianHead(self.latent_dims[0], next(seeds))
        self.posterior_head_z2 = layers.GaussianHead(self.latent_dims[1], next(seeds))
        self.head_z1 = layers.GaussianHead(self.latent_dims[0], next(seeds))
        self.likelihood = layers.get_likelihood(likelihood)
        self.prior = layers.StandardNormalPrior(self.latent_dims[1])
        self.finish()
        check_blocks(self)

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return alpha = beta (N_u + N_l) / N_l of both cross-entropies, section 4.

        The paper does not say its beta: it is 0.1 as in the papers that it follows.
        """
        return {"classification*": paper_alpha(num_labelled, num_unlabelled)}

    @classmethod
    def recommended_weights(
        cls, num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int
    ) -> dict[str, Weight]:
        """Return the paper's alpha, at least 10, and its temperature of the codes' divergences.

        Where labels are a good part of the data the paper's alpha lets the bound overrule them. The
        paper's temperature goes from 0 to 1 in 100 epochs, of a number that it does not say; here
        in a fifth of the run.
        """
        weights: dict[str, Weight] = {"*_kl_z*": linear_ramp(1.0, max(1, steps // 5))}
        if num_labelled:
            weights["classification*"] = max(10.0, paper_alpha(num_labelled, num_unlabelled))
        return weights

    # The generative model, section 3 -----------------------------------------------------------

    def class_logits(self, z2, training=False) -> tf.Tensor:
        """Return the logits of p(y|z2), (rows, K)."""
        return tf.cast(self.top_classifier(z2, training=training), tf.float32)

    def prior_z1(self, y, z2, training=False) -> tfd.Distribution:
        """Return p(z1|y, z2)."""
        features = networks.call_network(self.top_decoder, [z2, y], training=training)
        return layers.gaussian(*self.head_z1(features))

    def decode(self, y, z1, expand=None, training=False) -> tf.Tensor:
        """Return the parameters of p(x|y, z1), (rows of y, *input_shape).

        `expand` repeats rows of z1 to those of y.
        """
        outputs = networks.call_network(self.decoder, [z1, y], [expand, None], training)
        return tf.reshape(tf.cast(outputs, tf.float32), [-1, *self.example_shape])

    # The inference model, section 3.1 ----------------------------------------------------------

    def posterior_z1(self, x, expand=None, training=False) -> tfd.Distribution:
        """Return q(z1|x), its rows repeated by `expand`."""
        parameters = self.posterior_head_z1(self.encoder(x, training=training))
        return layers.gaussian(*(expand(value) if expand else value for value in parameters))

    def classify(self, x, z1, expand=None, training=False) -> tf.Tensor:
        """Return the logits of q(y|z1, x), (rows of z1, K); `expand` repeats rows of x to them."""
        outputs = networks.call_network(self.classifier, [x, z1], [expand, None], training)
        return tf.cast(outputs, tf.float32)

    def posterior_z2(self, x, y, z1, expand_x=None, expand_z1=None, training=False):
        """Return q(z2|x, y, z1) for the rows of y (rows, K)."""
        inputs, repeats = [x, z1, y], [expand_x, expand_z1, None]
        if not self.skip_connection:
            inputs, repeats = inputs[1:], repeats[1:]
        features = networks.call_network(self.top_encoder, inputs, repeats, training)
        return layers.gaussian(*self.posterior_head_z2(features))

    def infer_z1(self, x, noise, samples: int = 1, constant: bool = False, training: bool = False):
        """Return q(z1|x), a draw from it and q(y|z1, x), as `Lower`.

        Args:
            x: (batch, *input_shape) images.
            noise: (batch * samples, d1) standard normal draws.
            samples: draws of z1 per image.
            constant: let no gradient pass through z1.
            training: whether the statistics of the batch are used, and collected.
        """

        def expand(values):
            return layers.repeat_rows(values, samples)

        q_z1 = self.posterior_z1(x, expand, training)
        z1 = layers.reparameterize(q_z1, noise)
        if constant:
            z1 = tf.stop_gradient(z1)
        return Lower(q_z1, z1, self.classify(x, z1, expand, training))

    def infer_z2(self, x, z1, pairs, noise, samples: int = 1, training: bool = False):
        """Return q(z2|x, y, z1) of each pair, (rows of pairs,), and a draw from it.

        Args:
            x: (batch, *input_shape) images.
            z1: (batch * samples, d1).
            pairs: of the rows of z1 with classes.
            noise: (batch * samples, d2) standard normal draws, shared by the classes, so that they
                are compared fairly.
            samples: draws of z1 per image.
            training: whether the statistics of the batch are used, and collected.
        """

        def expand_x(values):
            return pairs.expand(layers.repeat_rows(values, samples))

        q_z2 = self.posterior_z2(x, pairs.y, z1, expand_x, pairs.expand, training)
        return q_z2, layers.reparameterize(q_z2, pairs.expand(noise))

    # The two classifiers, section 4 ------------------------------------------------------------

    def log_p_y(self, logits, class_logits) -> tf.Tensor:
        """Return log p(y|x) of each draw of z1, (rows, K).

        p(y|x) = sum over y~ of q(y~|z1, x) p(y|z2(y~)), z2(y~) drawn from q(z2|x, y~, z1).

        Args:
            logits: (rows, K) of q(y~|z1, x).
            class_logits: (rows * K, K) of p(y|z2(y~)).
        """
        log_p = tf.nn.log_softmax(class_logits)
        log_p = tf.reshape(log_p, [-1, self.num_classes, self.num_classes])
        return tf.reduce_logsumexp(tf.nn.log_softmax(logits)[..., None] + log_p, axis=1)

    def predict_logits(self, x, training=False):
        """Return log p(y|x) over fixed draws, the same for every image: (batch, K).

        Or log q(y|x), if `predict_with` is "q".
        """
        rows, samples = tf.shape(x)[0], self.predict_samples
        fixed = Noise(self.seed, FIXED_STEP)
        noise = [tf.tile(fixed.normal((samples, d)), [rows, 1]) for d in self.latent_dims]
        seen = self.infer_z1(x, noise[0], samples, training=training)
        if self.predict_with == "p":
            pairs = every_class(seen.z1, self.num_classes)
            z2 = self.infer_z2(x, seen.z1, pairs, noise[1], samples, training)[1]
            log_p = self.log_p_y(seen.logits, self.class_logits(z2, training))
        else:
            log_p = tf.nn.log_softmax(seen.logits)
        return tf.reduce_logsumexp(tf.reshape(log_p, [rows, samples, self.num_classes]), axis=1)

    # The objective, sections 3.1 and 4 ---------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of -I: the bound F on unlabelled images, and H_q and H_p."""
        labelled = batch.num_labelled
        x_l, x_u = batch.images[:labelled], batch.images[labelled:]
        noise = [batch.normal(size) for size in self.latent_dims]
        noise_l, noise_u = [n[:labelled] for n in noise], [n[labelled:] for n in noise]
        # No rows have no statistics; of how many a ragged batch has, the graph knows nothing.
        empty = isinstance(batch.num_unlabelled, int) and batch.num_unlabelled == 0
        collects = training and not empty
        unlabelled, code_u, parts = self._bound(x_u, noise_u, collects)
        # After the unlabelled rows, and in inference mode: labels leave the statistics alone.
        known, code_l, log_p_y = self._classes(x_l, noise_l)
        values = {
            **{f"unlabelled_{name}": value for name, value in parts.items()},
            "classification": -losses.categorical_log_prob(batch.labels, known.logits),
            "classification_p": -losses.categorical_log_prob(batch.labels, log_p_y),
        }
        codes = [[known.q_z1, unlabelled.q_z1], [code_l, code_u]]
        return Terms(
            values=values,
            logits=tf.concat([known.logits, unlabelled.logits], axis=0),
            monitors=class_monitors(unlabelled.logits),
            latents={f"z{level}": _joined(code) for level, code in enumerate(codes, 1)},
        )

    def _bound(self, x, noise, training) -> tuple[Lower, tfd.Distribution, dict[str, tf.Tensor]]:
        """Return what is inferred of z1, q(z2|x), and the parts of -F, exact over y: (rows,)."""
        q_z1, z1, logits = seen = self.infer_z1(x, noise[0], training=training)
        log_q_z1 = q_z1.log_prob(z1)

        def of_pairs(pairs):
            q_z2, z2 = self.infer_z2(x, z1, pairs, noise[1], training=training)
            p_z1 = self.prior_z1(pairs.y, z2, training)
            outputs = self.decode(pairs.y, z1, pairs.expand, training)
            log_p_y = losses.categorical_log_prob(
                tf.argmax(pairs.y, axis=-1), self.class_logits(z2, training)
            )
            parts = {
                "reconstruction": -self.likelihood.log_prob(pairs.expand(x), outputs),
                # No closed form: z2 depends on z1.
                "kl_z1": pairs.expand(log_q_z1) - p_z1.log_prob(pairs.expand(z1)),
                "kl_z2": tfd.kl_divergence(q_z2, self.prior.distribution()),
                "log_p_y": log_p_y,
            }
            return parts, q_z2

        pairs = every_class(x, self.num_classes)
        parts, q_z2 = layers.over_classes(of_pairs, pairs, self.class_block)
        log_q_y = tf.reshape(tf.nn.log_softmax(logits), [-1])
        parts["kl_y"] = log_q_y - parts.pop("log_p_y")
        return (
            seen,
            code_of_images(pairs, q_z2, logits),
            {
                name: losses.marginalize(pairs.split(value)[1], logits)
                for name, value in parts.items()
            },
        )

    def _classes(self, x, noise) -> tuple[Lower, tfd.Distribution, tf.Tensor]:
        """Return what is inferred of z1, q(z2|x) and log p(y|x), in inference mode: (rows,)."""
        seen = self.infer_z1(x, noise[0], constant=True)

        def of_pairs(pairs):
            q_z2, z2 = self.infer_z2(x, seen.z1, pairs, noise[1])
            return q_z2, self.class_logits(tf.stop_gradient(z2))

        pairs = every_class(x, self.num_classes)
        q_z2, class_logits = layers.over_classes(of_pairs, pairs, self.class_block)
        code = code_of_images(pairs, q_z2, seen.logits)
        return seen, code, self.log_p_y(seen.logits, class_logits)

    # What a trained model gives ----------------------------------------------------------------

    def posterior_mean(self, x):
        """Return the means of z1 and z2 side by side: z2 exact over y, given the mean of z1."""
        noise = [tf.zeros((tf.shape(x)[0], size)) for size in self.latent_dims]
        seen = self.infer_z1(x, noise[0])
        pairs = every_class(x, self.num_classes)
        means = self.infer_z2(x, seen.z1, pairs, noise[1])[0].mean()
        code = losses.marginalize(pairs.split(means)[1], seen.logits)
        return tf.concat([seen.z1, code], axis=-1)

    def expected_image(self, x):
        """Return the reconstruction: exact over y, z1 at its mean."""
        z1 = self.posterior_z1(x).mean()
        pairs = every_class(x, self.num_classes)
        images = self.likelihood.mean(self.decode(pairs.y, z1, pairs.expand))
        return losses.marginalize(pairs.split(images)[1], self.classify(x, z1))

    def sample_images(self, labels, noise: Noise):
        """Return E[x|y, z1] with z2 drawn from p(z2|y) and z1 from p(z1|y, z2).

        p(z2|y) is proportional to p(y|z2) p(z2): one of 100 draws from p(z2) is taken with
        probability p(y|z2). The paper fixes y beside any z2, also where p(y|z2) is next to 0.
        """
        rows, size = tf.shape(labels)[0], self.latent_dims[1]
        candidates = noise.normal((rows, _CANDIDATES, size))
        logits = self.class_logits(tf.reshape(candidates, [-1, size]))
        log_p = losses.categorical_log_prob(layers.repeat_rows(labels, _CANDIDATES), logits)
        scores = tf.reshape(log_p, [rows, _CANDIDATES]) + noise.gumbel((rows, _CANDIDATES))
        z2 = tf.gather(candidates, tf.argmax(scores, axis=-1), batch_dims=1)
        return self.images_of_codes(z2, labels, noise)

    def images_of_codes(self, z2, labels, noise: Noise):
        """Return E[x|y, z1] with z1 drawn from p(z1|y, z2): class-conditional samples, Figure 3.

        Args:
            z2: (rows, d2).
            labels: (rows,) classes, or None to draw them from p(y|z2).
            noise: random numbers.
        """
        if labels is None:
            labels = sample_classes(self.class_logits(z2), 1, noise)
        y = tf.one_hot(labels, self.num_classes)
        draws = noise.normal((tf.shape(z2)[0], self.latent_dims[0]))
        z1 = layers.reparameterize(self.prior_z1(y, z2), draws)
        return self.likelihood.mean(self.decode(y, z1))

    def log_weights(self, x, num_samples: int, noise: Noise):
        """Return log p(x, y, z1, z2) - log q(y, z1, z2|x) of samples: (batch, num_samples)."""
        rows = tf.shape(x)[0]
        draws = [noise.normal((rows * num_samples, size)) for size in self.latent_dims]

        def expand(values):
            return layers.repeat_rows(values, num_samples)

        q_z1 = self.posterior_z1(x, expand)
        z1 = layers.reparameterize(q_z1, draws[0])
        labels, y, log_q_y = draw_classes(self.classify(x, z1, expand), 1, noise)
        q_z2 = self.posterior_z2(x, y, z1, expand)
        z2 = layers.reparameterize(q_z2, draws[1])
        log_joint = (
            self.likelihood.log_prob(expand(x), self.decode(y, z1))
            + self.prior_z1(y, z2).log_prob(z1)
            + losses.categorical_log_prob(labels, self.class_logits(z2))
            + self.prior.distribution().log_prob(z2)
        )
        log_posterior = q_z1.log_prob(z1) + log_q_y + q_z2.log_prob(z2)
        return tf.reshape(log_joint - log_posterior, [rows, num_samples])


def _joined(codes: Sequence[tfd.Distribution]) -> tfd.Distribution:
    """Return the Gaussians of several sets of rows as one."""
    log_var = [2.0 * tf.math.log(code.stddev()) for code in codes]
    return layers.gaussian(
        tf.concat([code.mean() for code in codes], axis=0), tf.concat(log_var, axis=0)
    )
