"""What a run records of a latent space with a place for each class (EXoN, section 4)."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfssvae.evaluation.decomposition import kl_decomposition
from tfssvae.evaluation.latent import (
    activated_units,
    class_v_nat,
    kl_bounds,
    kl_to_prior,
    latent_grid,
    prior_extent,
)
from tfssvae.evaluation.similarity import negative_ssim

_DIVERSE_MARGIN = 1.0  # of Table 3: on MNIST's circle about the authors' square from -15 to 15


def latent_report(model, x: ArrayLike, y: ArrayLike) -> dict[str, Any]:
    """Return what a run should record of a designed latent space, ready for JSON.

    Args:
        model: any method; one without a mixture of classes as its code has nothing to report.
        x: (n, *input_shape) images.
        y: (n,) true classes.

    Returns:
        "kl_to_prior" (eq. 23), "kl_decomposition" (its four parts, eq. 11) and "kl_bounds"
        (Theorem 1), nats; with images of every class "activated_units_K", the cardinality of
        A_k(1) of class k counted from 0 (Table 2); with two latent dimensions "negative_ssim" of
        31 x 31 images of the plane, one standard deviation around the centres (Table 3).
    """
    if not hasattr(model, "components"):
        return {}
    report: dict[str, Any] = {
        "kl_to_prior": kl_to_prior(model, x),
        "kl_decomposition": kl_decomposition(model, x),
        "kl_bounds": kl_bounds(model, x),
    }
    if set(range(model.num_classes)) <= set(np.asarray(y).tolist()):
        for k, values in enumerate(class_v_nat(model, x, y)):
            report[f"activated_units_{k}"] = len(activated_units(values))
    if model.latent_dim == 2 and len(model.example_shape) == 3 and min(model.example_shape[:2]) > 2:
        extent = prior_extent(model.prior, _DIVERSE_MARGIN)
        report["negative_ssim"] = float(negative_ssim(latent_grid(model, extent=extent)[1]))
    return report
