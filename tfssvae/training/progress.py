"""Progress for people: a short line that says where a run is, and a sentence if it is lost."""

import math
import sys
import time

import keras
import numpy as np

from tfssvae.checks import SettingError

_LINES = 20  # of a run whose output goes to a file


class ProgressLines(keras.callbacks.Callback):
    """Print epoch, loss, accuracy and the time left.

    On a terminal one line is rewritten after every epoch; in a file about 20 lines are written.

    Args:
        epochs: the epoch at which the run ends.
        first_epoch: the epoch at which it begins.
        stream: where to; None is standard output.
        labelled: whether training sees labels; without any there is no training accuracy.
    """

    def __init__(self, epochs: int, first_epoch: int = 0, stream=None, labelled: bool = True):
        super().__init__()
        self.epochs, self.first_epoch = epochs, first_epoch
        self.stream = stream
        self.labelled = labelled
        self._started = 0.0

    def on_train_begin(self, logs=None):
        """Start the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Print the line of this epoch."""
        stream = self.stream or sys.stdout
        done = epoch + 1
        line = self._line(done, logs or {})
        if stream.isatty():
            stream.write(f"\r\x1b[K{line}" + ("\n" if done == self.epochs else ""))
        elif done % max(1, self.epochs // _LINES) == 0 or done == self.epochs:
            stream.write(line + "\n")
        stream.flush()

    def _line(self, done: int, logs: dict) -> str:
        shown = [f"epoch {done}/{self.epochs}"]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            if name in logs and (self.labelled or name != "accuracy"):
                digits = 4 if name.endswith("accuracy") else 2
                shown.append(f"{name} {float(logs[name]):.{digits}f}")
        elapsed = time.monotonic() - self._started
        left = elapsed / max(1, done - self.first_epoch) * (self.epochs - done)
        shown.append(f"{duration(left)} left" if left else f"took {duration(elapsed)}")
        return "  ".join(shown)


class StopWhenDiverged(keras.callbacks.Callback):
    """Refuse to go on with weights that are no longer numbers: no epoch brings them back.

    A loss that is not finite while the weights are, which float16 recovers from, stops nothing.

    Raises:
        SettingError: at the end of the epoch.
    """

    def on_epoch_end(self, epoch, logs=None):
        """Look at the weights where the loss is not finite."""
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        if not all(np.isfinite(weights.numpy()).all() for weights in self.model.trainable_weights):
            raise SettingError(
                f"training diverged: the loss is {loss} after epoch {epoch + 1} and the weights "
                "are not finite; start a new run with a lower learning rate"
            )


def duration(seconds: float) -> str:
    """Return a time for people, such as "2 min 5 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
