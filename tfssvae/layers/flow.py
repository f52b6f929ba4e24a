"""A flow from the real line to an interval: densities over a box."""

import math

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from tfssvae import checks


class LogisticFlow(tfb.Bijector):
    """The scaled sigmoid z = low + (high - low) sigmoid(x), eq. 10 of Untapped, appendix A.

    It acts on each coordinate, as `tfb.Sigmoid` does: log-determinants are per coordinate with
    `event_ndims=0` and summed over the last axis, eq. 16, with `event_ndims=1`. (Eqs. 14 to 16
    print sigmoid(z^) where z^ = sigmoid(x) is meant.)

    Rounding takes far-out x to the edges of the interval. The inverse takes an edge for its
    neighbour inside, so that it and the log-determinants are finite everywhere in [low, high].
    Outside, the log-determinant of the inverse is -inf: there densities are 0.

    Args:
        low: lower edge.
        high: upper edge.

    >>> LogisticFlow(-1.5, 1.5).forward([-100.0, 0.0, 100.0]).numpy().tolist()
    [-1.5, 0.0, 1.5]
    """

    def __init__(
        self, low: float, high: float, validate_args: bool = False, name: str = "logistic_flow"
    ):
        parameters = dict(locals())
        self.low, self.high = _checked_interval(low, high)
        super().__init__(
            forward_min_event_ndims=0,
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    @classmethod
    def _is_increasing(cls):
        return True

    def _forward(self, x):
        return self.low + (self.high - self.low) * tf.sigmoid(x)

    def _inverse(self, z):
        dtype = z.dtype.as_numpy_dtype
        low, high = dtype(self.low), dtype(self.high)
        # Distances to the edges, at least those of the neighbours; denormal ones count as 0.
        tiny = np.finfo(dtype).tiny
        above = tf.maximum(z - low, max(np.nextafter(low, high) - low, tiny))
        below = tf.maximum(high - z, max(high - np.nextafter(high, low), tiny))
        return tf.math.log(above) - tf.math.log(below)

    def _forward_log_det_jacobian(self, x):
        # log sigmoid(x) + log(1 - sigmoid(x)), where neither exponential overflows.
        return math.log(self.high - self.low) - tf.abs(x) - 2.0 * tf.math.softplus(-tf.abs(x))

    def _inverse_log_det_jacobian(self, z):
        inside = tf.logical_and(z >= self.low, z <= self.high)
        log_det = -self._forward_log_det_jacobian(self._inverse(z))
        return tf.where(inside, log_det, tf.constant(-math.inf, z.dtype))


def _checked_interval(low, high) -> tuple[float, float]:
    try:
        edges = float(low), float(high)
    except (TypeError, ValueError):
        edges = (math.nan, math.nan)
    if not (math.isfinite(edges[0]) and math.isfinite(edges[1]) and edges[0] < edges[1]):
        raise checks.InputError(
            f"low and high must be finite numbers with low < high, got {low!r} and {high!r}"
        )
    return edges
