"""The networks of EXoN (An, Choi and Jeon, 2022, tables 4, 5, 8 and 9), for images of any size.

A layer that batch normalisation follows has no bias of its own: the normalisation would remove it.
"""

from collections.abc import Sequence

import keras

from tfssvae.layers import BatchNormalization, ChannelDropout
from tfssvae.networks.seeds import layer_seeds

LEAK = 0.1  # of the leaky ReLU
Layers = list[keras.layers.Layer]


def exon_classifier(
    input_shape: Sequence[int],
    num_classes: int,
    filters: Sequence[int] = (32, 64, 128),
    hidden: int = 64,
    dropout: float = 0.5,
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build the classifier of MNIST (table 5): convolutions, average, one dense layer.

    Args:
        input_shape: (height, width, channels); (features,) gets the dense layer alone.
        num_classes: K.
        filters: of each convolution (5x5, then 3x3), which is normalised, passed through a leaky
            ReLU, halved by maximum pooling and thinned by channel dropout.
        hidden: units of the dense layer, normalised.
        dropout: rate of the channel dropout, in [0, 1).
        seed: of the initial weights and of the dropout; None draws the weights from Keras's
            global seed.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, *input_shape) to K logits in float32.

    >>> exon_classifier((28, 28, 1), 10).count_params() - 3  # less the counts of three dropouts
    102954
    """
    seeds = layer_seeds(seed, first=1)
    layers: Layers = [keras.Input(tuple(input_shape))]
    if len(input_shape) == 3:
        # Images smaller than the pooling would shrink to nothing.
        padding = "valid" if min(input_shape[:2]) >= 2 ** len(filters) else "same"
        for index, count in enumerate(filters):
            layers += _convolution(count, 5 if index == 0 else 3, next(seeds), dtype)
            layers.append(keras.layers.LeakyReLU(LEAK, dtype=dtype))
            layers.append(keras.layers.MaxPooling2D(2, padding=padding, dtype=dtype))
            layers += _dropout(dropout, index, seeds, dtype)
        layers.append(keras.layers.GlobalAveragePooling2D(dtype=dtype))
    layers += _dense(hidden, next(seeds), "relu", dtype)
    layers.append(_outputs(num_classes, next(seeds)))
    return keras.Sequential(layers, name=name)


def exon_wide_classifier(
    input_shape: Sequence[int],
    num_classes: int,
    filters: Sequence[Sequence[int]] = ((128, 128, 128), (256, 256, 256), (512, 256, 128)),
    dropout: float = 0.1,
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build the classifier of CIFAR-10 (table 9): three blocks of 3x3 convolutions, average.

    Args:
        input_shape: (height, width, channels).
        num_classes: K.
        filters: of the convolutions of each block; maximum pooling and channel dropout stand
            between blocks.
        dropout: rate of the channel dropout, in [0, 1).
        seed: of the initial weights and of the dropout; None draws the weights from Keras's
            global seed.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, *input_shape) to K logits in float32.
    """
    seeds = layer_seeds(seed, first=1)
    layers: Layers = [keras.Input(tuple(input_shape))]
    for index, block in enumerate(filters):
        if index:
            layers.append(keras.layers.MaxPooling2D(2, padding="same", dtype=dtype))
            layers += _dropout(dropout, index, seeds, dtype)
        for count in block:
            layers += _convolution(count, 3, next(seeds), dtype)
            layers.append(keras.layers.LeakyReLU(LEAK, dtype=dtype))
    layers.append(keras.layers.GlobalAveragePooling2D(dtype=dtype))
    layers.append(_outputs(num_classes, next(seeds)))
    return keras.Sequential(layers, name=name)


def exon_encoder(
    input_shape: Sequence[int],
    filters: Sequence[int] = (32, 64, 128, 256),
    hidden: int = 1024,
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build the encoder of CIFAR-10 (table 8) without its heads; that of MNIST is an `mlp`.

    Args:
        input_shape: (height, width, channels).
        filters: of the convolutions (5x5, then 4x4), all but the last of which halve the image.
        hidden: units of the dense layer, normalised and linear.
        seed: of the initial weights; None draws from Keras's global seed.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, *input_shape) to (batch, hidden).
    """
    seeds = layer_seeds(seed, first=1)
    layers: Layers = [keras.Input(tuple(input_shape))]
    for index, count in enumerate(filters):
        size, strides = 5 if index == 0 else 4, 1 if index == len(filters) - 1 else 2
        layers += _convolution(count, size, next(seeds), dtype, strides)
        layers.append(keras.layers.Activation("relu", dtype=dtype))
    layers.append(keras.layers.Flatten(dtype=dtype))
    layers += _dense(hidden, next(seeds), "linear", dtype)
    return keras.Sequential(layers, name=name)


def exon_decoder(
    latent_dim: int,
    output_shape: Sequence[int],
    filters: Sequence[int] = (512, 256, 128, 64, 32),
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build the decoder of CIFAR-10 (table 8); that of MNIST is an `mlp`.

    Args:
        latent_dim: d.
        output_shape: (height, width, channels); cut from the next multiple of the doublings.
        filters: of the first, dense layer and of the transposed convolutions (5x5), all but the
            last of which double the image.
        seed: of the initial weights; None draws from Keras's global seed.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, latent_dim) to (batch, *output_shape) float32. The paper's tanh
        on images in [-1, 1] is the sigmoid of `layers.GaussianLikelihood` on images in [0, 1].
    """
    height, width, channels = output_shape
    scale = 2 ** (len(filters) - 2)
    rows, columns = -(-height // scale), -(-width // scale)
    seeds = layer_seeds(seed, first=1)
    layers: Layers = [
        keras.Input((latent_dim,)),
        *_dense(rows * columns * filters[0], next(seeds), "relu", dtype),
        keras.layers.Reshape((rows, columns, filters[0]), dtype=dtype),
    ]
    for index, count in enumerate(filters[1:]):
        strides = 1 if index == len(filters) - 2 else 2
        kind = keras.layers.Conv2DTranspose
        layers += _convolution(count, 5, next(seeds), dtype, strides, kind)
        layers.append(keras.layers.Activation("relu", dtype=dtype))
    initializer = keras.initializers.GlorotUniform(next(seeds))
    cut = ((0, rows * scale - height), (0, columns * scale - width))
    layers += [
        keras.layers.Conv2D(
            channels, 4, padding="same", dtype="float32", kernel_initializer=initializer
        ),
        keras.layers.Cropping2D(cut, dtype="float32"),
    ]
    return keras.Sequential(layers, name=name)


def _convolution(
    filters: int, size: int, seed: int | None, dtype, strides: int = 1, kind=keras.layers.Conv2D
) -> Layers:
    """Return a convolution, normalised."""
    initializer = keras.initializers.GlorotUniform(seed)
    options = {"padding": "same", "use_bias": False, "dtype": dtype}
    layer = kind(filters, size, strides, kernel_initializer=initializer, **options)
    return [layer, _normalisation(dtype)]


def _dense(units: int, seed: int | None, activation: str, dtype) -> Layers:
    """Return a dense layer, normalised, with an activation."""
    initializer = keras.initializers.GlorotUniform(seed)
    layer = keras.layers.Dense(units, use_bias=False, kernel_initializer=initializer, dtype=dtype)
    return [layer, _normalisation(dtype), keras.layers.Activation(activation, dtype=dtype)]


def _normalisation(dtype) -> keras.layers.Layer:
    return BatchNormalization(dtype=dtype)


def _outputs(units: int, seed: int | None) -> keras.layers.Layer:
    initializer = keras.initializers.GlorotUniform(seed)
    return keras.layers.Dense(units, kernel_initializer=initializer, dtype="float32")


def _dropout(rate: float, index: int, seeds, dtype) -> Layers:
    """Return channel dropout, or nothing; networks without a seed number their masks."""
    if not rate:
        return []
    seed = next(seeds)
    return [ChannelDropout(rate, index if seed is None else seed, dtype=dtype)]
