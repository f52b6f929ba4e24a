"""The networks of EXoN (An, Choi and Jeon, 2022, tables 4, 5, 8 and 9), for images of any size.

A layer that batch normalisation follows has no bias of its own: the normalisation would remove it.
"""

from collections.abc import Sequence

import keras

from tfssvae.layers import ChannelDropout

LEAK = 0.1  # of the leaky ReLU


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
    build = _Builder(seed, dtype)
    build.add(keras.Input(tuple(input_shape)))
    if len(input_shape) == 3:
        # Images smaller than the pooling would shrink to nothing.
        padding = "valid" if min(input_shape[:2]) >= 2 ** len(filters) else "same"
        for index, count in enumerate(filters):
            build.conv(count, 5 if index == 0 else 3, activation="leaky")
            build.add(keras.layers.MaxPooling2D(2, padding=padding, dtype=dtype))
            build.dropout(dropout)
        build.add(keras.layers.GlobalAveragePooling2D(dtype=dtype))
    build.dense(hidden, normalised="relu")
    build.dense(num_classes)
    return build.model(name)


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
    build = _Builder(seed, dtype)
    build.add(keras.Input(tuple(input_shape)))
    for index, block in enumerate(filters):
        if index:
            build.add(keras.layers.MaxPooling2D(2, padding="same", dtype=dtype))
            build.dropout(dropout)
        for count in block:
            build.conv(count, 3, activation="leaky")
    build.add(keras.layers.GlobalAveragePooling2D(dtype=dtype))
    build.dense(num_classes)
    return build.model(name)


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
    build = _Builder(seed, dtype)
    build.add(keras.Input(tuple(input_shape)))
    for index, count in enumerate(filters):
        last = index == len(filters) - 1
        build.conv(count, 5 if index == 0 else 4, strides=1 if last else 2)
    build.add(keras.layers.Flatten(dtype=dtype))
    build.dense(hidden, normalised="linear")
    return build.model(name)


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
    build = _Builder(seed, dtype)
    build.add(keras.Input((latent_dim,)))
    build.dense(rows * columns * filters[0], normalised="relu")
    build.add(keras.layers.Reshape((rows, columns, filters[0]), dtype=dtype))
    for count in filters[1:-1]:
        build.conv(count, 5, strides=2, transposed=True)
    build.conv(filters[-1], 5, transposed=True)
    build.add(
        keras.layers.Conv2D(
            channels, 4, padding="same", dtype="float32", kernel_initializer=build.initializer()
        )
    )
    cut = ((0, rows * scale - height), (0, columns * scale - width))
    build.add(keras.layers.Cropping2D(cut, dtype="float32"))
    return build.model(name)


class _Builder:
    """A list of layers, each with a seed of its own."""

    def __init__(self, seed: int | None, dtype):
        self._layers: list[keras.layers.Layer] = []
        self._seed, self._dtype, self._seeds = seed, dtype, 0

    def add(self, layer) -> None:
        self._layers.append(layer)

    def initializer(self):
        return keras.initializers.GlorotUniform(self._next_seed())

    def _next_seed(self) -> int | None:
        self._seeds += 1
        return None if self._seed is None else self._seed + 7919 * self._seeds

    def _normalised(self, activation: str) -> None:
        self.add(keras.layers.BatchNormalization(synchronized=True, dtype=self._dtype))
        self.add(
            keras.layers.LeakyReLU(LEAK, dtype=self._dtype)
            if activation == "leaky"
            else keras.layers.Activation(activation, dtype=self._dtype)
        )

    def conv(self, filters, size, strides=1, activation="relu", transposed=False) -> None:
        kind = keras.layers.Conv2DTranspose if transposed else keras.layers.Conv2D
        self.add(
            kind(
                filters,
                size,
                strides,
                padding="same",
                use_bias=False,
                kernel_initializer=self.initializer(),
                dtype=self._dtype,
            )
        )
        self._normalised(activation)

    def dense(self, units: int, normalised: str | None = None) -> None:
        self.add(
            keras.layers.Dense(
                units,
                use_bias=normalised is None,
                kernel_initializer=self.initializer(),
                dtype="float32" if normalised is None else self._dtype,
            )
        )
        if normalised is not None:
            self._normalised(normalised)

    def dropout(self, rate: float) -> None:
        if rate:
            self.add(ChannelDropout(rate, self._next_seed() or self._seeds, dtype=self._dtype))

    def model(self, name: str | None) -> keras.Model:
        return keras.Sequential(self._layers, name=name)
