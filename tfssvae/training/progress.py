"""The progress of a run: a short line that says where it is."""

import time

import keras

from tfssvae.training.messages import Say, to_people


class ProgressLines(keras.callbacks.Callback):
    """Say epoch, loss, accuracy and the time left at the end of every epoch.

    Args:
        epochs: the epoch at which the run ends.
        first_epoch: the epoch at which it begins.
        labelled: whether training sees labels; without any there is no training accuracy.
        say: receives the line as event "epoch" with the fields "epoch", "epochs", "seconds_left"
            and "logs"; `messages.to_people` rewrites one line on a terminal.
    """

    def __init__(
        self, epochs: int, first_epoch: int = 0, labelled: bool = True, say: Say = to_people
    ):
        super().__init__()
        self.epochs, self.first_epoch = epochs, first_epoch
        self.labelled = labelled
        self.say = say
        self._started = 0.0

    def on_train_begin(self, logs=None):
        """Start the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Say the line of this epoch."""
        done = epoch + 1
        elapsed = time.monotonic() - self._started
        left = elapsed / max(1, done - self.first_epoch) * (self.epochs - done)
        values = {name: float(value) for name, value in (logs or {}).items()}
        if not self.labelled:
            values.pop("accuracy", None)
        self.say(
            self._line(done, values, elapsed, left),
            event="epoch",
            epoch=done,
            epochs=self.epochs,
            seconds_left=round(left, 1),
            logs=values,
        )

    def _line(self, done: int, values: dict[str, float], elapsed: float, left: float) -> str:
        shown = [f"epoch {done}/{self.epochs}"]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            if name in values:
                digits = 4 if name.endswith("accuracy") else 2
                shown.append(f"{name} {values[name]:.{digits}f}")
        shown.append(f"{duration(left)} left" if left else f"took {duration(elapsed)}")
        return "  ".join(shown)


def duration(seconds: float) -> str:
    """Return a time for people, such as "2 min 5 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
