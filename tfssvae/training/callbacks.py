"""What TensorBoard shows beside Keras's scalars: images, calibration and the latent space."""

import logging
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tfssvae import evaluation
from tfssvae.checks import InputError, check_images, check_labels, check_same_length
from tfssvae.evaluation.class_names import check_class_names
from tfssvae.evaluation.images import as_pictures
from tfssvae.library_errors import reason
from tfssvae.training.projector import write_projector

_T = TypeVar("_T")
_LOG = logging.getLogger("tfssvae")
_MOST_ROWS = 2000
_MOST_BYTES = 1 << 26  # 64 MiB of images as float32
_BATCH = 200
_RECONSTRUCTED = 20


class TensorBoardImages(keras.callbacks.Callback):
    """Write to TensorBoard what a model reconstructs, generates, confuses and encodes.

    Every `every` epochs: reconstructions, generated images (a row per class), the histogram of the
    confidence and, with labels, the confusion matrix. At the end of training: the latent means
    with class names and thumbnails, for the projector. Up to 2000 rows of `x` are used, chosen by
    `seed` and fewer where images are large, so that memory does not grow with `x`.

    Everything goes to the run "images" of `log_dir`, beside the runs "train" and "validation" of
    `keras.callbacks.TensorBoard(log_dir)` and with the same epoch numbers: two writers in one run
    would hide each other's events.

    Training never stops because something could not be written, such as on a full disk: the first
    failure is logged as a warning of the logger "tfssvae", and each later epoch tries again.

    Args:
        log_dir: folder of the run, the one that Keras's TensorBoard callback is given.
        x: (n, *input_shape) uint8, or float in [0, 1], such as `data.x_test`.
        y: (n,) their classes, -1 where unknown; None: no labels.
        class_names: K names; None: the numbers of the classes.
        every: epochs from one writing to the next.
        seed: of the choice of rows and of the generated images.

    Raises:
        InputError: an argument is not as described; when training begins, x does not fit the model.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        x: ArrayLike,
        y: ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        every: int = 1,
        seed: int = 0,
    ):
        super().__init__()
        if every < 1:
            raise InputError(f"every must be at least 1 epoch, got {every}.")
        self.folder = os.path.join(os.fspath(log_dir), "images")
        self.class_names = None if class_names is None else [str(name) for name in class_names]
        self.every = int(every)
        self.seed = int(seed)
        self._x, self._y = _choose_rows(x, y, self.seed)
        as_pictures(self._x[:1])  # refuses images that cannot be shown before any training
        self._writer: tf.summary.SummaryWriter | None = None
        self._failed = False

    def on_train_begin(self, logs=None):
        """Check that the examples fit the model."""
        self._x = check_images(self._x, shape=self.model.example_shape)
        if self._y is not None:
            check_labels(self._y, self.model.num_classes)
        if self.class_names is None:
            self.class_names = [str(k) for k in range(self.model.num_classes)]
        check_class_names(self.class_names, self.model.num_classes)
        self._failed = False

    def on_epoch_end(self, epoch, logs=None):
        """Write images and histograms."""
        if (epoch + 1) % self.every == 0:
            self._attempt(lambda: self._write_epoch(epoch), f"images of epoch {epoch + 1}")

    def on_train_end(self, logs=None):
        """Write the latent codes and close the run."""
        self._attempt(self._write_latent, "latent codes")
        if self._writer is not None:
            self._attempt(self._writer.close, "last images")
            self._writer = None

    def _attempt(self, write: Callable[[], None], what: str) -> None:
        try:
            write()
        except (OSError, tf.errors.OpError, InputError) as error:
            # InputError: weights that diverged to NaN draw no images.
            # A writer keeps what it could not write: a new one bounds memory, in a file of its own.
            self._writer = None
            if not self._failed:
                message = "TensorBoard does not get the %s in %s, training goes on: %s"
                _LOG.warning(message, what, self.folder, reason(error))
            self._failed = True

    def _write_epoch(self, epoch: int) -> None:
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self.folder)
        probabilities = self._predict()
        figures = {
            "reconstruction": self._view(self._draw_reconstructions),
            "generation": self._view(self._draw_classes),
            "confusion": self._draw_confusion(probabilities),
        }
        # Keras's callback leaves a condition of its own on all summaries (`update_freq`).
        with self._writer.as_default(step=epoch), tf.summary.record_if(True):
            for name, figure in figures.items():
                if figure is not None:
                    tf.summary.image(f"images/{name}", evaluation.figure_pixels(figure)[None])
            for name, values in self._confidence(probabilities).items():
                tf.summary.histogram(f"confidence/{name}", values)
        self._writer.flush()

    def _write_latent(self) -> None:
        probabilities = self._predict()
        names = np.array(self.class_names, dtype=object)
        columns = {
            "prediction": names[probabilities.argmax(axis=1)],
            "confidence": [f"{value:.4f}" for value in probabilities.max(axis=1)],
        }
        if self._y is not None:
            # Index -1, no label, is the last entry.
            columns = {"class": np.append(names, "(unlabelled)")[self._y], **columns}
        codes = self._view(lambda: self.model.encode(self._x, batch_size=_BATCH))
        if codes is not None:
            write_projector(self.folder, "latent_mean", codes, columns, self._x)

    def _draw_reconstructions(self) -> Figure:
        return evaluation.reconstruction_figure(self.model, self._x[:_RECONSTRUCTED])

    def _draw_classes(self) -> Figure:
        return evaluation.class_samples_figure(self.model, self.class_names, seed=self.seed)

    def _draw_confusion(self, probabilities: NDArray[np.float32]) -> Figure | None:
        if self._y is None:
            return None
        matrix = evaluation.confusion_matrix(self._y, probabilities, self.model.num_classes)
        return evaluation.confusion_figure(matrix, self.class_names)

    def _confidence(self, probabilities: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        highest = probabilities.max(axis=1)
        if self._y is None:
            return {"all": highest}
        correct = probabilities.argmax(axis=1) == self._y
        wrong = ~correct & (self._y >= 0)
        return {"all": highest, "correct": highest[correct], "wrong": highest[wrong]}

    @staticmethod
    def _view(make: Callable[[], _T]) -> _T | None:
        """Return what `make` does, or None where the model has no such view, as a classifier."""
        try:
            return make()
        except NotImplementedError:
            return None

    def _predict(self) -> NDArray[np.float32]:
        return self.model.predict(self._x, batch_size=_BATCH, verbose=0)


def _choose_rows(x: ArrayLike, y: ArrayLike | None, seed: int):
    """Return a random choice of rows, in random order, and their labels."""
    array = np.asanyarray(x)
    if array.ndim < 2:
        raise InputError(f"x must be (n, d), (n, h, w) or (n, h, w, c), got {array.shape}.")
    most = max(1, min(_MOST_ROWS, _MOST_BYTES // (4 * max(1, int(np.prod(array.shape[1:]))))))
    rows = np.random.default_rng(seed).permutation(len(array))[:most]
    images = check_images(array[rows])
    if y is None:
        return images, None
    labels = check_labels(y)
    check_same_length(array, labels)
    return images, labels[rows] if (labels[rows] >= 0).any() else None
