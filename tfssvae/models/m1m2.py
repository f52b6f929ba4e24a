"""M1+M2: M2 on the code of M1 (Kingma, Rezende, Mohamed and Welling, 2014, section 3.1).

    generative model   p(x, z1, y, z2) = p(x|z1) p(z1|y, z2) p(y) p(z2)
    inference model    q(z1, y, z2|x) = q(z1|x) q(y|z1) q(z2|z1, y)

M1 is trained first, as a VAE with p(z1) = N(0, I); M2 then takes its code for data. In training y
is told from a draw of z1, afterwards from its mean. The two are one model of the image, whose bound
is E log p(x|z1) + H(q(z1|x)) + E U(z1), U being M2's.
"""

from collections.abc import Sequence
from typing import ClassVar

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import layers, losses, networks
from tfssvae.batch import Batch
from tfssvae.core import Terms
from tfssvae.models.exact import (
    check_blocks,
    checked_class_block,
    class_monitors,
    code_of_images,
    draw_classes,
    exact_terms,
    paper_alpha,
    part_names,
)
from tfssvae.models.vae import Autoencoder
from tfssvae.noise import Noise
from tfssvae.schedules import linear_ramp
from tfssvae.weights import Weight


@keras.saving.register_keras_serializable("tfssvae")
class M1M2(Autoencoder):
    """Stacked generative semi-supervised model: a VAE, and M2 on its code, in one object.

    No gradient goes from M2 to the VAE, so that the code is that of M1 whenever the two are
    trained. `recommended_weights` trains them one after the other, as published; with weights of 1
    both learn throughout, M2 following a code that still moves.

    Args:
        input_shape: shape of one image, such as (28, 28, 1), or (features,).
        num_classes: K.
        latent_dim: size of z1, M1's code, which `encode` gives.
        style_dim: size of z2, M2's code of that code.
        hidden: units of the hidden layers of M1's default networks.
        style_hidden: units of the hidden layers of M2's default networks.
        encoder: network from x to features, for q(z1|x).
        decoder: network from z1 to the likelihood's parameters, one per pixel.
        style_encoder: network from [z1, one-hot y] to features, for q(z2|z1, y).
        style_decoder: network from [one-hot y, z2] to features, for p(z1|y, z2), a Gaussian.
        classifier: network from z1 to K logits.
        likelihood: "bernoulli", "gaussian" or a layer (see `layers.get_likelihood`).
        class_block: classes whose pairs with the unlabelled images are held in memory at a time
            in a step (see `layers.over_classes`); None holds all, as `encode` and its like do.
        **kwargs: of `SemiSupervisedVAE`: class_prior, weights, regularizers, seed, name, dtype.

    References:
        Kingma et al., "Semi-supervised learning with deep generative models", NeurIPS 2014.
    """

    TERMS: ClassVar[dict[str, str]] = {
        "m1_reconstruction": "-E log p(x|z1)",
        "m1_kl_z": "KL(q(z1|x) || N(0, I))",
        **part_names({"reconstruction": "-E log p(z1|y,z2)", "kl_z": "E KL(q(z2|z1,y) || p(z2))"}),
    }

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        latent_dim: int = 50,
        style_dim: int = 50,
        hidden: Sequence[int] = (600, 600),
        style_hidden: Sequence[int] = (500,),
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        style_encoder: keras.Model | None = None,
        style_decoder: keras.Model | None = None,
        classifier: keras.Model | None = None,
        likelihood="bernoulli",
        class_block: int | None = None,
        **kwargs,
    ):
        super().__init__(
            input_shape, num_classes, latent_dim, hidden, encoder, decoder, likelihood, **kwargs
        )
        self.style_dim, self.style_hidden = int(style_dim), tuple(style_hidden)
        self.class_block = checked_class_block(class_block)
        options = {"dtype": self.dtype_policy, "seed": self.seed + 1}
        z1, y, z2 = (self.latent_dim,), (self.num_classes,), (self.style_dim,)
        self.style_encoder = style_encoder or networks.conditional_mlp(
            [z1, y], self.style_hidden, name="style_encoder", **options
        )
        self.style_decoder = style_decoder or networks.conditional_mlp(
            [y, z2], self.style_hidden, name="style_decoder", **options
        )
        self.classifier = classifier or networks.mlp(
            z1, self.style_hidden[:1], self.num_classes, name="classifier", **options
        )
        self.head_z2 = layers.GaussianHead(self.style_dim, self.seed, name="head_z2")
        self.head_z1 = layers.GaussianHead(self.latent_dim, self.seed, name="head_z1")
        self.style_prior = layers.StandardNormalPrior(self.style_dim)
        self.finish()
        check_blocks(self)

    @classmethod
    def paper_weights(cls, num_labelled: int, num_unlabelled: int) -> dict[str, Weight]:
        """Return alpha = 0.1 N / N_labelled of the classification term."""
        return {"classification": paper_alpha(num_labelled, num_unlabelled)}

    @classmethod
    def recommended_weights(
        cls, num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int
    ) -> dict[str, Weight]:
        """Return weights that train M1 in the first half of the run and M2 in the second.

        KL(q(z1|x) || N(0, I)) weighs pixels / 640, at most 0.3: with its full weight the code keeps
        too little of the image for the classes to be read off it.

        Args:
            num_labelled: labelled examples of the data set, possibly none.
            num_unlabelled: unlabelled examples of the data set.
            num_pixels: values of one example.
            steps: optimizer steps of the whole run.
        """
        switch = max(1, steps // 2)
        alpha = paper_alpha(num_labelled, num_unlabelled) if num_labelled else 1.0
        phase = keras.optimizers.schedules.PiecewiseConstantDecay
        # To 0 by and by: after a sudden end Adam's momentum would go on moving M1.
        return {
            "*labelled_*": phase([switch], [0.0, 1.0]),
            "m1_reconstruction": linear_ramp(0.0, switch, 1.0),
            "m1_kl_z": linear_ramp(0.0, switch, min(0.3, num_pixels / 640)),
            "classification": phase([switch], [0.0, alpha]),
        }

    # The model's densities ---------------------------------------------------------------------

    def posterior_z2(self, z1, y, expand=None, training=False) -> tfd.Distribution:
        """Return q(z2|z1, y) for the rows of y (rows, K); `expand` repeats rows of z1 to them."""
        features = networks.call_network(self.style_encoder, [z1, y], [expand, None], training)
        return layers.gaussian(*self.head_z2(features))

    def code(self, y, z2, training=False) -> tfd.Distribution:
        """Return p(z1|y, z2)."""
        features = networks.call_network(self.style_decoder, [y, z2], training=training)
        return layers.gaussian(*self.head_z1(features))

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return tf.cast(self.classifier(self.posterior_z(x).mean(), training=training), tf.float32)

    # The objective -----------------------------------------------------------------------------

    def terms(self, batch: Batch, training: bool) -> Terms:
        """Return the terms of M1's bound on x, and those of M2's on z1."""
        q_z1 = self.posterior_z(batch.images, training)
        noise = batch.normal(self.latent_dim)[:, None]
        z1, log_p_x, _ = self.draw(batch.images, q_z1, noise, training)
        z1 = tf.stop_gradient(z1)

        # Labels are few: codes drawn anew in every step are many.
        code = z1 if training else tf.stop_gradient(q_z1.mean())
        logits = tf.cast(self.classifier(code, training=training), tf.float32)
        noise = batch.normal(self.style_dim)

        def of_pairs(pairs):
            q_z2 = self.posterior_z2(z1, pairs.y, pairs.expand, training)
            z2 = layers.reparameterize(q_z2, pairs.expand(noise))
            p_z1 = self.code(pairs.y, z2, training)
            parts = {
                "reconstruction": -p_z1.log_prob(pairs.expand(z1)),
                "kl_z": tfd.kl_divergence(q_z2, self.style_prior.distribution()),
            }
            return parts, q_z2

        pairs = layers.Pairs(batch.labels, batch.num_unlabelled, self.num_classes)
        parts, q_z2 = layers.over_classes(of_pairs, pairs, self.class_block)
        m2 = exact_terms(batch, pairs, logits, self.log_class_prior(), parts)

        stacked = log_p_x[:, 0] - q_z1.log_prob(z1)
        bounds = {}
        for side, rows in zip(
            ("labelled", "unlabelled"), pairs.split_examples(stacked), strict=True
        ):
            lost = [value for name, value in m2.items() if name.startswith(f"{side}_")]
            bounds[f"{side}_bound"] = rows - losses.add_terms(lost)
        return Terms(
            values={
                "m1_reconstruction": -log_p_x[:, 0],
                "m1_kl_z": tfd.kl_divergence(q_z1, self.prior.distribution()),
                **m2,
            },
            logits=logits,
            monitors={**bounds, **class_monitors(pairs.split_examples(logits)[1])},
            latents={"z": q_z1, "z2": code_of_images(pairs, q_z2, logits)},
        )

    # What a trained model gives beside M1's views ------------------------------------------------

    def sample_images(self, labels, noise: Noise):
        """Return E[x|z1] with z2 and z1 drawn from the model."""
        rows, y = tf.shape(labels)[0], tf.one_hot(labels, self.num_classes)
        p_z1 = self.code(y, noise.normal((rows, self.style_dim)))
        z1 = layers.reparameterize(p_z1, noise.normal((rows, self.latent_dim)))
        return self.likelihood.mean(self.decode(z1))

    def log_weights(self, x, num_samples: int, noise: Noise):
        """Return log p(x, z1, y, z2) - log q(z1, y, z2|x) of samples: (batch, num_samples)."""
        rows = tf.shape(x)[0]
        draws = noise.normal((rows, num_samples, self.latent_dim))
        z1, log_p_x, log_ratio = self.draw(x, self.posterior_z(x), draws)
        labels, y, log_q_y = draw_classes(self.predict_logits(x), num_samples, noise)
        q_z2 = self.posterior_z2(z1, y)
        z2 = layers.reparameterize(q_z2, noise.normal((rows * num_samples, self.style_dim)))
        log_p_z1 = (
            self.code(y, z2).log_prob(z1)
            + tf.gather(self.log_class_prior(), labels)
            + self.style_prior.distribution().log_prob(z2)
            - log_q_y
            - q_z2.log_prob(z2)
        )
        # M1's ratio holds its own prior of z1, which M2's joint replaces.
        log_p_z1 -= self.prior.distribution().log_prob(z1)
        return log_p_x - log_ratio + tf.reshape(log_p_z1, [rows, num_samples])
