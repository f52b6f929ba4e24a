"""The training of a run: its driver, callbacks and checkpoints."""

from pathlib import Path

import keras

from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.runs.measures import EVALUATION_BATCH, has_labels
from tfssvae.training import (
    Checkpoint,
    HiddenDivergence,
    TensorBoardImages,
    train,
)
from tfssvae.training.progress import ProgressLines, StopWhenDiverged


def drive(model, data: Data, config, folder: Path, state: dict) -> dict[str, list[float]]:
    """Train with the driver of the run; return the history of all its epochs."""
    checkpoint = Checkpoint(
        folder / "checkpoints",
        every_seconds=config["checkpoint_seconds"],
        mid_epoch=config["driver"] == "loop",
        history=state.get("history"),
        seconds=state.get("seconds", 0.0),
    )
    callbacks = [
        *([HiddenDivergence(data)] if _knows_hidden_labels(model, data) else []),
        keras.callbacks.TensorBoard(folder / "logs", write_graph=False),
        ProgressLines(
            config["epochs"],
            first_epoch=state.get("epoch", 0),
            labelled=config.get("labelled", 0) > 0,
        ),
        StopWhenDiverged(),  # before the checkpoint, which would keep what is lost
        checkpoint,
    ]
    watched = data.x_validation if len(data.validation_indices) else data.x_test
    if watched is not None:
        y = data.y_validation if len(data.validation_indices) else data.y_test
        every = max(1, config["epochs"] // 5)
        callbacks.append(
            TensorBoardImages(folder / "logs", watched, y, data.class_names, every=every)
        )
    shared = {
        "epochs": config["epochs"],
        "callbacks": callbacks,
        "validation_data": (
            data.validation(EVALUATION_BATCH) if len(data.validation_indices) else None
        ),
        "verbose": 0,
    }
    sizes = {"labelled": config["labelled"], "unlabelled": config["unlabelled"]}
    sizes["unfeatured"] = config.get("unfeatured", 0)
    if config["driver"] == "loop":
        train(model, data, initial_epoch=state.get("epoch"), **sizes, **shared)
    else:
        model.fit(data.train(**sizes), initial_epoch=state.get("epoch", 0), **shared)
    return checkpoint.history


def _knows_hidden_labels(model: SemiSupervisedVAE, data: Data) -> bool:
    """Whether predictions of unlabelled images can be judged: by classes, that is, not clusters."""
    classes = "classification" in model.TERMS and len(data.labelled_indices) > 0
    return classes and has_labels(data.hidden_labels[data.unlabelled_indices])
