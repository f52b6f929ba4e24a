"""The plane of a latent space in which codes vary most."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae.evaluation.codes import principal_components

_SHOWN = 500  # codes that are kept to be drawn on the plane


def latent_plane(codes: NDArray[np.float32]) -> dict[str, Any] | None:
    """Return the plane through the mean of codes along which they vary most, ready for JSON.

    Codes of two dimensions are the plane itself: its axes are theirs.

    Args:
        codes: (n, d).

    Returns:
        "mean" (d,), "axes" (2, d) unit vectors, "deviation" (2,) of the codes along them, "points"
        of at most 500 codes as their coordinates along the axes; None where there are fewer than
        two codes or dimensions.
    """
    if len(codes) < 2 or codes.shape[1] < 2:
        return None
    if codes.shape[1] == 2:
        mean, axes = codes.mean(axis=0), np.eye(2)
    else:
        mean, axes = principal_components(codes)[:2]
    places = (codes - mean) @ np.asarray(axes).T
    return {
        "mean": np.round(mean, 5).tolist(),
        "axes": np.round(axes, 5).tolist(),
        "deviation": np.round(places.std(axis=0), 5).tolist(),
        "points": np.round(places[:_SHOWN], 3).tolist(),
    }
