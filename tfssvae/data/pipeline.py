"""From a data set to batches: which rows, in which order, and how they reach the step.

The rows of a step are a pure function of (seed, step): nothing has to be saved to resume, and
`model.fit` and the compiled loop see the same batches.
"""

from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from tfssvae.checks import InputError, check_count
from tfssvae.data.images import binarize_fixed
from tfssvae.data.python_calls import counted
from tfssvae.noise import Noise

if TYPE_CHECKING:
    from tfssvae.data.dataset import Data

_READS = 4  # batches read from files at once
# Streams of random numbers that never meet.
_LABELLED, _UNLABELLED, _BINARIZATION, _UNFEATURED = 0, 1, 2, 3


class Order(NamedTuple):
    """The order in which a training run visits a data set.

    Attributes:
        labelled: indices of the labelled rows.
        unlabelled: indices of the unlabelled rows.
        labelled_batch: labelled rows per step, 0 where there are none.
        unlabelled_batch: unlabelled rows per step, 0 where there are none.
        seed: of the shuffling.
        unfeatured: how many labels without images there are.
        unfeatured_batch: such labels per step, 0 where there are none.
    """

    labelled: np.ndarray
    unlabelled: np.ndarray
    labelled_batch: int
    unlabelled_batch: int
    seed: int
    unfeatured: int = 0
    unfeatured_batch: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the unlabelled rows (the labelled ones where there are none).

        The last batch of a pass is filled from the next one: every batch has the same shape.
        """
        if self.unlabelled_batch:
            return -(-len(self.unlabelled) // self.unlabelled_batch)
        return -(-len(self.labelled) // self.labelled_batch)

    @property
    def rows_per_step(self) -> dict[str, int]:
        """How many rows of each kind a step takes."""
        return {
            "labelled": self.labelled_batch,
            "unlabelled": self.unlabelled_batch,
            "unfeatured": self.unfeatured_batch,
        }

    def rows(self, first_step: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of consecutive steps.

        Returns:
            (steps, labelled_batch) and (steps, unlabelled_batch) int32 rows of `x_train`.
        """
        return (
            _stream(self.labelled, self.labelled_batch, (self.seed, _LABELLED), first_step, steps),
            _stream(
                self.unlabelled, self.unlabelled_batch, (self.seed, _UNLABELLED), first_step, steps
            ),
        )

    def unfeatured_rows(self, first_step: int, steps: int) -> np.ndarray:
        """Return (steps, unfeatured_batch) int32 rows of `Data.unfeatured` of consecutive steps."""
        rows = np.arange(self.unfeatured)
        return _stream(rows, self.unfeatured_batch, (self.seed, _UNFEATURED), first_step, steps)


def _stream(indices, batch: int, key: tuple[int, int], first_step: int, steps: int) -> np.ndarray:
    """Cut an endless sequence of passes, each in an order of its own, into batches."""
    if batch == 0:
        return np.zeros((steps, 0), "int32")
    size = len(indices)
    start, stop = first_step * batch, (first_step + steps) * batch
    passes = range(start // size, (stop - 1) // size + 1)
    positions = np.concatenate([_permutation(size, key, number) for number in passes])
    offset = passes[0] * size
    rows = indices[positions[start - offset : stop - offset]]
    return rows.reshape(steps, batch).astype("int32")


@lru_cache(maxsize=4)
def _permutation(size: int, key: tuple[int, int], number: int) -> np.ndarray:
    seed, stream = key
    bits = np.random.Philox(np.random.SeedSequence([seed, stream, number]))
    return np.random.Generator(bits).permutation(size)


def training_order(
    data: "Data", labelled: int, unlabelled: int, seed: int | None = None, unfeatured: int = 0
) -> Order:
    """Return the order of a training run.

    Args:
        data: the data set.
        labelled: labelled rows per step; ignored where the data have no label.
        unlabelled: unlabelled rows per step; ignored where all rows have labels.
        seed: of the shuffling; None is that of the data set.
        unfeatured: labels without images per step, possibly more than there are: passes over them
            follow each other; ignored where the data have none.

    Raises:
        InputError: a batch is larger than the rows there are, or negative, or those of images are
            both 0.
    """
    unfeatured = check_count(unfeatured, "unfeatured labels per batch")
    sizes = {}
    for name, batch, indices in (
        ("labelled", labelled, data.labelled_indices),
        ("unlabelled", unlabelled, data.unlabelled_indices),
    ):
        batch = check_count(batch, f"{name} rows per batch")
        if len(indices) and batch > len(indices):
            raise InputError(
                f"a batch of {batch} {name} rows is larger than the data: there are "
                f"{len(indices)}. Use {name}={len(indices)} or fewer"
            )
        sizes[name] = batch if len(indices) else 0
    if not any(sizes.values()):
        raise InputError("a batch needs labelled or unlabelled rows: both are 0")
    return Order(
        labelled=np.asarray(data.labelled_indices),
        unlabelled=np.asarray(data.unlabelled_indices),
        labelled_batch=sizes["labelled"],
        unlabelled_batch=sizes["unlabelled"],
        seed=abs(int(data.seed if seed is None else seed)),
        unfeatured=len(unfeatured_labels(data)),
        unfeatured_batch=unfeatured if len(unfeatured_labels(data)) else 0,
    )


def unfeatured_labels(data: "Data") -> np.ndarray:
    """Return the labels without images as probabilities, (F, K) float32; F is 0 without any."""
    if data.unfeatured is None:
        return np.zeros((0, data.num_classes), "float32")
    return data.unfeatured


def gather_batch(take, y, labelled_rows, unlabelled_rows, noise: Noise | None, unfeatured=None):
    """Return the Keras batch of the given rows, in the graph.

    Args:
        take: a function from rows to their images, uint8 or float.
        y: (N,) labels.
        labelled_rows: (L,) rows.
        unlabelled_rows: (U,) rows.
        noise: for dynamic binarisation, or None to leave the images as they are.
        unfeatured: (F, K) labels without images, or None.

    Returns:
        ({"labelled": (L, ...), "unlabelled": (U, ...), "unfeatured": (F, K)}, (L,) labels) without
        the absent parts.
    """
    images = {
        name: take(rows)
        for name, rows in (("labelled", labelled_rows), ("unlabelled", unlabelled_rows))
        if rows.shape[0] != 0
    }
    if noise is not None:
        images = {name: binarize(value, noise) for name, value in images.items()}
    inputs = dict(images)
    if unfeatured is not None and unfeatured.shape[0] != 0:
        inputs["unfeatured"] = unfeatured
    if "labelled" not in images:
        return (inputs,)
    return inputs, tf.gather(y, labelled_rows)


def binarize(x: tf.Tensor, noise: Noise) -> tf.Tensor:
    """Draw each pixel as Bernoulli with its intensity as probability; dtype and scale stay."""
    one = 255 if x.dtype == tf.uint8 else 1
    shape = [size if size is not None else tf.shape(x)[i] for i, size in enumerate(x.shape)]
    drawn = noise.uniform(shape) * one < tf.cast(x, tf.float32)
    return tf.cast(drawn, x.dtype) * tf.cast(one, x.dtype)


def binarization_noise(data: "Data", step) -> Noise | None:
    """Return the noise of dynamic binarisation at a step, or None where the data want none."""
    if data.binarize != "dynamic":
        return None
    return Noise(data.seed + _BINARIZATION, step)


def training_batches(
    data: "Data",
    labelled: int = 100,
    unlabelled: int = 200,
    seed: int | None = None,
    unfeatured: int = 100,
) -> tf.data.Dataset:
    """Return one epoch of Keras batches; every iteration is a new epoch in a new order.

    `SemiSupervisedVAE.fit` sets the data set's `position` to the model's count of steps, so that
    a resumed run sees the batches that the interrupted one would have seen. Its `from_step` gives
    the endless batches from a step on, for epochs of another length; its `rows_per_step` says how
    many rows of each kind a batch has, its `data` is the data set.
    """
    order = training_order(data, labelled, unlabelled, seed, unfeatured)
    steps = order.steps_per_epoch
    load = _loader(data, order)
    position = tf.Variable(-1, dtype=tf.int64, trainable=False, name="position")

    def load_from_position(epoch, index):
        start = position.read_value()
        # Outside of our models nothing sets the position: the epoch is then a random one.
        return load(tf.where(start >= 0, start, epoch % 2**20 * steps) + index)

    epochs = tf.data.Dataset.random(order.seed, rerandomize_each_iteration=True).take(1)
    indices = epochs.flat_map(
        lambda epoch: tf.data.Dataset.range(steps).map(lambda index: (epoch, index))
    )
    counted = indices.apply(tf.data.experimental.assert_cardinality(steps))
    batches = counted.map(load_from_position, _reads_at_once(data)).prefetch(2)
    batches.position = position
    batches.rows_per_step = order.rows_per_step
    batches.data = data
    batches.from_step = lambda step: endless_batches(data, order, step)
    return batches


def endless_batches(data: "Data", order: Order, first_step: int) -> tf.data.Dataset:
    """Return the batches of all steps from `first_step` on."""
    steps = tf.data.Dataset.counter(first_step)
    return steps.map(_loader(data, order), _reads_at_once(data)).prefetch(2)


def _loader(data: "Data", order: Order):
    """Return a function from a step, an int64 tensor, to its batch."""
    take, y = _rows_of(data.x_train), tf.constant(data.y_train)
    unfeatured = tf.constant(unfeatured_labels(data))

    @counted
    def rows_of_step(step: np.ndarray) -> tuple[np.ndarray, ...]:
        rows = (*order.rows(int(step), 1), order.unfeatured_rows(int(step), 1))
        return tuple(row[0] for row in rows)

    def load(step):
        labelled_rows, unlabelled_rows, unfeatured_rows = tf.numpy_function(
            rows_of_step, [step], [tf.int32] * 3, stateful=False
        )
        labelled_rows.set_shape([order.labelled_batch])
        unlabelled_rows.set_shape([order.unlabelled_batch])
        unfeatured_rows.set_shape([order.unfeatured_batch])
        noise = binarization_noise(data, step)
        labels = tf.gather(unfeatured, unfeatured_rows)
        return gather_batch(take, y, labelled_rows, unlabelled_rows, noise, labels)

    return load


def _reads_at_once(data: "Data") -> int | None:
    """Return how many batches are made at once, always delivered in order: several from a disk."""
    return None if isinstance(data.x_train, np.ndarray) else _READS


def _rows_of(x):
    """Return a function from rows, an int32 tensor, to their images."""
    if isinstance(x, np.ndarray):
        return partial(tf.gather, tf.constant(x))

    read = counted(x.__getitem__)

    @tf.autograph.experimental.do_not_convert  # AutoGraph warns of what it cannot read
    def take(rows):  # the images stay in their files
        x.prepare(rows.shape[0])
        images = tf.numpy_function(read, [rows], x.dtype, stateful=False)
        images.set_shape([*rows.shape, *x.shape[1:]])
        return images

    return take


def evaluation_batches(x, y, batch_size: int, binarize_mode: str | None = None, seed: int = 0):
    """Return batches (x, y) in order, the last one as short as it comes.

    Dynamic binarisation becomes one fixed draw, so that every evaluation sees the same images.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if binarize_mode == "dynamic":
        x = binarize_fixed(x, seed)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size).prefetch(2)
