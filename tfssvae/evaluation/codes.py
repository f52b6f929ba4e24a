"""Codes of images layer by layer: their means, principal axes, and how many units are in use."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError

ACTIVE_VARIANCE = 0.01
"""Variance of a unit's mean above which it is active (Burda et al., 2016, section 5.3)."""


class Principal(NamedTuple):
    """Principal components of codes.

    Attributes:
        mean: (d,).
        axes: (k, d) unit vectors, that of the largest variance first.
        deviation: (k,) standard deviations along them.
        share: (k,) of the whole variance.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    deviation: NDArray[np.float64]
    share: NDArray[np.float64]

    def project(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Return the coordinates of codes (n, d) along the axes: (n, k)."""
        return (np.asarray(codes, "float64") - self.mean) @ self.axes.T


def code_layers(model, x: ArrayLike) -> dict[str, NDArray[np.float32]]:
    """Return the posterior mean of every layer of codes, the one next to the image first.

    Args:
        model: any method; one with `latent_dims` has several layers.
        x: (n, *input_shape) uint8, or float in [0, 1].

    Returns:
        {"z1": (n, d1), "z2": (n, d2), ...}, or {"z": (n, d)} where there is one layer.
    """
    codes = model.encode(x)
    sizes = getattr(model, "latent_dims", None)
    if sizes is None:
        return {"z": codes}
    parts = np.split(codes, np.cumsum(sizes)[:-1], axis=1)
    return {f"z{number}": part for number, part in enumerate(parts, 1)}


def top_codes(model, x: ArrayLike) -> NDArray[np.float32]:
    """Return the posterior mean of the code that `images_of_codes` takes: (n, d)."""
    return list(code_layers(model, x).values())[-1]


def code_is_beside_class(model) -> bool:
    """Whether images are made of the top code and a class that does not depend on it (M2)."""
    return hasattr(model, "images_of_codes") and not hasattr(model, "class_logits")


def principal_components(codes: ArrayLike, number: int = 2) -> Principal:
    """Return the directions in which codes vary most (PCA).

    Args:
        codes: (n, d), n at least 2.
        number: of components, at most d.

    Raises:
        InputError: codes are not as described.
    """
    values = np.asarray(codes, "float64")
    if values.ndim != 2 or len(values) < 2 or not 1 <= number <= values.shape[1]:
        raise InputError(
            f"codes must have shape (n, d) with two rows and {number} columns at least, got "
            f"{values.shape}."
        )
    mean = values.mean(axis=0)
    variance, vectors = np.linalg.eigh(np.atleast_2d(np.cov(values, rowvar=False)))
    axes = vectors[:, ::-1][:, :number].T
    # Axes have no sign of their own: the largest entry of each is positive.
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(number), largest])[:, None]
    variance = np.maximum(variance[::-1], 0)
    share = variance[:number] / max(variance.sum(), np.finfo(float).tiny)
    return Principal(mean, axes, np.sqrt(variance[:number]), share)


def active_units(codes: ArrayLike, threshold: float = ACTIVE_VARIANCE) -> int:
    """Count the units whose posterior mean varies over images (Burda et al., 2016, section 5.3).

    Args:
        codes: (n, d) posterior means (see `code_layers`).
        threshold: variance above which a unit counts.

    >>> active_units([[0.0, 1.0], [0.1, -1.0]])
    1
    """
    return int((np.var(np.asarray(codes, "float64"), axis=0) > threshold).sum())


def layer_report(model, x: ArrayLike, terms: Mapping[str, float]) -> dict[str, float]:
    """Return what a run should record of a model with several layers of codes, ready for JSON.

    Args:
        model: any method; one with a single layer has nothing to report.
        x: (n, *input_shape) images.
        terms: term -> its mean without any weight, nats.

    Returns:
        For each layer "active_units_z1" ..., and "kl_z1" ..., the mean divergence of the layer's
        posterior from its prior, nats (CaGeM, section 6).
    """
    if not hasattr(model, "latent_dims"):
        return {}
    report: dict[str, float] = {}
    for name, codes in code_layers(model, x).items():
        report[f"kl_{name}"] = float(terms[f"unlabelled_kl_{name}"])
        report[f"active_units_{name}"] = active_units(codes)
    return report
