"""Small convolutional networks for images: features, and the way back."""

from collections.abc import Sequence

import keras


def conv(
    input_shape: Sequence[int],
    filters: Sequence[int] = (32, 64),
    hidden: int = 256,
    outputs: int | None = None,
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build a stack of 3x3 convolutions of stride 2 and one dense layer.

    Args:
        input_shape: (height, width, channels).
        filters: filters of each convolution; each halves the image.
        hidden: units of the dense layer.
        outputs: units of a final linear layer in float32; None ends with the dense layer.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, height, width, channels) to (batch, outputs or hidden).
    """
    layers: list[keras.layers.Layer] = [keras.Input(tuple(input_shape))]
    for count in filters:
        layers.append(
            keras.layers.Conv2D(count, 3, 2, padding="same", activation="relu", dtype=dtype)
        )
    layers += [keras.layers.Flatten(), keras.layers.Dense(hidden, "relu", dtype=dtype)]
    if outputs is not None:
        layers.append(keras.layers.Dense(outputs, dtype="float32"))
    return keras.Sequential(layers, name=name)


def conv_transpose(
    input_dim: int,
    output_shape: Sequence[int],
    filters: Sequence[int] = (64, 32),
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build a stack of transposed convolutions from a vector to an image, in float32 at the end.

    Args:
        input_dim: size of the vector.
        output_shape: (height, width, channels); height and width are cut from the next multiple
            of 2 ** len(filters).
        filters: filters of each layer; each doubles the image.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, input_dim) to (batch, height, width, channels).
    """
    height, width, channels = output_shape
    scale = 2 ** len(filters)
    rows, columns = -(-height // scale), -(-width // scale)
    layers: list[keras.layers.Layer] = [
        keras.Input((input_dim,)),
        keras.layers.Dense(rows * columns * filters[0], "relu", dtype=dtype),
        keras.layers.Reshape((rows, columns, filters[0])),
    ]
    for count in filters:
        layers.append(
            keras.layers.Conv2DTranspose(
                count, 3, 2, padding="same", activation="relu", dtype=dtype
            )
        )
    layers += [
        keras.layers.Conv2D(channels, 3, padding="same", dtype="float32"),
        keras.layers.Cropping2D(
            ((0, rows * scale - height), (0, columns * scale - width)), dtype="float32"
        ),
    ]
    return keras.Sequential(layers, name=name)
