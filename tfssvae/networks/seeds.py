"""Seeds of the layers of a network."""

import itertools
from collections.abc import Iterator

_STRIDE = 7919  # a prime: networks of neighbouring seeds share no layer's seed


def layer_seeds(seed: int | None, first: int = 0) -> Iterator[int | None]:
    """Return a seed of its own for each layer, so that equal shapes get unequal weights.

    Args:
        seed: of the network; None gives None, Keras's global seed, to every layer.
        first: number of seeds that are passed over.

    >>> list(itertools.islice(layer_seeds(3), 2))
    [3, 7922]
    """
    if seed is None:
        return itertools.repeat(None)
    return itertools.count(seed + first * _STRIDE, _STRIDE)
