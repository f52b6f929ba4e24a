"""Keras layers over TensorFlow Probability distributions."""

from tfssvae.layers.augmentation import (
    Augmentation,
    Chain,
    RandAugment,
    RandomCrop,
    RandomFlip,
    RandomRotation,
)
from tfssvae.layers.flow import LogisticFlow
from tfssvae.layers.gaussian import GaussianHead, StandardNormalPrior, gaussian, reparameterize
from tfssvae.layers.gumbel import gumbel_softmax, relaxed_bernoulli
from tfssvae.layers.images import scale_images
from tfssvae.layers.ladder import precision_weighted_merge
from tfssvae.layers.likelihood import BernoulliLikelihood, GaussianLikelihood, get_likelihood
from tfssvae.layers.merged_dense import MergedDense
from tfssvae.layers.pairs import Pairs, repeat_rows

__all__ = [
    "Augmentation",
    "BernoulliLikelihood",
    "Chain",
    "GaussianHead",
    "GaussianLikelihood",
    "LogisticFlow",
    "MergedDense",
    "Pairs",
    "RandAugment",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "StandardNormalPrior",
    "gaussian",
    "get_likelihood",
    "gumbel_softmax",
    "precision_weighted_merge",
    "relaxed_bernoulli",
    "reparameterize",
    "repeat_rows",
    "scale_images",
]
