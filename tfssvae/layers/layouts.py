"""Where the classes lie in the latent space: means and variances of a Gaussian mixture prior.

Every layout returns (mean (K, d), variance (K, d)) for `layers.GaussianMixturePrior`. Neighbours
are four standard deviations apart unless told otherwise, as on EXoN's circle.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_count

Layout = tuple[NDArray[np.float64], NDArray[np.float64]]

_DEVIATIONS = 4.0  # between neighbours: they overlap by 0.135 (see `component_overlap`)
_ALIKE = 2 / 3  # similarity within a group: a third of the distance between groups
_STEPS = 1000  # of the stress minimisation: K is small


def circle_layout(num_classes: int, variance: float = 4.0) -> Layout:
    """Classes counterclockwise on a circle in the plane, EXoN's prior of MNIST (appendix A.4).

    The radius is 2 sqrt(variance) / sin(pi / K), which puts neighbours four standard deviations
    apart; class k, counted from 1, is at angle (2 k - 1) pi / K.

    Args:
        num_classes: K, at least 2.
        variance: of every component in both directions.

    Returns:
        (K, 2) means and (K, 2) variances.

    >>> mean, variance = circle_layout(10, 4.0)
    >>> round(float(np.hypot(*mean[0])), 2), round(math.degrees(math.atan2(*mean[0, ::-1])), 6)
    (12.94, 18.0)
    """
    count, variance = _checked(num_classes, variance)
    radius = 2 * math.sqrt(variance) / math.sin(math.pi / count)
    angles = (2 * np.arange(1, count + 1) - 1) * math.pi / count
    return _layout(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), variance)


def one_hot_layout(num_classes: int, latent_dim: int) -> Layout:
    """Class k at the k-th unit vector, EXoN's prior of CIFAR-10 (appendix A.4).

    The first K dimensions say the class, with variance 0.1; the others have mean 0 and variance 1
    whatever the class.

    Args:
        num_classes: K.
        latent_dim: d, at least K.

    >>> mean, variance = one_hot_layout(2, 3)
    >>> mean.tolist(), variance.tolist()
    ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.1, 0.1, 1.0], [0.1, 0.1, 1.0]])
    """
    count, _ = _checked(num_classes, 1.0)
    if check_count(latent_dim, "latent_dim") < count:
        raise InputError(f"latent_dim must be at least the {count} classes, got {latent_dim}")
    variance = np.ones((count, latent_dim))
    variance[:, :count] = 0.1
    return np.eye(count, latent_dim), variance


def line_layout(
    num_classes: int, variance: float = 4.0, distance: float | None = None, latent_dim: int = 2
) -> Layout:
    """Classes in their order on a line along the first dimension (EXoN, figure 6, with K = 2).

    Args:
        num_classes: K.
        variance: of every component in every direction.
        distance: between neighbours; None: four standard deviations.
        latent_dim: d.

    >>> line_layout(2, 4.0, distance=16.0)[0].tolist()
    [[-8.0, 0.0], [8.0, 0.0]]
    """
    count, variance = _checked(num_classes, variance)
    mean = np.zeros((count, _checked_dim(latent_dim)))
    mean[:, 0] = (np.arange(count) - (count - 1) / 2) * _spacing(distance, variance)
    return _layout(mean, variance)


def grid_layout(num_classes: int, variance: float = 4.0, distance: float | None = None) -> Layout:
    """Classes row by row on a square grid of the plane, the first at the top left.

    Args:
        num_classes: K.
        variance: of every component in both directions.
        distance: between neighbours; None: four standard deviations.

    >>> grid_layout(4, 1.0)[0].tolist()
    [[-2.0, 2.0], [2.0, 2.0], [-2.0, -2.0], [2.0, -2.0]]
    """
    count, variance = _checked(num_classes, variance)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    row, column = np.divmod(np.arange(count), columns)
    places = np.stack([column - (columns - 1) / 2, (rows - 1) / 2 - row], axis=1)
    return _layout(places * _spacing(distance, variance), variance)


def similarity_layout(
    alike: ArrayLike | Sequence[Sequence[int]],
    variance: float = 4.0,
    distance: float | None = None,
    latent_dim: int = 2,
) -> Layout:
    """Alike classes lie close: distances that match 1 - similarity as well as they can.

    Metric multidimensional scaling: the stress sum_ij (|m_i - m_j| - (1 - s_ij))^2 is minimised
    from the principal coordinates on; the same classes give the same layout.

    Args:
        alike: (K, K) symmetric similarities s_ij in [0, 1), the diagonal ignored; or groups of
            alike classes that together hold each class once, such as [[4, 7, 9], [3, 5, 8], ...].
        variance: of every component in every direction.
        distance: between the closest two classes; None: four standard deviations.
        latent_dim: d.

    Raises:
        InputError: the similarities or groups are not as described.
    """
    latent_dim = _checked_dim(latent_dim)
    apart = 1 - _similarities(alike)
    count, variance = _checked(len(apart), variance)
    np.fill_diagonal(apart, 0)
    mean = _scaled(apart, latent_dim)
    between = np.linalg.norm(mean[:, None] - mean[None], axis=-1)
    closest = between[~np.eye(count, dtype=bool)].min()
    if closest < 1e-6 * between.max():
        raise InputError(
            f"{latent_dim} dimensions have no room for these similarities: two classes meet"
        )
    return _layout(mean * (_spacing(distance, variance) / closest), variance)


def _similarities(alike) -> NDArray[np.float64]:
    """Return the matrix of similarities, from a matrix or from groups."""
    try:
        matrix = np.array(alike, "float64")
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    groups = [list(np.atleast_1d(group)) for group in alike] if np.iterable(alike) else []
    classes = sorted(k for group in groups for k in group)
    if classes and classes == list(range(len(classes))):
        member = np.zeros((len(groups), len(classes)))
        for index, group in enumerate(groups):
            member[index, np.asarray(group, int)] = 1
        return _ALIKE * member.T @ member
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(
            "alike must be a (K, K) matrix of similarities, or groups that together hold each "
            f"class 0..K-1 once, got {alike!r:.200}"
        )
    values = matrix[~np.eye(len(matrix), dtype=bool)]
    if not np.allclose(matrix, matrix.T) or not ((values >= 0) & (values < 1)).all():
        raise InputError("similarities must be symmetric numbers in [0, 1)")
    return matrix


def _scaled(apart: NDArray[np.float64], latent_dim: int) -> NDArray[np.float64]:
    """Return (K, d) points whose distances are close to `apart` (SMACOF, de Leeuw, 1977)."""
    count = len(apart)
    centre = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-0.5 * centre @ np.square(apart) @ centre)
    points = np.zeros((count, latent_dim))
    used = min(count, latent_dim)
    points[:, :used] = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :used]
    # Points that the principal coordinates put in one place have to be moved apart to begin with.
    angles = 2 * math.pi * np.arange(count) / count
    points[:, 0] += 1e-2 * np.cos(angles)
    points[:, -1] += 1e-2 * np.sin(angles)
    for _ in range(_STEPS):
        between = np.linalg.norm(points[:, None] - points[None], axis=-1)
        ratio = np.divide(apart, between, out=np.zeros_like(apart), where=between > 1e-12)
        points = (np.diag(ratio.sum(axis=1)) - ratio) @ points / count
    return points - points.mean(axis=0)


def _checked(num_classes: int, variance: float) -> tuple[int, float]:
    if check_count(num_classes, "num_classes") < 2:
        raise InputError(f"num_classes must be at least 2, got {num_classes}")
    if not 0 < variance < math.inf:
        raise InputError(f"variance must be positive, got {variance}")
    return int(num_classes), float(variance)


def _checked_dim(latent_dim: int) -> int:
    if check_count(latent_dim, "latent_dim") < 1:
        raise InputError(f"latent_dim must be at least 1, got {latent_dim}")
    return int(latent_dim)


def _spacing(distance: float | None, variance: float) -> float:
    if distance is None:
        return _DEVIATIONS * math.sqrt(variance)
    if not 0 < distance < math.inf:
        raise InputError(f"distance must be positive, got {distance}")
    return float(distance)


def _layout(mean: NDArray[np.float64], variance: float) -> Layout:
    return mean, np.full(mean.shape, variance)
