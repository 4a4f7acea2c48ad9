"""Slimmable primitives for 2-D and 3-D networks; they know nothing of video or images."""

from mutualnet3d.layers.activation import FULL, Activation, Slimmable, activate, activation_of, eval_mode
from mutualnet3d.layers.channels import Channels, make_divisible
from mutualnet3d.layers.conv import SlimmableConv2d, SlimmableConv3d
from mutualnet3d.layers.folding import fold_batchnorm
from mutualnet3d.layers.gradients import gradients_in_place
from mutualnet3d.layers.linear import SlimmableLinear
from mutualnet3d.layers.norm import (
    SlimmableBatchNorm2d,
    SlimmableBatchNorm3d,
    slimmable_norms,
    use_statistics_of_full,
)
from mutualnet3d.layers.population import PopulationStatistics
from mutualnet3d.layers.slimming import copy_dense, extract_dense, make_slimmable
from mutualnet3d.layers.tracing import trace_dense

__all__ = [
    "FULL",
    "Activation",
    "Channels",
    "PopulationStatistics",
    "Slimmable",
    "SlimmableBatchNorm2d",
    "SlimmableBatchNorm3d",
    "SlimmableConv2d",
    "SlimmableConv3d",
    "SlimmableLinear",
    "activate",
    "activation_of",
    "copy_dense",
    "eval_mode",
    "extract_dense",
    "fold_batchnorm",
    "gradients_in_place",
    "make_divisible",
    "make_slimmable",
    "slimmable_norms",
    "trace_dense",
    "use_statistics_of_full",
]
