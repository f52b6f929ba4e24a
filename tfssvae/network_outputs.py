"""Networks whose outputs are squeezed already, where a method expects any real numbers."""

import keras
import numpy as np

from tfssvae.checks import InputError
from tfssvae.networks import ConditionalNetwork

_SQUEEZING = {"softmax", "sigmoid", "hard_sigmoid"}
_SHAPING = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Dropout)
_MEANING = {
    "classifier": "class logits, of which the method takes the softmax itself",
    "decoder": "the logits of pixels, of which the likelihood takes the sigmoid itself",
}


def check_outputs(model) -> None:
    """Refuse a classifier that ends in a softmax, or a decoder that ends in a sigmoid.

    What they return would be squeezed twice: of ten classes none could become likelier than 0.23.

    Args:
        model: a method.

    Raises:
        InputError: naming the layer.
    """
    for part in _MEANING:
        found = _squeezing_layer(getattr(model, part, None))
        if found is not None:
            layer, activation = found
            raise InputError(
                f"{part} ends in the layer {layer!r} with activation {activation}, and its outputs "
                f"must be {_MEANING[part]}: leave that activation out"
            )


def check_logits(logits: np.ndarray) -> None:
    """Refuse logits that are class probabilities, of a network that shows no layers.

    Args:
        logits: (rows, K) of a new model.

    Raises:
        InputError: every row is in 0..1 and sums to 1.
    """
    if ((logits >= 0) & (logits <= 1)).all() and np.allclose(logits.sum(axis=-1), 1, atol=1e-5):
        raise InputError(
            f"classifier returns class probabilities, and its outputs must be "
            f"{_MEANING['classifier']}: leave the softmax out"
        )


def _squeezing_layer(network) -> tuple[str, str] | None:
    """Return the name and the activation of the layer that squeezes the output, if one does."""
    if isinstance(network, ConditionalNetwork):
        return _squeezing_layer(network.body)
    if isinstance(network, keras.Model):
        layers = [layer for layer in network.layers if not isinstance(layer, _SHAPING)]
        return _squeezing_layer(layers[-1]) if layers else None
    if isinstance(network, keras.layers.Softmax):
        return network.name, "softmax"
    activation = getattr(getattr(network, "activation", None), "__name__", None)
    return (network.name, activation) if activation in _SQUEEZING else None
