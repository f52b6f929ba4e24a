"""A Gaussian mixture as the prior of a code: one component per class, placed or learnt."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray
from tensorflow_probability import distributions as tfd

from tfssvae import losses
from tfssvae.checks import InputError
from tfssvae.layers.gaussian import gaussian
from tfssvae.library_errors import reason


@keras.saving.register_keras_serializable("tfssvae")
class GaussianMixturePrior(keras.layers.Layer):
    """p(z) = sum_k w_k N(z; m_k, diag(s_k^2)), with m_k and s_k^2 fixed (EXoN, section 3.1).

    Args:
        mean: (K, d) conceptual centres m_k, such as those of a layout (`layers.circle_layout`).
        variance: (K, d) variances s_k^2; () or (d,) are those of every component.
        probs: (K,) weights w_k; None is uniform, or the class prior of the model it is given to.
    """

    def __init__(self, mean, variance, probs=None, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.mean, self.variance = check_components(mean, variance)
        self.num_components, self.latent_dim = self.mean.shape
        self.probs = None if probs is None else _checked_probs(probs, self.num_components)
        self.built = True

    def components(self) -> tfd.Distribution:
        """Return p(z|y) of every class: batch shape (K,), event shape (d,)."""
        return gaussian(self.mean, self.log_var)

    def component(self, k: int) -> tfd.Distribution:
        """Return p(z|y = k): batch shape (), event shape (d,)."""
        return gaussian(self.mean[k], self.log_var[k])

    @property
    def log_var(self) -> NDArray[np.float32]:
        """(K, d) log-variances log s_k^2."""
        return np.log(self.variance)

    @property
    def log_probs(self) -> NDArray[np.float32]:
        """(K,) log w_k."""
        count = self.num_components
        return np.log(np.full(count, 1 / count, "float32") if self.probs is None else self.probs)

    def distribution(self, log_probs=None) -> tfd.Distribution:
        """Return p(z): batch shape (), event shape (d,).

        Args:
            log_probs: (K,) log w_k in place of the prior's own, such as a class prior's.
        """
        weights = tfd.Categorical(logits=self.log_probs if log_probs is None else log_probs)
        return tfd.MixtureSameFamily(weights, self.components())

    def overlap(self) -> NDArray[np.float32]:
        """Return how far the components overlap, (K, K): see `component_overlap`."""
        return component_overlap(self.mean, self.variance)

    def get_config(self):
        return {
            **super().get_config(),
            "mean": self.mean.tolist(),
            "variance": self.variance.tolist(),
            "probs": None if self.probs is None else self.probs.tolist(),
        }


@keras.saving.register_keras_serializable("tfssvae")
class LearntMixturePrior(keras.layers.Layer):
    """p(u) = sum_k w_k N(u; m_k, diag(s_k^2)), with m_k and s_k^2 trained (Parted-VAE).

    log s_k^2 = 2 tanh(v_k) - 1 is in (-3, 1), so that no component vanishes or is everywhere. m_k
    and v_k begin as standard normal draws.

    Args:
        num_components: K.
        latent_dim: d.
        seed: of the initial means and variances; None draws from Keras's global seed.
    """

    probs = None  # w_k is the class prior of the model that it is given to

    def __init__(self, num_components: int, latent_dim: int, seed: int | None = None, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.num_components, self.latent_dim = int(num_components), int(latent_dim)
        self.seed = seed
        seeds = (None, None) if seed is None else (seed, seed + 1)
        self._mean, self._spread = (
            self.add_weight(
                shape=(self.num_components, self.latent_dim),
                initializer=keras.initializers.RandomNormal(0.0, 1.0, seed=of_part),
                name=name,
            )
            for name, of_part in zip(("mean", "spread"), seeds, strict=True)
        )
        self.built = True

    def parameters(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return m_k and log s_k^2, both (K, d) tensors that gradients pass through."""
        return tf.convert_to_tensor(self._mean), 2.0 * tf.tanh(self._spread) - 1.0

    def components(self) -> tfd.Distribution:
        """Return p(u|y) of every class: batch shape (K,), event shape (d,)."""
        return gaussian(*self.parameters())

    @property
    def mean(self) -> NDArray[np.float32]:
        """(K, d) current centres m_k."""
        return self.parameters()[0].numpy()

    @property
    def log_var(self) -> NDArray[np.float32]:
        """(K, d) current log-variances log s_k^2."""
        return self.parameters()[1].numpy()

    @property
    def variance(self) -> NDArray[np.float32]:
        """(K, d) current variances s_k^2."""
        return np.exp(self.log_var)

    def overlap(self) -> NDArray[np.float32]:
        """Return how far the components overlap, (K, K): see `component_overlap`."""
        return component_overlap(self.mean, self.variance)

    def get_config(self):
        names = ("num_components", "latent_dim", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def component_overlap(mean: ArrayLike, variance: ArrayLike) -> NDArray[np.float32]:
    """Overlap of each pair of Gaussians, their Bhattacharyya coefficient.

    1 on the diagonal and for equal components, towards 0 the further they are apart; neighbours
    that are four standard deviations apart have exp(-2) = 0.135 (see `losses.bhattacharyya`).

    Args:
        mean: (K, d) means.
        variance: (K, d) variances.

    Returns:
        (K, K) in [0, 1].

    >>> print(component_overlap([[0.0], [4.0]], [[1.0], [1.0]]).round(3))
    [[1.    0.135]
     [0.135 1.   ]]
    """
    return losses.bhattacharyya(mean, np.log(np.asarray(variance, "float64"))).numpy()


def check_components(mean, variance) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return means and variances as float32 (K, d).

    Raises:
        InputError: they are not finite, the variances are not positive, or the shapes differ.
    """
    try:
        means, variances = np.asarray(mean, "float32"), np.asarray(variance, "float32")
    except (TypeError, ValueError) as error:
        raise InputError(f"mean and variance must be arrays of numbers: {reason(error)}") from None
    if means.ndim != 2 or means.size == 0:
        raise InputError(
            f"mean must have shape (num_classes, latent_dim), one component per class, got "
            f"{means.shape}"
        )
    if variances.shape not in ((), means.shape[1:], means.shape):
        raise InputError(f"variance must have shape {means.shape}, got {variances.shape}")
    if not (np.isfinite(means).all() and np.isfinite(variances).all()):
        raise InputError("mean and variance must be finite numbers")
    if not (variances > 0).all():
        raise InputError(f"variances must be positive, the smallest is {variances.min()}")
    return means, np.broadcast_to(variances, means.shape).copy()


def _checked_probs(probs, count: int) -> NDArray[np.float32]:
    try:
        values = np.asarray(probs, "float64")
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (count,) or not (values > 0).all() or abs(values.sum() - 1) > 1e-4:
        raise InputError(f"probs must be {count} positive numbers that sum to 1, got {probs!r}")
    return (values / values.sum()).astype("float32")
