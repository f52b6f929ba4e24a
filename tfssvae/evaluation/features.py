"""What a classifier sees before it decides: the activations of its penultimate layer."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_images
from tfssvae.layers import scale_images
from tfssvae.models.vae import Autoencoder
from tfssvae.networks import ConditionalNetwork


def classifier_features(model, x: ArrayLike, batch_size: int = 500) -> NDArray[np.float32]:
    """Return the input of the classifier's last dense layer for each example.

    Where q(y|a, x) has an auxiliary variable (ADGM, SDGM), a is at the mean of q(a|x).

    Args:
        model: a `SemiSupervisedVAE` with a classifier.
        x: (n, *input_shape) uint8, or float in [0, 1].
        batch_size: examples at a time.

    Returns:
        (n, h) float32.

    Raises:
        InputError: x does not fit the model, the method has no classifier, or that classifier is a
            network whose last layer cannot be told.
    """
    classifier = getattr(model, "classifier", None)
    if classifier is None:
        raise InputError(
            f"{type(model).__name__} has no classifier, whose features could be drawn."
        )
    x = check_images(x, shape=model.example_shape)
    network = without_head(classifier)

    @tf.function(reduce_retracing=True, autograph=False)
    def features(images):
        inputs = _classifier_inputs(model, scale_images(images))
        return tf.cast(network(inputs, training=False), tf.float32)

    starts = range(0, len(x), batch_size)
    found = [features(tf.constant(x[i : i + batch_size])).numpy() for i in starts]
    return np.concatenate(found).reshape(len(x), -1)


def without_head(network: keras.Model) -> keras.Model:
    """Return a network that ends where the last dense layer of another begins; both share layers.

    Args:
        network: a built Sequential or functional keras.Model, or a `ConditionalNetwork` whose body
            is one.

    Raises:
        InputError: the network is another kind of model, or its output comes from several layers.
    """
    if isinstance(network, ConditionalNetwork):
        body = without_head(network.body)
        return ConditionalNetwork(network.features, network.merge, body, network.input_shapes)
    outputs = getattr(network, "outputs", None)
    if not outputs:
        raise InputError(
            f"the layers of {network.name} ({type(network).__name__}) are not known: build the "
            "classifier as a Sequential or functional keras.Model."
        )
    tensor = outputs[0]
    while True:
        operation, index, _ = tensor._keras_history
        inputs = operation._inbound_nodes[index].input_tensors if operation else []
        if len(inputs) != 1:
            raise InputError(f"{network.name} does not end in one dense layer.")
        if _has_kernel(operation):
            break
        tensor = inputs[0]  # an activation, a reshape: go on towards the input
    if isinstance(operation, keras.Model):
        return keras.Model(network.inputs, without_head(operation)(inputs[0]))
    return keras.Model(network.inputs, inputs[0])


def _has_kernel(operation) -> bool:
    # Biases and the scales of a normalisation are vectors.
    return any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ()))


def _classifier_inputs(model, x: tf.Tensor):
    """Return what a method gives its classifier for images in [0, 1]."""
    for posterior in ("posterior_a", "posterior_z1"):  # of what the classifier sees beside x
        if hasattr(model, posterior):
            return [x, getattr(model, posterior)(x).mean()]
    if isinstance(model, Autoencoder):
        return model.posterior_z(x).mean()
    return x
