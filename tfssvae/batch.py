"""The one typed batch that every method sees, made from whatever Keras passes to a step."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.layers import scale_images
from tfssvae.noise import Noise


class Batch(NamedTuple):
    """Labelled, unlabelled and unfeatured examples; a part that is absent has no rows.

    Attributes:
        images: (L + U, *input_shape) float32 in [0, 1]: the labelled rows, then the unlabelled.
        labels: (L,) int32 classes; -1 where a row has no label after all.
        weights: (L,) float32: sample weights of the labelled rows, 0 where the label is -1.
        unfeatured: (F, K) float32: class probabilities of labels that have no image.
        num_unlabelled: U.
        noise: the random numbers of this step.
    """

    images: tf.Tensor
    labels: tf.Tensor
    weights: tf.Tensor
    unfeatured: tf.Tensor
    num_unlabelled: tf.Tensor | int
    noise: Noise

    @property
    def num_labelled(self):
        """L."""
        return _rows(self.labels)

    def normal(self, size: int) -> tf.Tensor:
        """Return one standard normal vector per example: (L + U, size)."""
        # Two draws: a strategy shards labelled and unlabelled rows separately.
        labelled = self.noise.normal((self.num_labelled, size))
        return tf.concat([labelled, self.noise.normal((self.num_unlabelled, size))], axis=0)

    def changed(self, augment) -> "Batch":
        """Return the batch with its images changed by an augmentation."""
        # Two calls, as in `normal`.
        parts = self.images[: self.num_labelled], self.images[self.num_labelled :]
        images = [augment(part, noise=self.noise) for part in parts]
        return self._replace(images=tf.concat(images, axis=0))


def make_batch(data, input_shape, num_classes: int, noise: Noise) -> Batch:
    """Return the batch that `data` describes.

    Args:
        data: Keras's `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`, whose values and rows have
            been checked (`batch_checks.checked_batch`, or as arrays). `x` is a tensor, whose rows
            are then both labelled and unlabelled examples, or a dict with any of "labelled",
            "unlabelled" and "unfeatured" (labels (F,) or class probabilities (F, K)). `y` holds
            the labels of the labelled rows, -1 where there is none.
        input_shape: shape of one example.
        num_classes: K.
        noise: the random numbers of the step.

    Raises:
        InputError: images of another shape or type.
    """
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    empty = tf.zeros((0, *input_shape))
    if isinstance(x, dict):
        labelled, unlabelled = x.get("labelled"), x.get("unlabelled")
    else:
        labelled, unlabelled = (None if y is None else x), x
    labelled = empty if labelled is None else examples(labelled, input_shape)
    unlabelled = empty if unlabelled is None else examples(unlabelled, input_shape)
    labels = tf.zeros((0,), tf.int32) if y is None else class_indices(y, num_classes)
    known = tf.cast(labels >= 0, tf.float32)
    if weights is not None:
        known *= tf.cast(tf.reshape(weights, [-1]), tf.float32)
    unfeatured = x.get("unfeatured") if isinstance(x, dict) else None
    return Batch(
        images=tf.concat([labelled, unlabelled], axis=0),
        labels=labels,
        weights=known,
        unfeatured=_class_probabilities(unfeatured, num_classes),
        num_unlabelled=_rows(unlabelled),
        noise=noise,
    )


def _rows(values: tf.Tensor):
    return tf.shape(values)[0] if values.shape[0] is None else values.shape[0]


def examples(x, input_shape) -> tf.Tensor:
    """Return images as float32 in [0, 1], (batch, *input_shape).

    Args:
        x: images as `layers.scale_images` takes them; those of one channel may lack its axis.
        input_shape: shape of one example.

    Raises:
        InputError: another shape or type.
    """
    images = scale_images(x)
    if images.shape.rank == len(input_shape) and input_shape[-1] == 1:
        images = images[..., None]
    if images.shape.rank != len(input_shape) + 1 or list(images.shape[1:]) != list(input_shape):
        raise InputError(
            f"expected images of shape (batch, {', '.join(map(str, input_shape))}), "
            f"got {_shape_and_hint(images.shape, input_shape)}"
        )
    return images


def _shape_and_hint(shape: tf.TensorShape, input_shape) -> str:
    if shape.rank is None or None in shape[1:]:
        return (
            f"{shape}: tell the pipeline their shape (tf.ensure_shape, output_signature), and give "
            "every call of a model its images in the same shape"
        )
    if list(shape[1:]) == [input_shape[-1], *input_shape[:-1]]:
        return f"{shape}, channels first: move them to the end (tf.transpose(x, [0, 2, 3, 1]))"
    if list(shape) == list(input_shape):
        return f"{shape}: for one example pass x[None]"
    return str(shape)


def class_indices(y, num_classes: int) -> tf.Tensor:
    """Return labels (rows,), (rows, 1) or one-hot (rows, K) as (rows,) int32, -1 where none is."""
    y = tf.convert_to_tensor(y)
    if y.shape.rank == 2 and y.shape[1] == num_classes and num_classes > 1:
        y = tf.cast(y, tf.int32)
        one_hot = tf.argmax(y, axis=-1, output_type=tf.int32)
        return tf.where(tf.reduce_any(y > 0, axis=-1), one_hot, -1)
    return tf.cast(tf.reshape(y, [-1]), tf.int32)


def _class_probabilities(y, num_classes: int) -> tf.Tensor:
    """Return labels without images, (F,) classes or (F, K) probabilities, as (F, K) float32."""
    if y is None:
        return tf.zeros((0, num_classes))
    y = tf.convert_to_tensor(y)
    if y.dtype.is_integer and (y.shape.rank == 1 or y.shape[1:] == (1,)):
        return tf.one_hot(tf.reshape(y, [-1]), num_classes)
    return tf.cast(y, tf.float32)
