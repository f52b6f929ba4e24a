"""What the units of a latent space say: V-nat, activated subspaces, divergence from the prior.

EXoN (An, Choi and Jeon, 2022), sections 3.4 and 4.2 and appendices A.2 and A.3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfssvae import losses
from tfssvae.checks import InputError, check_images, check_labels, check_same_length
from tfssvae.layers import scale_images

_BATCH = 500  # codes decoded at a time
_MARGIN = 3.0  # standard deviations of the prior that a picture of it shows around its centres
_DELTA = 1.0  # V-nat above which a unit is activated (section 4.2)


class Components(NamedTuple):
    """q(y, z|x) of images: class probabilities (n, K), means and variances (n, K, d) of z."""

    probs: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


def posterior_components(model, x: ArrayLike, batch_size: int = 500) -> Components:
    """Return the mixture q(z|x) of each image (EXoN, eq. 4).

    Args:
        model: an `EXoN`, or a model with its methods `components` and `predict_logits`.
        x: (n, *input_shape) uint8, or float in [0, 1].
        batch_size: images at a time.

    Raises:
        InputError: the model has no components, or x does not fit it.
    """
    check_mixture(model)
    x = check_images(x, shape=model.example_shape)

    def infer(images):
        scaled = scale_images(tf.constant(images))
        mean, log_var = model.components(scaled)
        return tf.nn.softmax(model.predict_logits(scaled)), mean, tf.exp(log_var)

    starts = range(0, len(x), batch_size)
    found = [infer(x[start : start + batch_size]) for start in starts]
    return Components(
        *(np.concatenate([part.numpy() for part in parts]) for parts in zip(*found, strict=True))
    )


def v_nat(posterior_variance: ArrayLike, prior_variance: ArrayLike) -> NDArray[np.float64]:
    """V-nat of each unit: log E[Var(z_j) / Var(z_j|x)] (EXoN, section 3.4).

    0 where the posterior is the prior; the larger, the more exactly images decide the unit.

    Args:
        posterior_variance: (n, d) variances of q(z|x), of the images of one class.
        prior_variance: (d,) variances of the prior's component of that class.

    Returns:
        (d,) nats.

    Raises:
        InputError: the shapes do not fit, or a variance is not positive.

    >>> v_nat([[0.5, 1.0], [0.25, 1.0]], [1.0, 1.0]).round(4).tolist()  # log 3 and log 1
    [1.0986, 0.0]
    """
    posterior = np.asarray(posterior_variance, "float64")
    prior = np.asarray(prior_variance, "float64")
    if posterior.ndim != 2 or posterior.size == 0 or prior.shape != posterior.shape[1:]:
        raise InputError(
            "posterior_variance must have shape (n, d) and prior_variance (d,), got "
            f"{posterior.shape} and {prior.shape}."
        )
    if not ((posterior > 0).all() and (prior > 0).all()):
        raise InputError("variances must be positive.")
    return np.log(np.mean(prior / posterior, axis=0))


def class_v_nat(model, x: ArrayLike, y: ArrayLike, batch_size: int = 500) -> NDArray[np.float64]:
    """V-nat of each class and unit, from the images of the class (EXoN, figure 7).

    Args:
        model: an `EXoN`.
        x: (n, *input_shape) images with at least one of each class.
        y: (n,) their true classes; rows of -1 are left out.
        batch_size: images at a time.

    Returns:
        (K, d) nats.

    Raises:
        InputError: a class has no image, or x and y do not fit the model.
    """
    check_mixture(model)
    y = check_labels(y, model.num_classes)
    check_same_length(np.asarray(x), y)
    missing = sorted(set(range(model.num_classes)) - set(y.tolist()))
    if missing:
        raise InputError(f"V-nat needs images of every class, there are none of {missing}.")
    variance = posterior_components(model, x, batch_size).variance
    prior = model.prior.variance
    return np.stack([v_nat(variance[y == k, k], prior[k]) for k in range(model.num_classes)])


def activated_units(v_nats: ArrayLike, delta: float = _DELTA) -> NDArray[np.int64]:
    """Activated latent subspace A_k(delta): the units whose V-nat is above delta (section 3.4).

    Args:
        v_nats: (d,) V-nat of one class (see `v_nat`).
        delta: nats.

    Returns:
        Indices of units, the most activated first; its length is the cardinality of Table 2.

    >>> activated_units([0.2, 3.0, 1.0, 1.5]).tolist()
    [1, 3]
    """
    values = np.asarray(v_nats, "float64")
    order = np.argsort(-values, kind="stable")
    return order[values[order] > delta]


def v_nat_correlation(v_nats: ArrayLike) -> NDArray[np.float64]:
    """Correlation of V-nat over units between classes (EXoN, figure 8).

    Args:
        v_nats: (K, d) nats (see `class_v_nat`), d at least 2; that of two units is 1 or -1,
            whatever they are.

    Returns:
        (K, K); NaN beside a class whose units are all alike, which correlates with nothing.

    Raises:
        InputError: v_nats are not as described.

    >>> v_nat_correlation([[0.0, 1.0, 2.0], [5.0, 3.0, 1.0]]).round(6).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    values = np.asarray(v_nats, "float64")
    if values.ndim != 2 or values.shape[1] < 2:
        raise InputError(
            "v_nats must have shape (K, d) with two units or more to correlate classes over, got "
            f"{values.shape}."
        )
    centred = values - values.mean(axis=1, keepdims=True)
    # Of equal numbers the mean is only equal up to rounding.
    centred[np.ptp(values, axis=1) == 0] = np.nan
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return np.clip(unit @ unit.T, -1.0, 1.0)


def kl_to_prior(model, x: ArrayLike, batch_size: int = 500) -> float:
    """Mean of the upper bound on KL(q(z|x) || p(z)) over images (EXoN, eq. 23), nats.

    Args:
        model: an `EXoN`.
        x: (n, *input_shape) uint8, or float in [0, 1].
        batch_size: images at a time.
    """
    found = posterior_components(model, x, batch_size)
    divergence = losses.mixture_kl_upper_bound(
        tf.math.log(found.probs),
        found.mean,
        tf.math.log(found.variance),
        model.prior.mean,
        model.prior.log_var,
        tf.exp(model.log_class_prior()),
    )
    return float(np.mean(divergence, dtype="float64"))


def kl_bounds(model, x: ArrayLike, batch_size: int = 500) -> dict[str, float]:
    """Return the second part of eq. 12 between the two bounds of Theorem 1, nats.

    The classes of the images are those of the classifier: E[.|y = k] weighs an image by
    q(k|x) / sum_x q(k|x), and w_k is the mean of q(k|x). The theorem takes the prior for the
    aggregate of the posteriors: where it is not, the middle can leave the bounds. "mean_gap", the
    largest difference between means of the two in standard deviations of the prior, and
    "variance_gap", that between variances as a part of the prior's, say how far the assumption is
    off, over the classes that some image is of.

    Returns:
        "lower", "kl_z" and "upper" in nats, "mean_gap" and "variance_gap".
    """
    found = posterior_components(model, x, batch_size)
    probs = found.probs.astype("float64")
    posterior, prior = found.variance.astype("float64"), model.prior.variance.astype("float64")
    mean, centre = found.mean.astype("float64"), model.prior.mean.astype("float64")
    share = probs / len(probs)  # of each image and class: w_k E[.|y = k] is a sum of it
    ratio = posterior / prior
    squared = np.square(mean - centre) / prior
    kl = 0.5 * np.sum(ratio + squared - 1 - np.log(ratio), axis=-1)
    weights = share.sum(axis=0)
    found_classes = weights * len(probs) >= 0.5
    of_class = share[:, found_classes] / weights[found_classes]
    mean, centre, prior, posterior = (
        part[..., found_classes, :] for part in (mean, centre, prior, posterior)
    )
    means = np.einsum("nk,nkd->kd", of_class, mean)
    within = np.einsum("nk,nkd->kd", of_class, posterior + np.square(mean - means))
    dim = prior.shape[1]
    return {
        "lower": float(dim / 2 - 0.5 * np.sum(share * ratio.sum(-1))),
        "kl_z": float(np.sum(share * kl)),
        "upper": float(0.5 * np.sum(share * (1 / ratio).sum(-1)) - dim / 2),
        "mean_gap": float(np.max(np.abs(means - centre) / np.sqrt(prior))),
        "variance_gap": float(np.max(np.abs(within / prior - 1))),
    }


def decode_codes(model, codes: ArrayLike) -> NDArray[np.float32]:
    """Return the expected image of each latent code.

    Args:
        model: a method whose decoder sees z alone, such as `EXoN`.
        codes: (n, d).

    Returns:
        (n, *input_shape) float32 in [0, 1].

    Raises:
        InputError: the decoder sees more than z, or codes are not (n, d) finite numbers.
    """
    check_mixture(model)
    codes = check_codes(model, codes, "codes").astype("float32")
    parts = [codes[start : start + _BATCH] for start in range(0, len(codes), _BATCH)]
    return np.concatenate(
        [model.likelihood.mean(model.decode(tf.constant(part))).numpy() for part in parts]
    )


def check_codes(model, codes: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return codes as (n, d) float64.

    Raises:
        InputError: they are not n times d finite numbers.
    """
    try:
        found = np.asarray(codes, "float64")
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.ndim != 2 or found.shape[1] != model.latent_dim or not np.isfinite(found).all():
        raise InputError(
            f"{name} must be (n, {model.latent_dim}) finite numbers, got {codes!r:.100}"
        )
    return found


def latent_grid(
    model, size: int = 31, extent: Sequence[float] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return equally spaced points of the latent plane and their images (EXoN, eq. 24, Table 3).

    Args:
        model: an `EXoN` with two latent dimensions.
        size: points along each side.
        extent: (left, right, bottom, top); None: all components within three standard deviations.

    Returns:
        (size^2, 2) points, row by row from the top left, and (size^2, *input_shape) images.
    """
    check_mixture(model)
    if model.latent_dim != 2:
        raise InputError(f"a grid needs two latent dimensions, the model has {model.latent_dim}.")
    points = plane_points(prior_extent(model.prior) if extent is None else extent, size)
    return points, decode_codes(model, points)


def plane_points(extent: Sequence[float], size: int) -> NDArray[np.float32]:
    """Return (size^2, 2) equally spaced points, row by row from the top left.

    >>> plane_points((0, 1, -1, 2), size=2).tolist()
    [[0.0, 2.0], [1.0, 2.0], [0.0, -1.0], [1.0, -1.0]]
    """
    left, right, bottom, top = extent
    column, row = np.meshgrid(np.linspace(left, right, size), np.linspace(top, bottom, size))
    return np.stack([column.ravel(), row.ravel()], axis=1).astype("float32")


def prior_extent(prior, deviations: float = _MARGIN) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of a prior's first two dimensions, in so many sigma.

    Raises:
        InputError: the prior is a line.
    """
    if prior.latent_dim < 2:
        raise InputError("a picture of the plane needs at least two latent dimensions.")
    reach = deviations * np.sqrt(prior.variance[:, :2])
    low, high = (prior.mean[:, :2] - reach).min(axis=0), (prior.mean[:, :2] + reach).max(axis=0)
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def check_mixture(model) -> None:
    """Raise InputError unless the model's code is a mixture with a component for each class."""
    if not hasattr(model, "components") or not hasattr(model.prior, "variance"):
        raise InputError(
            f"{type(model).__name__} has no mixture of classes as its code: use a method that has, "
            "such as EXoN or PartedVAE."
        )
