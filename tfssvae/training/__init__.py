"""The compiled loop, schedules, callbacks and checkpoints."""

from tfssvae.part_optimizer import PartOptimizer
from tfssvae.schedules import (
    ExponentialRamp,
    LinearRamp,
    RampDown,
    exponential_ramp,
    linear_ramp,
    ramp_down,
)
from tfssvae.training.callbacks import TensorBoardImages
from tfssvae.training.checkpoints import Checkpoint, restore_latest
from tfssvae.training.divergence import DivergenceGuard
from tfssvae.training.hidden_labels import HiddenDivergence
from tfssvae.training.loop import train
from tfssvae.training.progress import ProgressLines

__all__ = [
    "Checkpoint",
    "DivergenceGuard",
    "ExponentialRamp",
    "HiddenDivergence",
    "LinearRamp",
    "PartOptimizer",
    "ProgressLines",
    "RampDown",
    "TensorBoardImages",
    "exponential_ramp",
    "linear_ramp",
    "ramp_down",
    "restore_latest",
    "train",
]
