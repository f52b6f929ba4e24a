"""The compiled loop, schedules, callbacks and checkpoints."""

from tfssvae.training.checkpoints import Checkpoint, restore_latest
from tfssvae.training.loop import train
from tfssvae.training.schedules import ExponentialRamp, LinearRamp, exponential_ramp, linear_ramp

__all__ = [
    "Checkpoint",
    "ExponentialRamp",
    "LinearRamp",
    "exponential_ramp",
    "linear_ramp",
    "restore_latest",
    "train",
]
