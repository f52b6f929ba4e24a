"""Pure float32 functions of tensors: one value per example, in nats, no model and no reduction."""

from tfssvae.losses.bernoulli import bernoulli_log_prob
from tfssvae.losses.bounds import capacity_distance, importance_weighted_bound, marginalize
from tfssvae.losses.categorical import (
    categorical_log_prob,
    entropy,
    kl_categorical,
    mutual_information,
    optimal_interpolation,
    smooth_labels,
    soft_label_consistency,
)
from tfssvae.losses.float32 import add_terms
from tfssvae.losses.gaussian import (
    bhattacharyya,
    gaussian_log_prob,
    kl_gaussian,
    optimal_match,
    pairwise_gaussian_kl,
)
from tfssvae.losses.mixture import mixture_kl_upper_bound

__all__ = [
    "add_terms",
    "bernoulli_log_prob",
    "bhattacharyya",
    "capacity_distance",
    "categorical_log_prob",
    "entropy",
    "gaussian_log_prob",
    "importance_weighted_bound",
    "kl_categorical",
    "kl_gaussian",
    "marginalize",
    "mixture_kl_upper_bound",
    "mutual_information",
    "optimal_interpolation",
    "optimal_match",
    "pairwise_gaussian_kl",
    "smooth_labels",
    "soft_label_consistency",
]
