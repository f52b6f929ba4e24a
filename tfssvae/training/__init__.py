"""The compiled loop, schedules, callbacks and checkpoints."""

from tfssvae.schedules import ExponentialRamp, LinearRamp, exponential_ramp, linear_ramp
from tfssvae.training.callbacks import TensorBoardImages
from tfssvae.training.checkpoints import Checkpoint, restore_latest
from tfssvae.training.loop import train
from tfssvae.training.progress import ProgressLines, StopWhenDiverged

__all__ = [
    "Checkpoint",
    "ExponentialRamp",
    "LinearRamp",
    "ProgressLines",
    "StopWhenDiverged",
    "TensorBoardImages",
    "exponential_ramp",
    "linear_ramp",
    "restore_latest",
    "train",
]
