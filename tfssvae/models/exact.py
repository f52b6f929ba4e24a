"""What the methods that sum over every class share: the terms that y adds to a bound."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae import checks, layers, losses
from tfssvae.batch import Batch, make_batch
from tfssvae.core import FIXED_STEP
from tfssvae.layers import Pairs
from tfssvae.noise import Noise
from tfssvae.replicas import of_all_replicas
from tfssvae.schedules import linear_ramp
from tfssvae.weights import Weight

CLASS_TERMS = {
    "labelled_prior_y": "-log p(y)",
    "unlabelled_kl_y": "KL(q(y|x) || p(y))",
    "classification": "-log q(y|x) of the labelled images",
}
"""The terms that `exact_terms` adds to a method's own parts."""


def exact_terms(
    batch: Batch, pairs: Pairs, logits: tf.Tensor, log_p_y: tf.Tensor, parts: dict[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Return the terms of both bounds from their parts given x and y, exact over y.

    -L(x, y) = sum_i part_i(x, y) - log p(y), and
    -U(x) = sum_y q(y|x) sum_i part_i(x, y) + KL(q(y|x) || p(y)) (Kingma et al., 2014, eqs. 6, 7).

    Args:
        batch: the batch.
        pairs: its (example, class) pairs.
        logits: (L + U, K) unnormalised log q(y|x).
        log_p_y: (K,) log p(y).
        parts: name -> (L + U K,) nats, minus a part of the bound for each pair.
    """
    logits_l, logits_u = pairs.split_examples(logits)
    split = {name: pairs.split(value) for name, value in parts.items()}
    prior = tf.broadcast_to(log_p_y, tf.shape(logits_l))
    return {
        **{f"labelled_{name}": labelled for name, (labelled, _) in split.items()},
        "labelled_prior_y": -losses.categorical_log_prob(batch.labels, prior),
        **{
            f"unlabelled_{name}": losses.marginalize(unlabelled, logits_u)
            for name, (_, unlabelled) in split.items()
        },
        "unlabelled_kl_y": losses.kl_categorical(logits_u, log_p_y),
        "classification": -losses.categorical_log_prob(batch.labels, logits_l),
    }


def part_names(parts: dict[str, str]) -> dict[str, str]:
    """Return TERMS of a method exact over y: `parts` (name -> meaning) for both bounds, and y's."""
    both = {
        f"{side}_{name}": meaning
        for side in ("labelled", "unlabelled")
        for name, meaning in parts.items()
    }
    return {**both, **CLASS_TERMS}


def paper_alpha(num_labelled: int, num_unlabelled: int) -> float:
    """Return 0.1 N / N_labelled, the weight of the classification term beside the mean bound.

    The papers write alpha = 0.1 N for a sum over labelled examples; this reading is that of
    published code (60 for 100 labels of MNIST).

    Args:
        num_labelled: labelled examples of the data set, at least 1.
        num_unlabelled: unlabelled examples of the data set.
    """
    return 0.1 * (num_labelled + num_unlabelled) / num_labelled


def recommended_weights(
    num_labelled: int, num_unlabelled: int, num_pixels: int, steps: int, code: str = "*_kl_z"
) -> dict[str, Weight]:
    """Return weights that let the class explain the image before the code does.

    alpha is the paper's, and at least 10: where labels are a good part of the data the paper's
    falls to 1 and lets the bound overrule them.

    The more pixels, the more a code is worth: with a weight of 1 from the start it explains
    everything, and the class nothing. While the code is costly the class has to explain the
    image, and unlabelled images teach the classifier. The weight of the code's divergence falls
    from pixels / 100, at most 8, to 1 in the first half of the run; the second half optimises the
    paper's objective.

    Args:
        num_labelled: labelled examples of the data set, possibly none.
        num_unlabelled: unlabelled examples of the data set.
        num_pixels: values of one example.
        steps: optimizer steps of the whole run.
        code: pattern of the names of the code's divergences.
    """
    weights: dict[str, Weight] = {}
    if num_labelled:
        weights["classification"] = max(10.0, paper_alpha(num_labelled, num_unlabelled))
    initial = min(8.0, num_pixels / 100)
    if initial > 1.0:
        weights[code] = linear_ramp(1.0, max(1, steps // 2), initial)
    return weights


def code_of_images(pairs: Pairs, q_z: tfd.Distribution, logits: tf.Tensor) -> tfd.Distribution:
    """Return q(z|x) of each example from q(z|x, y) of each pair: (L + U,) Gaussians over d.

    For an unlabelled example q(z|x) = sum_y q(y|x) q(z|x, y); the Gaussian of the same moments
    stands for it, the closest one in KL(q || .). A labelled example keeps its class.
    """
    logits_u = pairs.split_examples(logits)[1]
    mean_l, means = pairs.split(q_z.mean())
    variance_l, variances = pairs.split(q_z.variance())
    mean = losses.marginalize(means, logits_u)
    spread = tf.math.squared_difference(means, mean[:, None])
    variance = losses.marginalize(variances + spread, logits_u)
    log_var = tf.math.log(tf.concat([variance_l, variance], axis=0))
    return layers.gaussian(tf.concat([mean_l, mean], axis=0), log_var)


def class_monitors(logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return H(q(y|x)) and I(y; x) (MIER, eq. 8) of unlabelled logits (U, K), none without any."""
    if logits.shape[0] == 0:
        return {name: tf.zeros((0,)) for name in ("entropy", "mutual_information")}
    return {
        "entropy": losses.entropy(logits),
        "mutual_information": losses.mutual_information(of_all_replicas(logits))[None],
    }


def sample_classes(logits: tf.Tensor, num_samples: int, noise: Noise) -> tf.Tensor:
    """Draw classes from (rows, K) logits: (rows * num_samples,) int32, row by row."""
    rows, classes = tf.shape(logits)[0], logits.shape[1]
    scores = logits[:, None] + noise.gumbel((rows, num_samples, classes))
    return tf.reshape(tf.argmax(scores, axis=-1, output_type=tf.int32), [-1])


class Drawn(NamedTuple):
    """Classes drawn from q(y|x), several for each image, image by image.

    Attributes:
        labels: (rows,) int32.
        y: (rows, K), the same one-hot.
        log_q: (rows,) log q(y|x) of each.
    """

    labels: tf.Tensor
    y: tf.Tensor
    log_q: tf.Tensor


def draw_classes(logits: tf.Tensor, num_samples: int, noise: Noise) -> Drawn:
    """Return `num_samples` classes for each of (batch, K) logits of q(y|x)."""
    labels = sample_classes(logits, num_samples, noise)
    log_q = losses.categorical_log_prob(labels, layers.repeat_rows(logits, num_samples))
    return Drawn(labels, tf.one_hot(labels, logits.shape[1]), log_q)


def every_class(x: tf.Tensor, num_classes: int) -> Pairs:
    """Return the pairs of unlabelled images x with every class."""
    rows = tf.shape(x)[0] if x.shape[0] is None else x.shape[0]
    return layers.Pairs(tf.zeros((0,), tf.int32), rows, num_classes)


def checked_class_block(class_block) -> int | None:
    """Return `class_block`, None or a number of classes, 1 or more.

    Raises:
        InputError: it is neither.
    """
    return None if class_block is None else checks.check_positive(class_block, "class_block")


def check_blocks(model) -> None:
    """Refuse networks that cannot pass a block of classes twice, as training with blocks does.

    Args:
        model: a finished one, with `class_block`.

    Raises:
        InputError: naming the first that changes a state or draws random numbers, or if one has
            penalties on its activities.
    """
    if model.class_block is None or model.class_block >= model.num_classes:
        return
    blank = np.zeros((2, *model.example_shape), "float32")
    data = ({"labelled": blank[:1], "unlabelled": blank}, np.zeros(1, "int32"))

    def trace():
        noise = Noise(model.seed, FIXED_STEP)
        batch = make_batch(data, model.example_shape, model.num_classes, noise)
        found = list(model.terms(batch, training=True).values.values())
        graph = tf.compat.v1.get_default_graph()
        if any(getattr(penalty, "graph", graph) is not graph for penalty in model.losses):
            raise checks.InputError(
                "class_block keeps nothing of a block but its results: leave it out, or the "
                "penalties on activities (activity_regularizer, add_loss) of networks that see "
                "the class"
            )
        return found

    tf.function(trace, autograph=False).get_concrete_function()


def posterior_of_draws(model, x: tf.Tensor, labels: tf.Tensor, num_samples: int):
    """Return q(z|x, y) of drawn classes, (rows,): of each class once where draws are more.

    Args:
        model: has `posterior_z(x, y, expand)` and `num_classes`.
        x: (batch, *input_shape) images.
        labels: (batch * num_samples,) int32, image by image.
        num_samples: draws for each image.
    """
    if num_samples < model.num_classes:
        y = tf.one_hot(labels, model.num_classes)
        return model.posterior_z(x, y, lambda values: layers.repeat_rows(values, num_samples))
    pairs = every_class(x, model.num_classes)
    codes = model.posterior_z(x, pairs.y, pairs.expand)
    return codes_of_classes(codes, labels, model.num_classes)


def codes_of_classes(codes: tfd.Distribution, labels: tf.Tensor, num_classes: int):
    """Return q(z|x, y) of drawn classes, computed once for each class and not for each draw.

    Args:
        codes: a Gaussian q(z|x, y) for every pair of `every_class`, (batch K, d).
        labels: (rows,) int32, as many for each image, image by image.
        num_classes: K.

    Returns:
        Independent normals, (rows, d).
    """
    rows, images = tf.shape(labels)[0], tf.shape(codes.mean())[0] // num_classes
    pair = tf.range(rows) // (rows // images) * num_classes + labels
    mean, stddev = (tf.gather(values, pair) for values in (codes.mean(), codes.stddev()))
    return tfd.Independent(tfd.Normal(mean, stddev), 1)
