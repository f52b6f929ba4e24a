"""Fully connected networks."""

from collections.abc import Sequence

import keras

from tfssvae.layers import BatchNormalization, MergedDense
from tfssvae.networks.conditional import ConditionalNetwork
from tfssvae.networks.seeds import layer_seeds


def _dense(units: int, activation, seed: int | None, **kwargs) -> keras.layers.Dense:
    initializer = keras.initializers.GlorotUniform(seed)
    return keras.layers.Dense(units, activation, kernel_initializer=initializer, **kwargs)


def _normalised(activation, dtype, momentum: float) -> list[keras.layers.Layer]:
    return [
        BatchNormalization(momentum, dtype=dtype),
        keras.layers.Activation(activation, dtype=dtype),
    ]


def mlp(
    input_shape: Sequence[int],
    hidden: Sequence[int] = (600,),
    outputs: int | None = None,
    activation: str = "relu",
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
    batch_norm: bool = False,
    momentum: float = 0.99,
) -> keras.Model:
    """Build a fully connected network.

    Args:
        input_shape: shape of one example; images are flattened.
        hidden: units of the hidden layers.
        outputs: units of a final linear layer in float32; None ends with the last hidden layer.
        activation: of the hidden layers.
        seed: of the initial weights; None draws from Keras's global seed.
        dtype: a Keras dtype policy for the hidden layers; None is the global one.
        name: of the model.
        batch_norm: whether each hidden layer normalises its products before the activation, with
            the statistics of all replicas.
        momentum: of the running averages of `batch_norm`.

    Returns:
        A keras.Model from (batch, *input_shape) to (batch, outputs).

    >>> mlp((28, 28, 1), hidden=(600, 600), outputs=10).count_params()
    837610
    """
    seeds = layer_seeds(seed)
    layers: list[keras.layers.Layer] = [keras.Input(tuple(input_shape))]
    if len(input_shape) > 1:
        layers.append(keras.layers.Flatten(dtype=dtype))
    for units in hidden:
        if batch_norm:
            layers.append(_dense(units, None, next(seeds), dtype=dtype, use_bias=False))
            layers += _normalised(activation, dtype, momentum)
        else:
            layers.append(_dense(units, activation, next(seeds), dtype=dtype))
    if outputs is not None:
        layers.append(_dense(outputs, None, next(seeds), dtype="float32"))
    if not hidden and outputs is None:
        # Older Keras wants at least one layer; the config of Identity with a dtype is not saved.
        layers.append(keras.layers.Activation("linear", dtype=dtype))
    return keras.Sequential(layers, name=name)


def conditional_mlp(
    input_shapes: Sequence[Sequence[int]],
    hidden: Sequence[int] = (600, 600),
    outputs: int | None = None,
    activation: str = "relu",
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
    batch_norm: bool = False,
    momentum: float = 0.99,
) -> ConditionalNetwork:
    """Build a fully connected network of several inputs, such as (image, class) or (z, class).

    It equals `mlp` on the concatenation of its flattened inputs.

    Args:
        input_shapes: one shape per input, without the batch axis.
        hidden: units of the hidden layers, at least one: the inputs meet in the first.
        outputs: units of a final linear layer in float32; None ends with the last hidden layer.
        activation: of the hidden layers.
        seed: of the initial weights; None draws from Keras's global seed.
        dtype: a Keras dtype policy for the hidden layers; None is the global one.
        name: of the model.
        batch_norm: whether each hidden layer normalises its products before the activation, with
            the statistics of all replicas.
        momentum: of the running averages of `batch_norm`.

    Returns:
        A keras.Model from a list of (batch, *input_shape) to (batch, outputs).
    """
    features = [
        keras.layers.Flatten(dtype=dtype) if len(shape) > 1 else None for shape in input_shapes
    ]
    seeds = layer_seeds(seed)
    merge = MergedDense(
        hidden[0],
        None if batch_norm else activation,
        seed=next(seeds),
        use_bias=not batch_norm,
        dtype=dtype,
    )
    width, rest = (hidden[0],), next(seeds)
    body = mlp(width, hidden[1:], outputs, activation, rest, dtype, "body", batch_norm, momentum)
    if batch_norm:
        body = keras.Sequential(
            [keras.Input(width), *_normalised(activation, dtype, momentum), body]
        )
    return ConditionalNetwork(features, merge, body, input_shapes, name=name)
