"""A sum over classes in blocks of them: memory that does not grow with the number of classes."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfssvae.layers.block_pass import BlockPass, Moments, UnknownStatistics, passing
from tfssvae.layers.pairs import Pairs, repeat_rows
from tfssvae.layers.recomputed_loop import recomputed_loop


def over_classes(of_pairs: Callable[[Any], Any], pairs: Pairs, class_block: int | None):
    """Return `of_pairs(pairs)`, computed for at most `class_block` classes at a time.

    The labelled pairs pass first. Then a loop passes every unlabelled example with one block of
    classes after the other, and keeps nothing but the results; the backward pass computes each
    block again. K classes are cut into as few blocks as have at most `class_block` classes, all of
    one size: the last may be filled up with classes that do not count.

    Statistics of batch normalisation (`layers.BatchNormalization`) are those of all pairs, as they
    are without blocks. They cost one more loop for each normalisation, as far as to its inputs.

    Args:
        of_pairs: function of pairs, of which it uses `y` and `expand` alone. It returns a
            structure of tensors and Gaussians with a row for each pair, or for each labelled pair.
            What is the same for every class reaches the pairs through `expand`: gradients pass
            there and to variables, and nowhere else.
        pairs: labelled and unlabelled examples.
        class_block: classes at a time; None, or K or more: all at once.

    Raises:
        InputError: a network changes a state or draws random numbers of its own, so that a block
            that is computed again would not be the same.
    """
    if class_block is None or class_block >= pairs.num_classes or pairs.only_labelled:
        return of_pairs(pairs)
    blocks = _Blocks(pairs, class_block)
    statistics: list[Moments] = []
    layers: list = []
    of_examples: list = []
    while True:
        labelled = _LabelledPairs(pairs)
        found = _run(of_pairs, labelled, BlockPass(statistics, None, of_examples))

        def of_block(index, inputs):
            kept, known = inputs
            seen = BlockPass(known, blocks.weights(index), of_examples)
            return _tensors(_run(of_pairs, blocks.pairs(index, kept), seen))

        of_labelled = _tensors(found)
        inputs = (labelled.kept, statistics)
        of_blocks = recomputed_loop(of_block, inputs, blocks.count, of_labelled)
        if not isinstance(found, UnknownStatistics):
            break
        parts = zip(of_labelled, of_blocks, strict=True)
        mean, variance, count = (
            many if pairs.only_unlabelled else tf.concat([one[None], many], axis=0)
            for one, many in parts
        )
        found_here = found.layer.join_moments(Moments(mean, variance), count)
        statistics = [*statistics, found_here]  # a new list: the loop above goes on using its own
        layers.append(found.layer)
    for layer, values in zip(layers, statistics, strict=True):
        layer.update_statistics(values)
    joined = map(blocks.join, of_labelled, of_blocks)
    return _like(found, list(joined))


class _LabelledPairs:
    """The labelled ones of some pairs; keeps what is expanded for the unlabelled ones.

    Without labelled examples the first unlabelled one stands in their place, with class 0: what is
    expanded has to be seen, and networks may refuse a batch without rows.

    Attributes:
        y: (L, K) one-hot.
        kept: what was expanded so far, for the unlabelled examples: (U, ...) each.
    """

    def __init__(self, pairs: Pairs):
        self._pairs = pairs
        labels = tf.zeros((1,), tf.int32) if pairs.only_unlabelled else pairs.labels
        self.y = tf.one_hot(labels, pairs.num_classes)
        self.kept: list[tf.Tensor] = []

    def expand(self, values: tf.Tensor) -> tf.Tensor:
        """Return the labelled rows (L, ...) of rows of examples (L + U, ...)."""
        labelled, unlabelled = self._pairs.split_examples(values)
        self.kept.append(unlabelled)
        return values[:1] if self._pairs.only_unlabelled else labelled


class _BlockPairs:
    """Every unlabelled example with the k classes of a block, example by example.

    Args:
        y: (U k, K) one-hot.
        size: k.
        kept: of the `_LabelledPairs` that went the same way. The n-th call of `expand` repeats the
            n-th of them, whatever it is given: what is the same for every class was computed
            outside of all blocks, and is not computed in them.
    """

    def __init__(self, y: tf.Tensor, size: int, kept: list[tf.Tensor]):
        self.y = y
        self._size = size
        self._kept = iter(kept)

    def expand(self, values: tf.Tensor) -> tf.Tensor:
        """Repeat the rows of the unlabelled examples: (U k, ...)."""
        return repeat_rows(next(self._kept), self._size)


class _Blocks:
    """The classes of some pairs, cut into blocks of one size.

    Attributes:
        count: the number of blocks.
        size: classes in each.
    """

    def __init__(self, pairs: Pairs, class_block: int):
        self._pairs = pairs
        self.count = -(-pairs.num_classes // class_block)
        self.size = -(-pairs.num_classes // self.count)

    def _classes(self, index: tf.Tensor) -> tf.Tensor:
        return index * self.size + tf.range(self.size)

    def pairs(self, index: tf.Tensor, kept: list[tf.Tensor]) -> _BlockPairs:
        """Return the pairs of a block; beyond the last class with the last one once more."""
        classes = tf.minimum(self._classes(index), self._pairs.num_classes - 1)
        y = tf.tile(tf.one_hot(classes, self._pairs.num_classes), [self._pairs.num_unlabelled, 1])
        return _BlockPairs(y, self.size, kept)

    def weights(self, index: tf.Tensor) -> tf.Tensor | None:
        """Return 1 for rows that count and 0 for others, (U k,); None where all count."""
        if self.count * self.size == self._pairs.num_classes:
            return None
        counts = tf.cast(self._classes(index) < self._pairs.num_classes, tf.float32)
        return tf.tile(counts, [self._pairs.num_unlabelled])

    def join(self, labelled: tf.Tensor, blocks: tf.Tensor) -> tf.Tensor:
        """Return rows of pairs, (L + U K, ...), of those of labelled pairs and of all blocks.

        Args:
            labelled: (L, ...).
            blocks: (count, U k, ...), or (count, 0, ...).
        """
        features, classes = list(blocks.shape[2:]), self._pairs.num_classes
        rows = blocks.shape[1] if blocks.shape[1] is not None else tf.shape(blocks)[1]
        apart = tf.reshape(blocks, [self.count, rows // self.size, self.size, *features])
        by_example = tf.reshape(
            tf.transpose(apart, [1, 0, *range(2, apart.shape.rank)]),
            [rows // self.size, self.count * self.size, *features],
        )
        unlabelled = tf.reshape(by_example[:, :classes], [rows // self.size * classes, *features])
        if self._pairs.only_unlabelled:
            return unlabelled
        return tf.concat([labelled, unlabelled], axis=0)


def _run(of_pairs: Callable, pairs, seen: BlockPass):
    """Return what a function gives for some pairs, or that it wants statistics of all of them."""
    try:
        with passing(seen):
            return of_pairs(pairs)
    except UnknownStatistics as unknown:
        return unknown


def _tensors(found) -> list[tf.Tensor]:
    if isinstance(found, UnknownStatistics):
        return [*found.moments, found.count]
    tensors = []
    for leaf in tf.nest.flatten(found):
        gaussian = isinstance(leaf, tfd.Distribution)
        tensors += [leaf.mean(), leaf.stddev()] if gaussian else [leaf]
    return tensors


def _like(found, tensors: list[tf.Tensor]):
    """Return a structure like `found`, of other tensors: undo `_tensors`."""
    rest = iter(tensors)
    return tf.nest.map_structure(
        lambda leaf: (
            tfd.Independent(tfd.Normal(next(rest), next(rest)), 1)
            if isinstance(leaf, tfd.Distribution)
            else next(rest)
        ),
        found,
    )
