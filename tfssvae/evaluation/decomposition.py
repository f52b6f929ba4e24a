"""What the divergence from a mixture prior is made of (EXoN, eq. 11)."""

import numpy as np
import scipy.special
import tensorflow as tf
from numpy.typing import ArrayLike

from tfssvae.evaluation.latent import posterior_components


def kl_decomposition(model, x: ArrayLike, samples: int = 500, seed: int = 0) -> dict[str, float]:
    """Return the parts of E KL^u(q(z|x) || p(z)), EXoN eq. 11, over images.

    The images stand for p(x): with n of them neither information is above log n. E over y is by
    w(y), the mean of q(y|x), which the paper takes for p(y); with it the four parts add up exactly
    in expectation. Information and divergence of the code are estimated from samples of z.

    Args:
        model: an `EXoN`.
        x: (n, *input_shape) uint8, or float in [0, 1]; thousands take seconds.
        samples: draws of (x, z) for each class.
        seed: of the draws.

    Returns:
        Nats: "information_y", I(x, y); "kl_y", KL(w(y) || p(y)); "information_z", E I(x, z|y);
        "kl_z", E KL(q(z|y) || p(z|y)).

    Raises:
        InputError: the model has no components, or x does not fit it.
    """
    probs, mean, variance = (part.astype("float64") for part in posterior_components(model, x))
    log_p_y = tf.convert_to_tensor(model.log_class_prior()).numpy().astype("float64")
    weights = probs.mean(axis=0)
    kl_y = scipy.special.rel_entr(weights, np.exp(log_p_y)).sum()
    information_y = scipy.special.entr(weights).sum() - scipy.special.entr(probs).sum(1).mean()
    rng = np.random.default_rng(seed)
    information_z = kl_z = 0.0
    for k in np.flatnonzero(weights > 0):
        share = probs[:, k] / probs[:, k].sum()
        rows = rng.choice(len(share), size=samples, p=share)
        noise = rng.normal(size=(samples, mean.shape[-1]))
        z = mean[rows, k] + np.sqrt(variance[rows, k]) * noise
        log_q_all = _log_normal(z, mean[:, k], variance[:, k])
        log_q = log_q_all[np.arange(samples), rows]
        log_aggregate = scipy.special.logsumexp(log_q_all, b=share, axis=1)
        prior = model.prior.mean[k : k + 1], model.prior.variance[k : k + 1]
        log_prior = _log_normal(z, *(part.astype("float64") for part in prior))[:, 0]
        information_z += weights[k] * np.mean(log_q - log_aggregate)
        kl_z += weights[k] * np.mean(log_aggregate - log_prior)
    return {
        "information_y": float(information_y),
        "kl_y": float(kl_y),
        "information_z": float(information_z),
        "kl_z": float(kl_z),
    }


def _log_normal(z, mean, variance):
    """Return log N(z_i; mean_j, variance_j), (samples, n), without a tensor of all dimensions."""
    precision = 1.0 / variance
    square = np.square(z) @ precision.T - 2.0 * z @ (mean * precision).T
    square += np.sum(np.square(mean) * precision, axis=1)
    log_volume = np.sum(np.log(2 * np.pi * variance), axis=1)
    return -0.5 * (square + log_volume)
