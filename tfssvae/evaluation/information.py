"""What a classifier says of a whole data part: its entropy, its information, and the bound.

Hasan Khan et al., "MIER": raising the unlabelled bound lowers I(y; x) and raises H(q(y|x)).
"""

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfssvae import losses
from tfssvae.batch import make_batch
from tfssvae.checks import InputError, check_images, check_probabilities
from tfssvae.core import FIXED_STEP
from tfssvae.noise import Noise


def class_entropy(probs) -> tf.Tensor:
    """Entropy H(q(y|x)) of each example.

    Args:
        probs: (n, K) class probabilities.

    Returns:
        (n,) float32 nats, from 0 (sure) to log K (no idea).

    Raises:
        InputError: probs are not probabilities.

    >>> class_entropy([[0.5, 0.5]]).numpy()  # log 2
    array([0.6931472], dtype=float32)
    """
    return losses.entropy(_log(probs))


def class_information(probs) -> tf.Tensor:
    """Mutual information I(y; x) between class and example, H(mean q) - mean H(q) (MIER, eq. 8).

    Args:
        probs: (n, K) class probabilities of a whole data part: the fewer rows, the more the value
            falls short, by about (K - 1) / (2 n) nats.

    Returns:
        A float32 scalar in nats, from 0 to log K.

    Raises:
        InputError: probs are not probabilities.

    >>> float(class_information([[1.0, 0.0], [0.0, 1.0]]))  # log 2
    0.6931471824645996
    """
    return losses.mutual_information(_log(probs))


def unlabelled_bound(model, x: ArrayLike, batch_size: int = 500) -> NDArray[np.float32]:
    """Evidence lower bound of each example without its label, U(x) (MIER, eq. 2).

    No weight and no regularizer enters. Latent codes are drawn once per example, with the noise of
    every evaluation: the mean is `monitor/unlabelled_bound` of `model.evaluate`.

    Args:
        model: a `SemiSupervisedVAE`.
        x: (n, *input_shape) uint8, or float in [0, 1].
        batch_size: examples at a time; memory grows with batch_size * K.

    Returns:
        (n,) float32 nats.

    Raises:
        InputError: x does not fit the model, or the method has no bound on unlabelled examples.
    """
    x = check_images(x, shape=model.example_shape)

    @tf.function(reduce_retracing=True, autograph=False)
    def bound(images):
        noise = Noise(model.seed, FIXED_STEP)
        batch = make_batch(images, model.example_shape, model.num_classes, noise)
        terms = model.terms(batch, training=False)
        if "unlabelled_bound" in terms.monitors:
            return terms.monitors["unlabelled_bound"]
        parts = [value for name, value in terms.values.items() if name.startswith("unlabelled_")]
        if not parts:
            raise InputError(f"{type(model).__name__} has no bound on unlabelled examples.")
        return -losses.add_terms(parts)

    starts = range(0, len(x), batch_size)
    return np.concatenate([bound(tf.constant(x[i : i + batch_size])).numpy() for i in starts])


def information_report(probs, bounds: ArrayLike | None = None) -> dict[str, float]:
    """Return what a run should record of its classifier and bound, ready for JSON.

    Args:
        probs: (n, K) class probabilities of a data part.
        bounds: (n,) nats, see `unlabelled_bound`.

    Returns:
        "entropy": mean of H(q(y|x)); "mutual_information": I(y; x); with bounds also
        "unlabelled_bound" and "unlabelled_bound_std", their mean and standard deviation. Nats.

    Raises:
        InputError: probs are not probabilities.
    """
    report = {
        "entropy": float(np.mean(class_entropy(probs))),
        "mutual_information": float(class_information(probs)),
    }
    if bounds is not None:
        values = np.asarray(bounds, "float64")
        report["unlabelled_bound"] = float(values.mean())
        report["unlabelled_bound_std"] = float(values.std())
    return report


def _log(probs) -> tf.Tensor:
    # A probability of 0 is a logit of -inf, which the losses take.
    return tf.math.log(check_probabilities(probs))
