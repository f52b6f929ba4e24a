"""Wide residual networks (Zagoruyko and Komodakis, 2016), the encoders of SHOT-VAE."""

import re
from collections.abc import Sequence

import keras

from tfssvae.checks import InputError
from tfssvae.layers import BatchNormalization, MergedDense
from tfssvae.networks.conditional import ConditionalNetwork

_SLOPE = 0.01  # of the leaky ReLU
_MOMENTUM = 0.9  # of the running statistics


def wide_resnet(
    input_shape: Sequence[int],
    depth: int = 28,
    width: int = 2,
    dropout: float = 0.0,
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
) -> keras.Model:
    """Build a wide residual network that ends with the mean over the image.

    Three groups of (depth - 4) / 6 blocks with 16, 32 and 64 times `width` filters; the second and
    third halve the image. A block normalises and activates before each of its two convolutions.

    Args:
        input_shape: (height, width, channels).
        depth: number of convolutions and linear layers, 6 n + 4; 28 is the papers'.
        width: the widening factor; 2 gives 1.5, 10 gives 36.5 million weights.
        dropout: between the two convolutions of a block.
        seed: of the initial weights; None draws from Keras's global seed.
        dtype: a Keras dtype policy; None is the global one.
        name: of the model.

    Returns:
        A keras.Model from (batch, *input_shape) to (batch, 64 width).

    Raises:
        InputError: the depth is not 6 n + 4 with n of 1 or more.
    """
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise InputError(f"depth must be 6 n + 4, such as 16, 22 or 28; got {depth}")
    seeds = iter(range(10**6)) if seed is None else iter(range(seed, seed + 10**6, 7919))

    def conv(x, filters, kernel=3, strides=1):
        initializer = keras.initializers.HeNormal(None if seed is None else next(seeds))
        return keras.layers.Conv2D(
            filters,
            kernel,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer,
            dtype=dtype,
        )(x)

    def activated(x):
        return normalised(x, dtype)

    image = keras.Input(tuple(input_shape))
    x = conv(image, 16)
    for group, filters in enumerate((16 * width, 32 * width, 64 * width)):
        for block in range(blocks):
            strides = 2 if group > 0 and block == 0 else 1
            before, h = x, activated(x)
            if block == 0:
                before = conv(h, filters, 1, strides)
            h = activated(conv(h, filters, 3, strides))
            if dropout:
                h = keras.layers.Dropout(dropout, dtype=dtype)(h)
            x = keras.layers.Add(dtype=dtype)([before, conv(h, filters)])
    features = keras.layers.GlobalAveragePooling2D(dtype=dtype)(activated(x))
    return keras.Model(image, features, name=name)


def wide_resnet_sizes(backbone: str) -> tuple[int, int] | None:
    """Return depth and width that the name of a backbone says, None for another name.

    >>> wide_resnet_sizes("wide_resnet_28_2")
    (28, 2)
    """
    found = re.fullmatch(r"wide_resnet_(\d+)_(\d+)", backbone)
    return None if found is None else (int(found[1]), int(found[2]))


def normalised(x, dtype=None):
    """Return x normalised over the batch (of all replicas) and activated."""
    x = BatchNormalization(_MOMENTUM, dtype=dtype)(x)
    return keras.layers.LeakyReLU(_SLOPE, dtype=dtype)(x)


def class_conv_transpose(
    latent_dim: int,
    num_classes: int,
    output_shape: Sequence[int],
    filters: Sequence[int] = (1024, 512, 256, 128, 64),
    seed: int | None = None,
    dtype=None,
    name: str | None = None,
) -> ConditionalNetwork:
    """Build SHOT-VAE's decoder: transposed convolutions (4x4, stride 2) from [z, y] to an image.

    z and y meet in a linear layer of one pixel, which each further layer doubles; work that does
    not depend on y is done once.

    Args:
        latent_dim: size of z.
        num_classes: size of y.
        output_shape: (height, width, channels); cut from the centre of the 2^len(filters) pixels
            that come out (32 by default).
        filters: of the linear layer and of each layer but the last, which has the channels.
        seed: of the initial weights; None draws from Keras's global seed.
        dtype: a Keras dtype policy; None is the global one. The last layer is float32.
        name: of the model.

    Returns:
        A keras.Model from [(batch, latent_dim), (batch, num_classes)] to (batch, *output_shape).

    Raises:
        InputError: the image is larger than what comes out.
    """
    height, width, channels = output_shape
    size = 2 ** len(filters)
    if height > size or width > size:
        raise InputError(
            f"{len(filters)} layers make images of {size} pixels, but {height} x {width} were "
            "asked for: give more filters"
        )
    pixel = keras.Input((filters[0],))
    x = keras.layers.Reshape((1, 1, filters[0]), dtype=dtype)(pixel)
    for index, count in enumerate([*filters[1:], channels]):
        last = index == len(filters) - 1
        x = keras.layers.Conv2DTranspose(
            count,
            4,
            2,
            padding="same",
            use_bias=last,
            kernel_initializer=keras.initializers.GlorotUniform(
                None if seed is None else seed + 7919 * (index + 1)
            ),
            dtype="float32" if last else dtype,
        )(normalised(x, dtype))
    top, left = (size - height) // 2, (size - width) // 2
    crop = ((top, size - height - top), (left, size - width - left))
    x = keras.layers.Cropping2D(crop, dtype="float32")(x)
    return ConditionalNetwork(
        [None, None],
        MergedDense(filters[0], None, seed=seed, use_bias=False, dtype=dtype),
        keras.Model(pixel, x),
        [(latent_dim,), (num_classes,)],
        name=name,
    )
