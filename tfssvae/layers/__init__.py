"""Keras layers over TensorFlow Probability distributions."""

from tfssvae.layers.augmentation import (
    Augmentation,
    Chain,
    RandAugment,
    RandomCrop,
    RandomFlip,
    RandomRotation,
)
from tfssvae.layers.batch_norm import BatchNormalization
from tfssvae.layers.box_prior import BoxPrior, code_of, kl_to_prior, sample_prior
from tfssvae.layers.class_blocks import over_classes
from tfssvae.layers.dropout import ChannelDropout
from tfssvae.layers.flow import LogisticFlow
from tfssvae.layers.gaussian import GaussianHead, StandardNormalPrior, gaussian, reparameterize
from tfssvae.layers.gumbel import bernoulli, gumbel_max, gumbel_softmax, relaxed_bernoulli
from tfssvae.layers.images import augment_images, scale_images
from tfssvae.layers.ladder import precision_weighted_merge
from tfssvae.layers.layouts import (
    circle_layout,
    grid_layout,
    line_layout,
    one_hot_layout,
    similarity_layout,
)
from tfssvae.layers.likelihood import BernoulliLikelihood, GaussianLikelihood, get_likelihood
from tfssvae.layers.merged_dense import MergedDense
from tfssvae.layers.mixture import GaussianMixturePrior, LearntMixturePrior, component_overlap
from tfssvae.layers.pairs import Pairs, repeat_rows

__all__ = [
    "Augmentation",
    "BatchNormalization",
    "BernoulliLikelihood",
    "BoxPrior",
    "Chain",
    "ChannelDropout",
    "GaussianHead",
    "GaussianLikelihood",
    "GaussianMixturePrior",
    "LearntMixturePrior",
    "LogisticFlow",
    "MergedDense",
    "Pairs",
    "RandAugment",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "StandardNormalPrior",
    "augment_images",
    "bernoulli",
    "circle_layout",
    "code_of",
    "component_overlap",
    "gaussian",
    "get_likelihood",
    "grid_layout",
    "gumbel_max",
    "gumbel_softmax",
    "kl_to_prior",
    "line_layout",
    "one_hot_layout",
    "over_classes",
    "precision_weighted_merge",
    "relaxed_bernoulli",
    "reparameterize",
    "repeat_rows",
    "sample_prior",
    "scale_images",
    "similarity_layout",
]
