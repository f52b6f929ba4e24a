"""Random changes of images, batched and in the graph; every image of a batch has its own.

An augmentation is a layer called as `augment(images, noise=noise)` with a step's `Noise`: what it
does is a function of (seed, step), so that runs resume exactly. Methods take one as the argument
`augment`.
"""

import itertools
import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.noise import Noise


class Augmentation(keras.layers.Layer):
    """A random change of images: a subclass implements `call(images, noise)`."""

    def __init__(self, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.built = True

    def call(self, images, noise: Noise):
        """Return changed images.

        Args:
            images: (batch, height, width, channels) float32 in [0, 1].
            noise: the random numbers of this step.
        """
        raise NotImplementedError


class Relocation(Augmentation):
    """A change that takes whole rows and columns of pixels elsewhere: see `positions`.

    Neighbours in a `Chain` are one pass over the images.
    """

    def positions(self, images, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        """Return which row and which column of the image each of the result's comes from.

        Args:
            images: (batch, height, width, channels), of which only the shape counts.
            noise: the random numbers of this step.

        Returns:
            (batch, height) and (batch, width) int32.
        """
        raise NotImplementedError

    def call(self, images, noise):
        return _relocated(images, *self.positions(images, noise))


def _relocated(images, rows, columns) -> tf.Tensor:
    height, width, channels = images.shape[1:]
    index = tf.reshape(rows[:, :, None] * width + columns[:, None, :], [-1, height * width])
    pixels = tf.reshape(images, [-1, height * width, channels])
    moved = tf.gather(pixels, index, axis=1, batch_dims=1)
    return tf.reshape(moved, [-1, height, width, channels])


def _composed(steps: Sequence[Relocation], images, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
    rows, columns = steps[0].positions(images, noise)
    for step in steps[1:]:
        later_rows, later_columns = step.positions(images, noise)
        rows = tf.gather(rows, later_rows, batch_dims=1)
        columns = tf.gather(columns, later_columns, batch_dims=1)
    return rows, columns


@keras.saving.register_keras_serializable("tfssvae")
class Chain(Augmentation):
    """Augmentations one after the other.

    Args:
        steps: the augmentations.
    """

    def __init__(self, steps: Sequence[Augmentation], **kwargs):
        super().__init__(**kwargs)
        self.steps = list(steps)

    def call(self, images, noise):
        for moves, group in itertools.groupby(self.steps, lambda s: isinstance(s, Relocation)):
            steps = list(group)
            if moves:
                images = _relocated(images, *_composed(steps, images, noise))
                continue
            for step in steps:
                images = step(images, noise=noise)
        return images

    def get_config(self):
        steps = [keras.saving.serialize_keras_object(step) for step in self.steps]
        return {**super().get_config(), "steps": steps}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        steps = keras.saving.deserialize_keras_object(config["steps"], custom_objects)
        return cls(**{**config, "steps": steps})


@keras.saving.register_keras_serializable("tfssvae")
class RandomFlip(Relocation):
    """Mirror half of the images left to right."""

    def positions(self, images, noise):
        mirrored = noise.uniform((_rows(images), 1)) < 0.5
        height, width = images.shape[1:3]
        columns = tf.range(width)
        every_row = tf.broadcast_to(tf.range(height), (_rows(images), height))
        return every_row, tf.where(mirrored, columns[::-1], columns)


@keras.saving.register_keras_serializable("tfssvae")
class RandomCrop(Relocation):
    """Pad by reflection and cut out an image of the old size at a random place.

    Args:
        padding: pixels on each side.
    """

    def __init__(self, padding: int = 4, **kwargs):
        super().__init__(**kwargs)
        if not int(padding) >= 1:
            raise InputError(f"padding must be at least 1, got {padding}")
        self.padding = int(padding)

    def positions(self, images, noise):
        found = []
        for size in images.shape[1:3]:
            if self.padding >= size:
                raise InputError(f"padding {self.padding} is too much for images of {size} pixels")
            places = 2 * self.padding + 1
            shift = tf.floor(noise.uniform((_rows(images), 1)) * places) - self.padding
            index = tf.range(size)[None] + tf.cast(shift, tf.int32)
            # Reflection without a padded copy: -1 is pixel 1, size is pixel size - 2.
            found.append((size - 1) - tf.abs((size - 1) - tf.abs(index)))
        return tuple(found)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("tfssvae")
class RandomRotation(Augmentation):
    """Rotate about the centre by a uniform angle, bilinearly; what comes in is 0.

    Args:
        degrees: the largest angle, either way.
    """

    def __init__(self, degrees: float = 25.0, **kwargs):
        super().__init__(**kwargs)
        self.degrees = float(degrees)

    def call(self, images, noise):
        angle = (2.0 * noise.uniform((_rows(images),)) - 1.0) * math.radians(self.degrees)
        zero = tf.zeros_like(angle)
        return affine(
            images, tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle), zero, zero
        )

    def get_config(self):
        return {**super().get_config(), "degrees": self.degrees}


_AFFINE = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
_COLOUR = ("identity", "brightness", "contrast", "posterize", "solarize", "invert", "sharpness")


@keras.saving.register_keras_serializable("tfssvae")
class RandAugment(Augmentation):
    """Strong changes: some random operations per image, then a blank square (Cubuk et al., 2020).

    The operations are rotate, shear and translate along either axis, brightness, contrast,
    posterize, solarize, invert, sharpness and none, each of a uniform strength up to `magnitude`.
    The geometric ones of a round are one resampling of the batch, whichever each image drew.

    Args:
        operations: how many operations an image gets.
        magnitude: the largest strength, in (0, 1].
        cutout: side of the blank square as a part of the image's, 0 for none.
    """

    def __init__(self, operations: int = 2, magnitude: float = 0.5, cutout: float = 0.25, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 < magnitude <= 1.0:
            raise InputError(f"magnitude must be in (0, 1], got {magnitude}")
        if not 0.0 <= cutout < 1.0:
            raise InputError(f"cutout must be in [0, 1), got {cutout}")
        self.operations, self.magnitude = int(operations), float(magnitude)
        self.cutout = float(cutout)

    def call(self, images, noise):
        for _ in range(self.operations):
            images = self._one(images, noise)
        return self._cut_out(images, noise) if self.cutout else images

    def _one(self, images, noise):
        rows, names = _rows(images), (*_AFFINE, *_COLOUR)
        choice = tf.cast(tf.floor(noise.uniform((rows,)) * len(names)), tf.int32)
        strength = self.magnitude * noise.uniform((rows,))
        signed = strength * tf.where(noise.uniform((rows,)) < 0.5, -1.0, 1.0)

        def of(name, value):
            return tf.where(choice == names.index(name), value, 0.0)

        angle = of("rotate", signed * math.pi / 3)
        height, width = images.shape[1:3]
        images = affine(
            images,
            tf.cos(angle),
            -tf.sin(angle) + of("shear_x", signed),
            tf.sin(angle) + of("shear_y", signed),
            tf.cos(angle),
            of("translate_x", signed * width / 2),
            of("translate_y", signed * height / 2),
        )
        column, shape = strength[:, None, None, None], (-1, 1, 1, 1)
        both = signed[:, None, None, None]
        levels = tf.round(tf.pow(2.0, 8.0 - 7.0 * column)) - 1.0
        mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
        changed = {
            "brightness": images * (1.0 + both),
            "contrast": mean + (images - mean) * (1.0 + both),
            "posterize": tf.round(images * levels) / levels,
            "solarize": tf.where(images > 1.0 - column, 1.0 - images, images),
            "invert": 1.0 - images,
            "sharpness": images + both * (images - _blurred(images)),
        }
        for name, value in changed.items():
            chosen = tf.reshape(choice == names.index(name), shape)
            images = tf.where(chosen, value, images)
        return tf.clip_by_value(images, 0.0, 1.0)

    def _cut_out(self, images, noise):
        rows, inside = _rows(images), []
        for axis in (1, 2):
            size = images.shape[axis]
            half = 0.5 * self.cutout * size
            centre = noise.uniform((rows, 1)) * size
            inside.append(tf.abs(tf.range(size, dtype=tf.float32)[None] + 0.5 - centre) < half)
        blank = inside[0][:, :, None, None] & inside[1][:, None, :, None]
        return tf.where(blank, 0.5, images)

    def get_config(self):
        names = ("operations", "magnitude", "cutout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def affine(images, xx, xy, yx, yy, x0, y0) -> tf.Tensor:
    """Return images resampled bilinearly under an affine map of the plane about their centre.

    The pixel at (x, y) from the centre takes the value at (xx x + xy y + x0, yx x + yy y + y0); 0
    where that is outside.

    Args:
        images: (batch, height, width, channels).
        xx: (batch,), as the other five numbers of the map; x goes to the right, y downwards.
    """
    height, width, channels = images.shape[1:]
    y, x = tf.meshgrid(
        tf.range(height, dtype=tf.float32) - (height - 1) / 2,
        tf.range(width, dtype=tf.float32) - (width - 1) / 2,
        indexing="ij",
    )

    def mapped(from_x, from_y, offset, size):
        parts = [value[:, None, None] for value in (from_x, from_y, offset)]
        return parts[0] * x + parts[1] * y + parts[2] + (size - 1) / 2

    source_x, source_y = mapped(xx, xy, x0, width), mapped(yx, yy, y0, height)
    left, top = tf.floor(source_x), tf.floor(source_y)
    flat = tf.reshape(images, [-1, height * width, channels])
    total = tf.zeros_like(images)
    for row, weight_y in ((top, top + 1.0 - source_y), (top + 1.0, source_y - top)):
        for column, weight_x in ((left, left + 1.0 - source_x), (left + 1.0, source_x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = tf.clip_by_value(row, 0.0, height - 1.0) * width
            index += tf.clip_by_value(column, 0.0, width - 1.0)
            index = tf.reshape(tf.cast(index, tf.int32), [-1, height * width])
            values = tf.reshape(
                tf.gather(flat, index, axis=1, batch_dims=1), [-1, height, width, channels]
            )
            weight = tf.where(inside, weight_x * weight_y, 0.0)
            total += weight[..., None] * values
    return total


def _blurred(images):
    """Return each pixel's mean with its eight neighbours; edges are repeated."""
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    return tf.nn.avg_pool2d(padded, 3, 1, "VALID")


def _rows(images):
    return images.shape[0] if images.shape[0] is not None else tf.shape(images)[0]
