"""Parted-VAE as a baseline of EXoN's tables, with the settings of EXoN's authors' public code.

MNIST: u and z in the plane, the networks and weights of Parted-VAE's own authors, 80 epochs, 8
labelled and 56 unlabelled images a step. CIFAR-10: a WRN-28-4, u and z of 64 dimensions, 200
epochs, 32 + 96 images. Adam 5e-4; capacities that go on rising to the end of the run. The
cross-entropy, which they train in steps of its own, has the weight that `PartedVAE` documents.
"""

from typing import Any

import keras

from tfssvae.models.parted_vae import ALPHA, GAMMA_H
from tfssvae.recipes.table import Config
from tfssvae.schedules import linear_ramp

RATE = 5e-4
EPOCHS = {"mnist": 80, "cifar10": 200}
STEPS = {"mnist": 937, "cifar10": 390}  # an epoch of theirs
CAPACITY = {"mnist": (7.0, 100_000), "cifar10": (30.0, 150_000)}  # nats, steps until then
SLOPE_STEPS = 35_000
BATCH = {"mnist": (8, 56), "cifar10": (32, 96)}
_MODEL: dict[str, Config] = {
    "mnist": {"latent_dim": 2, "style_dim": 2},
    "cifar10": {
        "latent_dim": 64,
        "style_dim": 64,
        "backbone": "wide_resnet_28_4",
        "threshold": 0.2,
        "weights": {
            "kl_u": 1000.0,
            "kl_z": 1000.0,
            "kl_y": 1000.0,
            "entropy_y": 2000.0,
            "overlap": 2000.0,
            "classification": ALPHA * 2000.0 / GAMMA_H,  # beside the entropy what it is on MNIST
        },
    },
}


def settings(data: str, steps_per_epoch: int, epochs: int) -> Config:
    """Return the settings of a run of so many epochs; the schedules shrink with it.

    Args:
        data: "mnist" or "cifar10".
        steps_per_epoch: steps in one pass over the unlabelled images.
        epochs: of the run.
    """
    shrunk = steps_per_epoch * epochs / (STEPS[data] * EPOCHS[data])
    nats, rising = CAPACITY[data]
    capacity = _serialized(linear_ramp(nats, max(1, round(rising * shrunk))))
    slope = linear_ramp(8.0, max(1, round(SLOPE_STEPS * shrunk)), initial=1.0)
    labelled, unlabelled = BATCH[data]
    return {
        "method": "parted_vae",
        "model": {
            **_MODEL[data],
            "capacity_u": capacity,
            "capacity_z": capacity,
            "attention_slope": _serialized(slope),
        },
        "default_weights": "paper",
        "learning_rate": RATE,
        "labelled": labelled,
        "unlabelled": unlabelled,
    }


def _serialized(value) -> Any:
    return keras.saving.serialize_keras_object(value)
