"""The training of a run: its driver, callbacks, checkpoints, and what follows a divergence."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfssvae.checks import DivergenceError, InputError
from tfssvae.core import SemiSupervisedVAE
from tfssvae.data import Data
from tfssvae.evaluation.curves import ACCURACY, BOUND
from tfssvae.runs.build import build
from tfssvae.runs.measures import EVALUATION_BATCH, has_labels
from tfssvae.training import (
    Checkpoint,
    DivergenceGuard,
    HiddenDivergence,
    ProgressLines,
    TensorBoardImages,
    restore_latest,
    train,
)
from tfssvae.training.messages import Say

_MOST_ROLLBACKS = 5
_PREDICTED = 100  # rows that are looked at when training has ended
# What may change: where things are and how they are read, and what replicas change, rounding.
_FREE = (
    *("checkpoint_seconds", "checkpoints", "on_divergence", "replicas"),
    *("data.data_dir", "data.stream"),
)


def drive(
    model: SemiSupervisedVAE, config: dict[str, Any], data: Data, folder: Path, say: Say
) -> tuple[SemiSupervisedVAE, dict[str, Any]]:
    """Train a new model of a run from its last checkpoint, or from the beginning, to the end.

    A run that diverges and may roll back goes on from its last checkpoint with half the learning
    rate, five times at the most. Where the last checkpoint is depends on the clock, so such a run
    alone is not repeated bit for bit.

    Returns:
        The trained model, and over all sessions {"seconds", "history", "best" (epoch, or None),
        "rollbacks"}.

    Raises:
        DivergenceError: training diverged, and may not roll back or did so five times.
        InputError: the last checkpoint is of another configuration.
    """
    state = restore_latest(model, folder / "checkpoints")
    rollbacks = _resumed(config, state, folder, say)
    while True:
        if rollbacks:
            model.optimizer.learning_rate = after_rollbacks(config, rollbacks)["learning_rate"]
        context = {"config": config, "rollbacks": rollbacks}
        checkpoint = _checkpoint(config, model, data, folder / "checkpoints", state, context)
        try:
            _run_driver(model, data, config, folder, checkpoint, state or {}, say)
            _check_predictions(model, data)
        except DivergenceError as error:
            if config.get("on_divergence") != "roll_back" or len(rollbacks) == _MOST_ROLLBACKS:
                raise DivergenceError(f"{error}; start a new run with a lower rate") from None
            model = build(config, data)
            state = restore_latest(model, folder / "checkpoints")
            step = 0 if state is None else state["step"]
            rollbacks = [*rollbacks, {"from_step": step, "reason": str(error)}]
            times = 2 ** len(rollbacks)
            say(
                f"{error}; back to step {step} with a learning rate {times} times lower",
                event="rollback",
                **rollbacks[-1],
            )
        else:
            return model, {
                "seconds": checkpoint.seconds_so_far,
                "history": checkpoint.history,
                "best": checkpoint.best_epoch,
                "rollbacks": rollbacks,
            }


def _check_predictions(model: SemiSupervisedVAE, data: Data) -> None:
    """Refuse weights that are finite and too large to compute with."""
    rows = np.asarray(data.x_train[:_PREDICTED])
    if not np.isfinite(model.predict(rows, batch_size=_PREDICTED, verbose=0)).all():
        raise DivergenceError("training diverged: what the trained model predicts is not finite")


def after_rollbacks(config: dict[str, Any], rollbacks: list) -> dict[str, Any]:
    """Return a configuration with the learning rate that so many rollbacks left."""
    if not rollbacks:
        return config
    return {**config, "learning_rate": config["learning_rate"] / 2 ** len(rollbacks)}


def _resumed(config: dict[str, Any], state, folder: Path, say: Say) -> list[dict[str, Any]]:
    """Return the rollbacks before the last checkpoint, which has to be of this configuration."""
    if state is None:
        return []
    say(f"resuming at step {state['step']}", event="resume", step=state["step"])
    if not state["context"]:
        raise InputError(f"the checkpoints of {folder} are not those of a run: start a new one")
    trained = state["context"]["config"]
    asked, had = _settings(config), _settings(trained)
    different = sorted(
        f"{name} is {asked.get(name)!r} and was {had.get(name)!r}"
        for name in {*asked, *had}
        if asked.get(name) != had.get(name)
    )
    if different:
        raise InputError(
            f"{folder / 'config.json'} is not what its checkpoints were trained with "
            f"({'; '.join(different)}): restore it, or start a new run"
        )
    return state["context"]["rollbacks"]


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return what training depends on, by name; where the data lie is not of it."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        parts = value if name in ("data", "model") else None
        found |= {name: value} if parts is None else {f"{name}.{k}": v for k, v in parts.items()}
    return {name: value for name, value in found.items() if name not in _FREE}


def _checkpoint(config, model, data: Data, folder: Path, state, context) -> Checkpoint:
    return Checkpoint(
        folder,
        keep=config.get("checkpoints", 2),
        every_seconds=config["checkpoint_seconds"],
        mid_epoch=config["driver"] == "loop",
        best=_best_figure(model, data),
        state=state,
        context=context,
    )


def _best_figure(model: SemiSupervisedVAE, data: Data) -> str | None:
    """Return what the best epoch is chosen by: validation data only, never test data."""
    if not len(data.validation_indices):
        return None
    if len(data.labelled_indices) and has_labels(data.y_validation):
        return ACCURACY
    # Unlike the loss, the bound does not change with its weights.
    return BOUND if BOUND.removeprefix("val_") in model.term_means.names else "val_loss"


def _run_driver(model, data: Data, config, folder: Path, checkpoint, state: dict, say: Say) -> None:
    sizes = {"labelled": config["labelled"], "unlabelled": config["unlabelled"]}
    sizes["unfeatured"] = config.get("unfeatured", 0)
    labelled = config["labelled"] > 0
    first = state.get("epoch", 0)
    callbacks = [
        *([HiddenDivergence(data)] if _knows_hidden_labels(model, data) else []),
        DivergenceGuard(folder / "diverged", data, **sizes),  # before what would keep or show it
        keras.callbacks.TensorBoard(folder / "logs", write_graph=False),
        ProgressLines(config["epochs"], first_epoch=first, labelled=labelled, say=say),
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
    if config["driver"] == "loop":
        train(model, data, initial_epoch=state.get("epoch"), **sizes, **shared)
    else:
        model.fit(data.train(**sizes), initial_epoch=first, **shared)


def _knows_hidden_labels(model: SemiSupervisedVAE, data: Data) -> bool:
    """Whether predictions of unlabelled images can be judged: by classes, that is, not clusters."""
    classes = "classification" in model.TERMS and len(data.labelled_indices) > 0
    return classes and has_labels(data.hidden_labels[data.unlabelled_indices])
