"""Terms that any method takes: one file per regularizer."""

from typing import Protocol

import tensorflow as tf

from tfssvae.batch import Batch
from tfssvae.core import SemiSupervisedVAE, Terms
from tfssvae.regularizers.mier import MIER
from tfssvae.weights import Weight

__all__ = ["MIER", "Regularizer"]


class Regularizer(Protocol):
    """What `regularizers=` of a method takes.

    Registered with `keras.saving.register_keras_serializable` and with a `get_config`, it is saved
    with the model. Its terms have weights by name like the method's own, and the same rules hold
    for their names (see `core.Terms`).
    """

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
        ...

    def default_weights(self) -> dict[str, Weight]:
        """Return the weights of its terms that differ from 1 when the user sets none."""
        ...
