"""The networks of Parted-VAE (Hajimiri, Lotfi and Soleymani Baghshah, 2021), for any image size."""

from collections.abc import Sequence

import keras

from tfssvae.networks.seeds import layer_seeds

LEAK = 0.1  # of the leaky ReLU
SIZE = 4  # of every kernel


def parted_encoder(
    input_shape: Sequence[int],
    filters: Sequence[int] = (32, 64, 64),
    hidden: int = 256,
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build the encoder of MNIST: 4x4 convolutions that halve the image, and a dense layer.

    Args:
        input_shape: (height, width, channels).
        filters: of the convolutions; the last and the dense layer have a leaky ReLU.
        hidden: units of the dense layer.
        seed: of the initial weights; None draws from Keras's global seed.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, *input_shape) to features (batch, hidden).

    >>> parted_encoder((28, 28, 1)).count_params()
    361376
    """
    seeds = layer_seeds(seed)
    layers: list[keras.layers.Layer] = [keras.Input(tuple(input_shape))]
    for index, count in enumerate(filters):
        layers.append(
            keras.layers.Conv2D(
                count,
                SIZE,
                2,
                padding="same",
                activation="relu" if index < len(filters) - 1 else None,
                kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
                dtype=dtype,
            )
        )
    initializer = keras.initializers.GlorotUniform(next(seeds))
    layers += [
        keras.layers.LeakyReLU(LEAK, dtype=dtype),
        keras.layers.Flatten(dtype=dtype),
        keras.layers.Dense(hidden, kernel_initializer=initializer, dtype=dtype),
        keras.layers.LeakyReLU(LEAK, dtype=dtype),
    ]
    return keras.Sequential(layers, name=name)


def parted_decoder(
    latent_dim: int,
    output_shape: Sequence[int],
    filters: Sequence[int] = (64, 32, 32),
    hidden: int = 256,
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build the decoder of MNIST: two dense layers, and 4x4 convolutions that double the image.

    Args:
        latent_dim: d.
        output_shape: (height, width, channels); cut from the next multiple of the doublings.
        filters: of what the dense layers give, and of all transposed convolutions but the last.
        hidden: units of the first dense layer.
        seed: of the initial weights; None draws from Keras's global seed.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, latent_dim) to (batch, *output_shape) float32.
    """
    height, width, channels = output_shape
    scale = 2 ** len(filters)
    rows, columns = -(-height // scale), -(-width // scale)
    seeds = layer_seeds(seed)
    layers: list[keras.layers.Layer] = [keras.Input((latent_dim,))]
    for units in (hidden, rows * columns * filters[0]):
        initializer = keras.initializers.GlorotUniform(next(seeds))
        layers.append(
            keras.layers.Dense(units, "relu", kernel_initializer=initializer, dtype=dtype)
        )
    layers.append(keras.layers.Reshape((rows, columns, filters[0]), dtype=dtype))
    outputs = [(count, "relu", dtype) for count in filters[1:]] + [(channels, None, "float32")]
    for count, activation, policy in outputs:
        layers.append(
            keras.layers.Conv2DTranspose(
                count,
                SIZE,
                2,
                padding="same",
                activation=activation,
                kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
                dtype=policy,
            )
        )
    cut = ((0, rows * scale - height), (0, columns * scale - width))
    layers.append(keras.layers.Cropping2D(cut, dtype="float32"))
    return keras.Sequential(layers, name=name)
