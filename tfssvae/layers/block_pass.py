"""What layers have to know where the pairs of a batch pass through them block by block."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import tensorflow as tf

_ACTIVE = threading.local()  # replicas are threads


class Moments(NamedTuple):
    """Of the inputs of a normalisation, for each channel.

    Attributes:
        mean: (..., c).
        variance: (..., c).
    """

    mean: tf.Tensor
    variance: tf.Tensor


class UnknownStatistics(BaseException):  # Keras rewrites an Exception on its way through a layer
    """Ends a pass at the first normalisation whose statistics over all pairs are not known.

    Args:
        layer: the normalisation.
        moments: of the rows of this pass.
        count: how many values of each channel they are of.
    """

    def __init__(self, layer, moments: Moments, count: tf.Tensor):
        self.layer, self.moments, self.count = layer, moments, count


class BlockPass:
    """One pass of some of the pairs of a batch through the networks.

    Args:
        statistics: over all pairs, of the first normalisations of the pass.
        weights: (rows,), 0 where a row is not to be counted in statistics, or None.
        of_examples: what networks gave that see examples and not pairs: the first pass fills it,
            all others take what is there.
    """

    def __init__(self, statistics: Sequence[Moments], weights: tf.Tensor | None, of_examples: list):
        self._statistics = iter(statistics)
        self._weights = weights
        self._of_examples = of_examples
        self._calls = 0

    def statistics(self, layer, inputs: tf.Tensor) -> Moments:
        """Return the statistics over all pairs of the inputs of the next normalisation.

        Raises:
            UnknownStatistics: they are not known.
        """
        known = next(self._statistics, None)
        if known is None:
            raise UnknownStatistics(layer, *layer.moments(inputs, self._weights))
        return known

    def of_examples(self, network: Callable, *args, **kwargs):
        """Return `network(*args, **kwargs)`, of examples, as the first pass found it."""
        if self._calls == len(self._of_examples):
            with passing(None):
                self._of_examples.append(network(*args, **kwargs))
        self._calls += 1
        return self._of_examples[self._calls - 1]


def active_pass() -> BlockPass | None:
    """Return the pass that is going on, None where all pairs pass at once."""
    return getattr(_ACTIVE, "value", None)


@contextmanager
def passing(value: BlockPass | None) -> Iterator[None]:
    """Make a pass the active one."""
    before = active_pass()
    _ACTIVE.value = value
    try:
        yield
    finally:
        _ACTIVE.value = before
