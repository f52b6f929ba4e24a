"""Keras layers over TensorFlow Probability distributions."""

from tfssvae.layers.gaussian import GaussianHead, StandardNormalPrior, gaussian, reparameterize
from tfssvae.layers.gumbel import gumbel_softmax
from tfssvae.layers.images import scale_images
from tfssvae.layers.ladder import precision_weighted_merge
from tfssvae.layers.likelihood import BernoulliLikelihood, GaussianLikelihood, get_likelihood
from tfssvae.layers.merged_dense import MergedDense
from tfssvae.layers.pairs import Pairs, repeat_rows

__all__ = [
    "BernoulliLikelihood",
    "GaussianHead",
    "GaussianLikelihood",
    "MergedDense",
    "Pairs",
    "StandardNormalPrior",
    "gaussian",
    "get_likelihood",
    "gumbel_softmax",
    "precision_weighted_merge",
    "reparameterize",
    "repeat_rows",
    "scale_images",
]
