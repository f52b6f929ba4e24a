"""What every regularizer is: further terms of the loss of any method."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfssvae.batch import Batch
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.replicas import on_one_device
from tfssvae.weights import Weight


class Regularizer(keras.layers.Layer):
    """A part of the loss that any method takes, `regularizers=[...]` of its constructor.

    A subclass implements `terms`. Registered with `keras.saving.register_keras_serializable` and
    with a `get_config`, it is saved with the model, its variables included; those it makes in
    `build(num_classes)`. Its terms have weights by name like the method's own, and the same rules
    hold for their names (see `core.Terms`).
    """

    def __init__(self, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    @property
    def foreign_metrics(self) -> list:
        """Metrics of models that it owns, which are not those of the model that is trained."""
        return []

    def terms(
        self, model: SemiSupervisedVAE, batch: Batch, terms: Terms, training: bool
    ) -> dict[str, tf.Tensor]:
        """Return further named terms of the loss for a batch, in nats.

        Args:
            model: the method that is trained.
            batch: the batch.
            terms: what the method said about it: its logits and latents may be used again.
            training: whether weights are being trained.
        """
        raise NotImplementedError

    def default_weights(self) -> dict[str, Weight]:
        """Return the weights of its terms that differ from 1 when the user sets none."""
        return {}

    def recommended_weights(self, steps: int) -> dict[str, Weight]:
        """Return the weights for a run of so many steps: a warm-up lasts as long as the run."""
        return self.default_weights()


def term_of_rows(x: tf.Tensor, term: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Return a term of the rows of x, (rows,), without making it where there are none.

    Convolutions, batch normalisation and comparisons of rows take no empty batch.
    """
    if x.shape[0] == 0:
        return tf.zeros((0,))
    if x.shape[0] is None and on_one_device():  # replicas cannot meet inside of a condition
        return tf.cond(tf.shape(x)[0] > 0, term, lambda: tf.zeros((0,)))
    return term()
