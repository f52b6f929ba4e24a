"""The baseline of every table: a classifier q(y|x) trained on the labels alone."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfssvae import losses, networks
from tfssvae.core import SemiSupervisedVAE, Terms


@keras.saving.register_keras_serializable("tfssvae")
class Supervised(SemiSupervisedVAE):
    """A classifier in the clothes of a method: one term, the same batches, the same step.

    It has no latent code and no likelihood: of the views of a model only `predict` exists.

    Args:
        input_shape: shape of one image.
        num_classes: K.
        classifier: network from x to K logits.
        **kwargs: of `SemiSupervisedVAE`.
    """

    TERMS = {"classification": "-log q(y|x) of the labelled images"}  # noqa: RUF012

    def __init__(
        self, input_shape: Sequence[int], num_classes: int, classifier: keras.Model, **kwargs
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.classifier = classifier
        self.finish()

    def predict_logits(self, x, training=False):
        """Return the logits of q(y|x), (batch, K)."""
        return tf.cast(self.classifier(x, training=training), tf.float32)

    def terms(self, batch, training):
        """Return the cross-entropy of the labelled images."""
        logits = self.predict_logits(batch.images, training)
        value = -losses.categorical_log_prob(batch.labels, logits[: batch.num_labelled])
        return Terms(values={"classification": value}, logits=logits)


def labels_alone(model: SemiSupervisedVAE) -> Supervised:
    """Return an untrained supervised baseline for a method.

    It is a fresh copy of the method's classifier; where that does not take images (but a code, or
    images and an auxiliary variable), the default classifier of images of the same width.
    """
    classifier = getattr(model, "classifier", None)
    inputs = getattr(classifier, "inputs", None) or []
    if len(inputs) == 1 and tuple(inputs[0].shape[1:]) == model.example_shape:
        network = keras.models.clone_model(classifier)
    else:
        hidden = getattr(model, "hidden", (600,))
        network = networks.mlp(
            model.example_shape,
            hidden[:1],
            model.num_classes,
            seed=model.seed,
            dtype=model.dtype_policy,
        )
    return Supervised(
        model.example_shape,
        model.num_classes,
        network,
        seed=model.seed,
        dtype=model.dtype_policy,
    )
