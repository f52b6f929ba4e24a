"""Keras's progress bar, cut to the width of the terminal while an epoch runs."""

import shutil
import sys

import keras
import tensorflow as tf

_BAR = 52  # columns of the bar, the number of the step and the time left


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Shows the loss, the metrics and as many terms as fit into one line; all when an epoch ends.

    A method logs a dozen names. A line that the terminal breaks cannot be written over, and each
    update of Keras's own bar would leave it behind.
    """

    def on_train_batch_end(self, batch, logs=None):
        """Show what fits."""
        super().on_train_batch_end(batch, self._shown(logs or {}))

    def _shown(self, logs: dict) -> dict:
        if not sys.stdout.isatty():
            return logs
        terms = {*self.model.term_means.names}
        room = shutil.get_terminal_size().columns - _BAR
        shown = {}
        for name in sorted(logs, key=lambda name: name in terms):  # stable: the loss stays first
            room -= len(f" - {name}: {logs[name]:.4f}")
            if room < 0:
                break
            shown[name] = logs[name]
        return shown


def with_progress_bar(callbacks) -> list[keras.callbacks.Callback]:
    """Return callbacks as a flat list, with the bar where they bring none of their own."""
    found = tf.nest.flatten(callbacks)
    own = any(isinstance(callback, keras.callbacks.ProgbarLogger) for callback in found)
    return found if own else [*found, ProgressBar()]
