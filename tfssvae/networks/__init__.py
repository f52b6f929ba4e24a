"""Builders of networks: each returns a plain, built keras.Model."""

from tfssvae.networks.conditional import ConditionalNetwork, call_network
from tfssvae.networks.conv import conv, conv_transpose
from tfssvae.networks.exon import (
    exon_classifier,
    exon_decoder,
    exon_encoder,
    exon_wide_classifier,
)
from tfssvae.networks.mlp import conditional_mlp, mlp
from tfssvae.networks.parted import parted_decoder, parted_encoder
from tfssvae.networks.wide_resnet import class_conv_transpose, wide_resnet, wide_resnet_sizes

__all__ = [
    "ConditionalNetwork",
    "call_network",
    "class_conv_transpose",
    "conditional_mlp",
    "conv",
    "conv_transpose",
    "exon_classifier",
    "exon_decoder",
    "exon_encoder",
    "exon_wide_classifier",
    "mlp",
    "parted_decoder",
    "parted_encoder",
    "wide_resnet",
    "wide_resnet_sizes",
]
