"""The (example, class) pairs that a semi-supervised bound is evaluated on."""

import tensorflow as tf


class Pairs:
    """Each labelled example with its label, and each unlabelled example with every class.

    One flat batch of L + U K rows: the labelled pairs first, then the unlabelled ones, example by
    example. Networks see it in one pass, so that batch normalisation sees one mixed batch and
    matrix products are as large as they can be.

    Args:
        labels: (L,) integer classes; -1 (unlabelled) becomes a row of zeros.
        num_unlabelled: U, the number of unlabelled examples.
        num_classes: K.
    """

    def __init__(self, labels: tf.Tensor, num_unlabelled, num_classes: int):
        self.labels = labels
        self.num_labelled = labels.shape[0] if labels.shape[0] is not None else tf.shape(labels)[0]
        self.num_unlabelled = num_unlabelled
        self.num_classes = num_classes
        # Where it is known that nothing is labelled, nothing is joined on: a tensor without rows
        # is one that TFLite refuses.
        self.only_unlabelled = labels.shape[0] == 0
        self.only_labelled = isinstance(num_unlabelled, int) and num_unlabelled == 0
        every_class = tf.tile(tf.eye(num_classes), [num_unlabelled, 1])
        self.y = (
            every_class
            if self.only_unlabelled
            else tf.concat([tf.one_hot(labels, num_classes), every_class], axis=0)
        )
        """(L + U K, K): the class of each pair, one-hot float32."""

    def expand(self, values: tf.Tensor) -> tf.Tensor:
        """Repeat rows of examples (L + U, ...) to rows of pairs (L + U K, ...)."""
        if self.only_unlabelled:
            return repeat_rows(values, self.num_classes)
        labelled, unlabelled = self.split_examples(values)
        return tf.concat([labelled, repeat_rows(unlabelled, self.num_classes)], axis=0)

    def split_examples(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Split rows of examples (L + U, ...) into (L, ...) and (U, ...)."""
        unlabelled = values if self.only_unlabelled else values[self.num_labelled :]
        return values[: self.num_labelled], unlabelled

    def split(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Split rows of pairs (L + U K, ...) into (L, ...) and (U, K, ...)."""
        labelled, unlabelled = self.split_examples(values)
        shape = (self.num_unlabelled, self.num_classes, *values.shape[1:])
        return labelled, tf.reshape(unlabelled, shape)


def repeat_rows(values: tf.Tensor, times: int) -> tf.Tensor:
    """Repeat each row of (rows, ...) `times` times in place: (rows * times, ...).

    A broadcast, which compilers fuse; `tf.repeat` is a gather.
    """
    features = list(values.shape[1:])
    spread = tf.broadcast_to(values[:, None], [tf.shape(values)[0], times, *features])
    return tf.reshape(spread, [-1, *features])
