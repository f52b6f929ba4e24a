"""Checkpoints that a killed run continues from, bit for bit."""

import json
import os
import shutil
import time
from pathlib import Path

import keras

from tfssvae import checked_json
from tfssvae.checks import InputError
from tfssvae.limits import UnreadableFile, first_line
from tfssvae.model_files import load_weights
from tfssvae.replicas import is_chief, num_workers, workers_agree

_STATE, _WEIGHTS = "state.json", "model.weights.h5"


class Checkpoint(keras.callbacks.Callback):
    """Save everything a run needs to continue: weights, optimizer, step counts, metrics, history.

    A checkpoint is written beside its place and renamed, so that a process killed in the middle
    leaves the previous one intact. The noise and the order of the data are functions of the step:
    there is no other state.

    Where several processes train one model (`tf.distribute.MultiWorkerMirroredStrategy`) the first
    of them writes, at the end of every epoch: their clocks do not agree on a time. All restore from
    the folder, which all have to see.

    Args:
        folder: where checkpoints go, one folder each.
        keep: how many of the latest ones stay.
        every_seconds: the time between checkpoints, at the least.
        mid_epoch: whether to save within an epoch too. The compiled loop resumes anywhere, `fit`
            at the beginning of an epoch.
        history: the logs of the epochs before, where the run was resumed.
        seconds: of training before, where the run was resumed.
    """

    def __init__(
        self,
        folder,
        keep: int = 2,
        every_seconds: float = 30.0,
        mid_epoch: bool = False,
        history: dict[str, list[float]] | None = None,
        seconds: float = 0.0,
    ):
        super().__init__()
        self.seconds = seconds
        self.history = {name: list(values) for name, values in (history or {}).items()}
        self.folder = Path(folder)
        self.keep = keep
        self.every_seconds = every_seconds
        self.mid_epoch = mid_epoch
        self._epoch = 0
        self._saved_at = self._began_at = 0.0
        self._saved_step = -1
        self._alone = self._writes = True

    def on_train_begin(self, logs=None):
        """Make the folder before any work, so that a full or read-only disk is known at once."""
        self._alone = num_workers(self.model.distribute_strategy) == 1
        self._writes = is_chief(self.model.distribute_strategy)
        self._saved_at = self._began_at = time.monotonic()
        if not self._writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for partial in self.folder.glob(".partial-*"):  # of processes that were killed
            shutil.rmtree(partial, ignore_errors=True)

    def on_epoch_begin(self, epoch, logs=None):
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Save in mid-epoch where asked to."""
        if self.mid_epoch and self._alone and self._due():
            self._save(self._epoch)

    def on_epoch_end(self, epoch, logs=None):
        """Save, with this epoch in the history."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self._epoch = epoch + 1
        if self._due() or not self._alone:
            self._save(epoch + 1)

    def on_train_end(self, logs=None):
        """Save the end of the run, so that more epochs can follow it."""
        if self._saved_step != int(self.model.steps_done.numpy()):
            self._save(self._epoch)

    def _due(self) -> bool:
        return time.monotonic() - self._saved_at >= self.every_seconds

    def _save(self, epoch: int) -> None:
        step = int(self.model.steps_done.numpy())
        # Every process reads, for some variables are the sums of all; one writes.
        metrics = [variable.numpy().tolist() for variable in self.model.metrics_variables]
        self._saved_at, self._saved_step = time.monotonic(), step
        if not self._writes:
            return
        final = self.folder / f"step-{step:09d}"
        partial = self.folder / f".partial-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        self.model.save_weights(partial / _WEIGHTS)
        state = {
            "epoch": epoch,
            "step": step,
            "seconds": self.seconds + time.monotonic() - self._began_at,
            "history": self.history,
            "metrics": metrics,
        }
        (partial / _STATE).write_text(json.dumps(state))
        for name in (_WEIGHTS, _STATE):
            with open(partial / name, "rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        for old in _checkpoints(self.folder)[: -self.keep]:
            shutil.rmtree(old)


def restore_latest(model: keras.Model, folder) -> dict | None:
    """Load the latest whole checkpoint of a folder into a compiled model.

    Returns:
        {"epoch": the epoch to go on with, "step": steps taken, "seconds": of training, "history":
        logs so far}, or None where there is no checkpoint.

    Raises:
        InputError: the checkpoint does not fit the model or refers to other files, or other
            processes that train it see another one.
    """
    steps = [int(path.name[5:]) for path in _checkpoints(Path(folder))]
    latest = max(steps, default=-1)
    if not workers_agree(model.distribute_strategy, latest):
        seen = f"step {latest}" if latest >= 0 else "none"
        raise InputError(
            f"the latest checkpoint in {folder} is {seen} here and another one for another worker: "
            "all have to see the same folder"
        )
    for path in reversed(_checkpoints(Path(folder))):
        try:
            state = checked_json.read_state(path / _STATE)
            model.prepare()
            load_weights(model, path / _WEIGHTS)
        except UnreadableFile:
            continue  # damaged after it was written: the one before it is as good a start
        try:
            for variable, value in zip(model.metrics_variables, state.pop("metrics"), strict=True):
                variable.assign(value)
        except ValueError as error:
            raise InputError(
                f"{path / _STATE} does not fit this model: {first_line(error)}"
            ) from error
        return state
    return None


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.name[5:].isdigit())
