"""Replicas of one step, and the processes that they are in."""

import contextlib
import functools
import os
from functools import partial

import tensorflow as tf

from tfssvae.checks import InputError


def strategy_of(replicas: int) -> tf.distribute.Strategy:
    """Return the strategy of this many GPUs of this machine, or parts of its CPU where it has none.

    Call it before anything else of TensorFlow: the parts of a CPU cannot be changed later.

    Args:
        replicas: how many; 1 is the one device that TensorFlow chooses.

    Raises:
        InputError: there are fewer GPUs, or fewer cores, or TensorFlow has begun already with its
            CPU in fewer parts.
    """
    return tf.distribute.get_strategy() if replicas == 1 else _mirrored(replicas)


@functools.cache  # one strategy a process: the collectives of a second would meet the first's
def _mirrored(replicas: int) -> tf.distribute.Strategy:
    gpus = len(tf.config.list_physical_devices("GPU"))
    most = gpus or os.cpu_count() or 1
    if replicas > most:
        what = "GPUs" if gpus else "cores, and no GPU"
        raise InputError(f"this machine has {most} {what}: ask for {most} replicas or fewer")
    if not gpus:
        part = tf.config.LogicalDeviceConfiguration()
        with contextlib.suppress(RuntimeError):  # where TensorFlow has begun they cannot change
            whole = tf.config.list_physical_devices("CPU")[0]
            tf.config.set_logical_device_configuration(whole, [part] * replicas)
    kind = "GPU" if gpus else "CPU"
    found = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(found) < replicas:
        raise InputError(
            f"TensorFlow has begun with its CPU in {len(found)} parts: ask for as many replicas, "
            "or begin a new process"
        )
    return tf.distribute.MirroredStrategy(found[:replicas])


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Return how many processes take part, 1 but for a strategy of several machines."""
    resolver = strategy.cluster_resolver
    spec = resolver.cluster_spec().as_dict() if resolver is not None else {}
    return max(1, len(spec.get("chief", [])) + len(spec.get("worker", [])))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process is the one of all that writes files."""
    if num_workers(strategy) == 1:
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().as_dict():
        return resolver.task_type == "chief"
    return resolver.task_type == "worker" and resolver.task_id == 0


def workers_agree(strategy: tf.distribute.Strategy, number: int) -> bool:
    """Return whether every process calls this with the same number; all get the same answer."""
    if num_workers(strategy) == 1:
        return True

    @tf.function
    def sums(number):
        powers = tf.stack([tf.ones_like(number), number, tf.square(number)])
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, powers)

    found = strategy.run(sums, args=(tf.constant(float(number), tf.float64),))
    count, total, squares = strategy.experimental_local_results(found)[0].numpy()
    return bool(count * squares == total**2)  # no variance


def on_one_device() -> bool:
    """Return whether no other replica takes part in this step."""
    replica = tf.distribute.get_replica_context()
    return replica is None or replica.num_replicas_in_sync == 1


def of_all_replicas(values: tf.Tensor) -> tf.Tensor:
    """Return the rows of every replica, in order; on one device `values` itself."""
    if on_one_device() or values.shape[0] == 0:
        return values
    gather = partial(tf.distribute.get_replica_context().all_gather, axis=0)
    if values.shape[0] is not None:
        return gather(values)
    # TensorFlow crashes where no replica has a row: each sends a blank one, which is taken out.
    sent = tf.pad(values, [[0, 1], *[[0, 0]] * (values.shape.rank - 1)])
    counts = tf.range(tf.shape(sent)[0]) < tf.shape(values)[0]
    return tf.boolean_mask(gather(sent), gather(tf.cast(counts, tf.float32)) > 0)


def of_this_replica(values: tf.Tensor, rows: tf.Tensor | int | None = None) -> tf.Tensor:
    """Return this replica's part of the rows of every replica: undo `of_all_replicas`.

    Args:
        values: (n, ...).
        rows: how many are its own; a number or None: as many as are of any other.
    """
    if on_one_device():
        return values
    replica = tf.distribute.get_replica_context()
    if tf.is_tensor(rows):  # the last batch of an evaluation is not shared evenly
        counts = replica.all_gather(tf.cast(rows, tf.float32)[None], axis=0)
        ends = tf.cast(tf.cumsum(counts), tf.int32)
        end = ends[replica.replica_id_in_sync_group]
        return values[end - rows : end]
    rows = tf.shape(values)[0] // replica.num_replicas_in_sync
    first = replica.replica_id_in_sync_group * rows
    part = values[first : first + rows]
    if values.shape[0] is not None:
        part.set_shape([values.shape[0] // replica.num_replicas_in_sync, *values.shape[1:]])
    return part


def with_rows(data):
    """Return `data` with a blank row in each tensor where this replica has no row at all.

    The last batch of an evaluation may have fewer rows than there are replicas, and convolutions
    take no empty batch. A blank row is of zeros, and nothing may count it.

    Args:
        data: a structure of tensors, batch first, and of None.

    Returns:
        The structure, and a scalar bool, whether its rows are those of `data`; None where they
        are for sure: on one device, or where the number of rows is known.
    """
    tensors = [part for part in tf.nest.flatten(data) if part is not None]
    if on_one_device() or any(part.shape[0] for part in tensors):
        return data, None
    present = tf.reduce_any([tf.shape(part)[0] > 0 for part in tensors])
    blank = tf.cast(tf.logical_not(present), tf.int32)

    def padded(part):
        if part is None:
            return None
        return tf.pad(part, [[0, blank], *[[0, 0]] * (part.shape.rank - 1)])

    return tf.nest.map_structure(padded, data), present


COMPARED = ("all", "replica")
"""With which rows of a batch a term compares: those of all replicas, or of its own."""


def exchange(compared: str):
    """Return `of_all_replicas` and `of_this_replica` for "all", for "replica" what keeps the rows.

    With "all" the run is that of one device with the whole batch. With "replica" nothing is
    exchanged: every replica's rows are a smaller batch.
    """
    if compared == "all":
        return of_all_replicas, of_this_replica
    return tf.identity, lambda values, rows: values


def with_shared_overflow(gradients: list) -> list:
    """Return this replica's gradients, NaN if those of any replica are not finite.

    Keras's loss scale looks at the first replica alone: what overflowed in another one would reach
    the weights instead of being left out.
    """
    if on_one_device():
        return gradients
    replica = tf.distribute.get_replica_context()
    known = [gradient for gradient in gradients if gradient is not None]
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in known])
    count = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(finite, tf.float32))
    spoilt = tf.where(count < replica.num_replicas_in_sync, float("nan"), 0.0)
    return [None if g is None else g + tf.cast(spoilt, g.dtype) for g in gradients]
