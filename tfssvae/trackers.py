"""The mean of every term over an epoch, held in one variable."""

from collections.abc import Sequence

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfssvae")
class NamedMeans(keras.metrics.Metric):
    """Running means of named scalars that share one weight, and when each ceased to be a number.

    One vector instead of a metric per name: a step updates three variables, however many terms a
    method has, and because the weight is shared the means of the parts add up to the mean of
    their sum.

    Attributes:
        finite_steps: (names,) how many steps each name was finite in before the first in which it
            was not; over several replicas the sum of their counts.

    Args:
        names: of the scalars.
    """

    def __init__(self, names: Sequence[str], name: str = "terms", **kwargs):
        super().__init__(name=name, dtype="float32", **kwargs)
        self.names = list(names)
        self.total = self.add_variable((len(self.names),), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")
        self.finite_steps = self.add_variable((len(self.names),), "zeros", name="finite_steps")

    def update_state(self, values: dict, sample_weight=1.0):
        """Add one step.

        Args:
            values: name -> scalar, with exactly the names of this metric.
            sample_weight: the number of examples that the scalars are means over.
        """
        if set(values) != set(self.names):
            raise ValueError(f"expected the names {self.names}, got {list(values)}")
        rows = tf.cast(sample_weight, tf.float32)
        vector = tf.stack([tf.cast(values[name], tf.float32) for name in self.names])
        self.total.assign_add(vector * rows)
        self.count.assign_add(rows)
        # What was once infinite or no number stays so in a sum.
        still = tf.math.is_finite(tf.convert_to_tensor(self.total))
        self.finite_steps.assign_add(tf.cast(still, tf.float32))

    def result(self) -> dict:
        """Return name -> mean."""
        means = tf.math.divide_no_nan(tf.convert_to_tensor(self.total), self.count)
        return dict(zip(self.names, tf.unstack(means, len(self.names)), strict=True))

    def get_config(self):
        return {"names": self.names, "name": self.name}
