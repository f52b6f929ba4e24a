"""Checkpoints that a killed run continues from, bit for bit."""

import contextlib
import errno
import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import keras

from tfssvae import checked_json
from tfssvae.checks import InputError, closest
from tfssvae.library_errors import reason
from tfssvae.limits import UnreadableFile
from tfssvae.model_files import load_weights
from tfssvae.replicas import is_chief, num_workers, workers_agree
from tfssvae.training.direction import direction_of
from tfssvae.training.divergence import check_weights

_STATE, _WEIGHTS = "state.json", "model.weights.h5"
_OVERHEAD = 2048  # bytes of HDF5 for one variable, at the most
_STEP, _BEST = "step-", "best-"  # folders: of the last steps, and of the best epoch


class Checkpoint(keras.callbacks.Callback):
    """Save everything a run needs to continue: weights, optimizer, step counts, metrics, history.

    A checkpoint is written beside its place and renamed, so that a process killed in the middle
    leaves the previous one intact. The noise and the order of the data are functions of the step:
    there is no other state. Weights that are not finite are refused: nothing could follow them.

    Where several processes train one model (`tf.distribute.MultiWorkerMirroredStrategy`) the first
    of them writes, at the end of every epoch: their clocks do not agree on a time. All restore from
    the folder, which all have to see.

    Args:
        folder: where checkpoints go, one folder each.
        keep: how many of the latest ones stay.
        every_seconds: the time between checkpoints, at the least.
        mid_epoch: whether to save within an epoch too. The compiled loop resumes anywhere, `fit`
            at the beginning of an epoch.
        best: a name in the logs of an epoch, such as "val_loss": the epoch in which it was best
            has a checkpoint of its own, which stays. Accuracies and bounds are best when high,
            terms of the loss when low. None keeps no best.
        state: what `restore_latest` returned, where the run is resumed.
        context: what a resumed run is to know besides, such as its configuration; it is the
            "context" of the state.
    """

    def __init__(
        self,
        folder,
        keep: int = 2,
        every_seconds: float = 30.0,
        mid_epoch: bool = False,
        best: str | None = None,
        state: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
    ):
        super().__init__()
        state = state or {}
        self.seconds = state.get("seconds", 0.0)
        self.history = {name: list(v) for name, v in state.get("history", {}).items()}
        self.best = best
        self._sign = 1 if best is None or direction_of(best) == "maximize" else -1
        self.best_epoch = state.get("best")
        self.context = context or {}
        self.folder = Path(folder)
        self.keep = keep
        self.every_seconds = every_seconds
        self.mid_epoch = mid_epoch
        self._epoch: int | None = None  # none has begun
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
        for path in self.folder.glob(".partial-*"):  # of processes that were killed
            shutil.rmtree(path, ignore_errors=True)
        self._remove_abandoned_bests()

    def on_epoch_begin(self, epoch, logs=None):
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Save in mid-epoch where asked to."""
        if self.mid_epoch and self._alone and self._epoch is not None and self._due():
            self._save(self._epoch)

    def on_epoch_end(self, epoch, logs=None):
        """Save, with this epoch in the history."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self._epoch = epoch + 1
        self._keep_best(epoch + 1, logs or {})
        if self._due() or not self._alone:
            self._save(epoch + 1)

    def on_train_end(self, logs=None):
        """Save the end of the run, so that more epochs can follow it."""
        if self._epoch is not None and self._saved_step != int(self.model.steps_done.numpy()):
            self._save(self._epoch)

    @property
    def seconds_so_far(self) -> float:
        """Seconds of training, in this session and those before."""
        return self.seconds + time.monotonic() - self._began_at

    def _due(self) -> bool:
        return time.monotonic() - self._saved_at >= self.every_seconds

    def _save(self, epoch: int) -> None:
        step = int(self.model.steps_done.numpy())
        # Every process reads, for some variables are the sums of all; one writes.
        metrics = [variable.numpy().tolist() for variable in self.model.metrics_variables]
        self._saved_at, self._saved_step = time.monotonic(), step
        if not self._writes:
            return
        state = {
            "epoch": epoch,
            "step": step,
            "seconds": self.seconds_so_far,
            "history": self.history,
            "metrics": metrics,
            "best": self.best_epoch,
            "context": self.context,
        }
        self._write(_name(_STEP, step), state)
        # Those of later steps are none of this run: nobody could read them, or it would be there.
        own = [path for path in _checkpoints(self.folder) if _step(path) <= step]
        for old in own[: -self.keep]:
            shutil.rmtree(old)
        self._remove_abandoned_bests()

    def _keep_best(self, epoch: int, logs: dict) -> None:
        if self.best is None or not self._writes:
            return
        if self.best not in logs and any(name.startswith("val_") for name in logs):
            raise InputError(f"best={self.best!r} is not logged: {closest(self.best, logs)}")
        value = float(logs.get(self.best, math.nan))
        before = self.best_epoch["value"] if self.best_epoch else -self._sign * math.inf
        if not self._sign * value > self._sign * before:  # nor where it is no number
            return
        step = int(self.model.steps_done.numpy())
        found = {"name": self.best, "value": value, "epoch": epoch, "step": step}
        self._write(_name(_BEST, step), found)
        self.best_epoch = found

    def _remove_abandoned_bests(self) -> None:
        """Remove best epochs that no checkpoint knows: what can be resumed keeps its own."""
        bests = list(self.folder.glob(f"{_BEST}*"))
        if not bests:
            return  # without reading a history that grows with the run
        known = {_name(_BEST, self.best_epoch["step"])} if self.best_epoch else set()
        for path in _checkpoints(self.folder):
            with contextlib.suppress(UnreadableFile):
                best = checked_json.read_state(path / _STATE)["best"]
                known |= {_name(_BEST, best["step"])} if best else set()
        for path in bests:
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    def _write(self, name: str, state: dict[str, Any]) -> None:
        """Write the weights and `state` as a folder that is either whole or not there."""
        check_weights(self.model)
        final, partial = self.folder / name, self.folder / f".partial-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        check_room(self.model, self.folder)
        try:
            partial.mkdir()
            self.model.save_weights(partial / _WEIGHTS)
            (partial / _STATE).write_text(json.dumps(state))
            for path in (partial / _WEIGHTS, partial / _STATE, partial):
                _sync(path)
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
            _sync(self.folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)  # a full disk is not made fuller
            raise


def restore_latest(model: keras.Model, folder) -> dict | None:
    """Load the latest checkpoint of a folder that can be read into a compiled model.

    Returns:
        {"epoch": the epoch to go on with, "step": steps taken, "seconds": of training, "history":
        logs so far, "best": the best epoch so far, "context": that of the `Checkpoint`}, or None
        where there is no checkpoint.

    Raises:
        InputError: no checkpoint can be read, the latest does not fit the model or refers to other
            files, or other processes that train it see another one.
    """
    latest = max(map(_step, _checkpoints(Path(folder))), default=-1)
    if not workers_agree(model.distribute_strategy, latest):
        seen = f"step {latest}" if latest >= 0 else "none"
        raise InputError(
            f"the latest checkpoint in {folder} is {seen} here and another one for another worker: "
            "all have to see the same folder"
        )
    damage = None
    for path in reversed(_checkpoints(Path(folder))):
        try:
            state = checked_json.read_state(path / _STATE)
            model.prepare()
            load_weights(model, path / _WEIGHTS)
        except UnreadableFile as error:
            damage = damage or error
            continue  # damaged after it was written: the one before it is as good a start
        try:
            for variable, value in zip(model.metrics_variables, state.pop("metrics"), strict=True):
                variable.assign(value)
        except ValueError as error:
            raise InputError(f"{path / _STATE} does not fit this model: {reason(error)}") from error
        return state
    if damage is not None:
        raise InputError(
            f"no checkpoint in {folder} can be read ({damage}): put back what is missing, or "
            "delete the folder to begin anew"
        )
    return None


def load_best(model: keras.Model, folder) -> dict[str, Any]:
    """Load the weights of the best epoch into a compiled model.

    Returns:
        {"name": what was best, "value", "epoch": counted from 1, "step"}.

    Raises:
        InputError: no best epoch was kept, or it is damaged.
    """
    for path in sorted(Path(folder).glob(f"{_BEST}*"), reverse=True):
        try:
            state = checked_json.read_best(path / _STATE)
            model.prepare()
            load_weights(model, path / _WEIGHTS)
        except InputError as error:
            raise InputError(
                f"checkpoint {path} is damaged or not of this model: {error}"
            ) from None
        return state
    raise InputError(
        f"{folder} has no best epoch: it is chosen on validation data, so train with --validation"
    )


def check_room(model: keras.Model, folder: Path) -> None:
    """Refuse to write a model to a disk that is full: HDF5 may take the process down with it.

    Raises:
        OSError: the weights and the state of the optimizer do not fit.
    """
    variables = [*model.variables, *model.optimizer.variables]
    needed = sum(4 * math.prod(v.shape) + _OVERHEAD for v in variables)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"the model needs about {needed / 2**20:.1f} MiB and {free / 2**20:.1f} MiB are free",
            str(folder),
        )


def _name(kind: str, step: int) -> str:
    return f"{kind}{step:09d}"


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checkpoints(folder: Path) -> list[Path]:
    """Return the folders of checkpoints in the order of their steps."""
    found = [path for path in folder.glob(f"{_STEP}*") if path.is_dir() and _step(path) >= 0]
    return sorted(found, key=_step)


def _step(path: Path) -> int:
    digits = path.name[len(_STEP) :]
    return int(digits) if digits.isascii() and digits.isdecimal() else -1
