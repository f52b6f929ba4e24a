"""What a model makes of unlabelled images over training, where their labels are known."""

import keras
import numpy as np

from tfssvae.evaluation.hidden_labels import hidden_label_divergence, hidden_label_rows
from tfssvae.evaluation.history import HIDDEN_DIVERGENCE

_MOST_ROWS = 2000
_BATCH = 500


class HiddenDivergence(keras.callbacks.Callback):
    """Add KL(q(y|x) || p^(y|x)) of unlabelled training images to each epoch's logs.

    `hidden_divergence`, nats, is the mean over up to 2000 unlabelled rows, the same after every
    epoch; p^ is the smoothed label that training does not see (SHOT-VAE, Figure 4). Callbacks that
    read the logs, such as TensorBoard's, come after this one.

    Args:
        data: a `Data` whose source knows the labels.

    Raises:
        InputError: no hidden label is known.
    """

    def __init__(self, data):
        super().__init__()
        rows = hidden_label_rows(data, _MOST_ROWS)
        self._x, self._labels = data.x_train[rows], data.hidden_labels[rows]

    def on_epoch_end(self, epoch, logs=None):
        """Measure, after the last step of the epoch."""
        if logs is None:
            return
        probs = self.model.predict(self._x, batch_size=_BATCH, verbose=0)
        if not np.isfinite(probs).all():  # diverged: others say so
            logs[HIDDEN_DIVERGENCE] = float("nan")
            return
        logs[HIDDEN_DIVERGENCE] = float(hidden_label_divergence(probs, self._labels).mean())
