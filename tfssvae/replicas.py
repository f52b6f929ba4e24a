"""Rows of all replicas, for terms that compare the rows of a batch."""

import tensorflow as tf


def of_all_replicas(values: tf.Tensor) -> tf.Tensor:
    """Return the rows of every replica, in order; on one device `values` itself."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return values
    return replica.all_gather(values, axis=0)


def of_this_replica(values: tf.Tensor) -> tf.Tensor:
    """Return this replica's part of the rows of every replica: undo `of_all_replicas`."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return values
    rows = tf.shape(values)[0] // replica.num_replicas_in_sync
    first = replica.replica_id_in_sync_group * rows
    return values[first : first + rows]
