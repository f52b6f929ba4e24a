"""The mean of every term over an epoch, held in one variable."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfssvae.batch import Batch


def is_of_labelled_rows(name: str) -> bool:
    """Return whether the value of this name counts labelled rows only."""
    return name.startswith(("labelled_", "classification"))


def mean_and_rows(name: str, value: tf.Tensor, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the mean of a term or a monitor over its rows of a batch, and how many they are.

    Labelled rows count by their sample weight, all others by 1. As in Keras, weights are not
    normalised: the divisor is the number of rows that have a label.

    Args:
        name: see `core.Terms`: whose rows the value has.
        value: (rows,) one value for each; or (1,), one for the whole batch, whose rows are then as
            many as the largest part of the batch has.
        batch: the batch.

    Returns:
        Two float32 scalars; no rows have the mean 0.
    """
    if is_of_labelled_rows(name):
        rows = tf.reduce_sum(tf.cast(batch.labels >= 0, tf.float32))
        return tf.math.divide_no_nan(tf.reduce_sum(value * batch.weights), rows), rows
    if value.shape.num_elements() == 1:
        parts = batch.num_labelled, batch.num_unlabelled, tf.shape(batch.unfeatured)[0]
        return tf.reduce_sum(value), tf.cast(tf.reduce_max(tf.stack(parts)), tf.float32)
    rows = tf.cast(tf.size(value), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(value), rows), rows


@keras.saving.register_keras_serializable("tfssvae")
class NamedMeans(keras.metrics.Metric):
    """Running means of named scalars, each over rows of its own, and when each broke.

    Over an epoch or an evaluation a mean is the sum over the rows that the name counts, divided by
    their number, however they fell into batches: a batch without a label says nothing about the
    labelled terms. A term's scalars are contributions, weight * mean: where the weight is a
    schedule, each step's rows count by the weight of that step. The loss is the sum of the terms'
    means, and so what is logged adds up.

    One vector of sums and one of rows instead of a metric per name: a step updates three variables,
    however many terms a method has.

    Attributes:
        names: the terms and the monitors, in the order of the vectors.
        finite_steps: (names,) how many steps each name was finite in before the first in which it
            was not; over several replicas the sum of their counts.

    Args:
        terms: names of the scalars that add up to the loss.
        monitors: names of further scalars.
    """

    def __init__(
        self, terms: Sequence[str], monitors: Sequence[str] = (), name: str = "terms", **kwargs
    ):
        super().__init__(name=name, dtype="float32", **kwargs)
        self.terms, self.monitors = list(terms), list(monitors)
        self.names = [*self.terms, *self.monitors]
        shape = (len(self.names),)
        self.total = self.add_variable(shape, "zeros", name="total")
        self.count = self.add_variable(shape, "zeros", name="count")
        self.finite_steps = self.add_variable(shape, "zeros", name="finite_steps")

    def update_state(self, values: dict, rows: dict, sample_weight=1.0):
        """Add one step.

        Args:
            values: name -> scalar, with exactly the names of this metric.
            rows: name -> the number of rows that the scalar is a mean over.
            sample_weight: of the whole step; 0 leaves it out.
        """
        for given in (values, rows):
            if set(given) != set(self.names):
                raise ValueError(f"expected the names {self.names}, got {list(given)}")
        means, counts = (
            tf.stack([tf.cast(given[name], tf.float32) for name in self.names])
            for given in (values, rows)
        )
        counts *= sample_weight
        self.total.assign_add(tf.math.multiply_no_nan(means, counts))
        self.count.assign_add(counts)
        # What was once infinite or no number stays so in a sum.
        still = tf.math.is_finite(tf.convert_to_tensor(self.total))
        self.finite_steps.assign_add(tf.cast(still, tf.float32))

    def result(self) -> dict:
        """Return name -> mean, the loss first."""
        means = tf.math.divide_no_nan(
            tf.convert_to_tensor(self.total), tf.convert_to_tensor(self.count)
        )
        found = dict(zip(self.names, tf.unstack(means, len(self.names)), strict=True))
        return {"loss": tf.reduce_sum(means[: len(self.terms)]), **found}

    def get_config(self):
        return {"terms": self.terms, "monitors": self.monitors, "name": self.name}
