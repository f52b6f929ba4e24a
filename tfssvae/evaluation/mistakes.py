"""The examples that a classifier is most sure of and wrong about."""

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tfssvae.checks import check_labels, check_probabilities, check_same_length


class Mistake(NamedTuple):
    """A wrong prediction: the row of the example, its class, the predicted one and its q(y|x)."""

    row: int
    true: int
    predicted: int
    confidence: float


def worst_mistakes(
    probs, labels: ArrayLike, most: int = 24, most_alike: int | None = None
) -> list[Mistake]:
    """Return the wrong predictions, the surest first.

    Args:
        probs: (n, K) class probabilities.
        labels: (n,) classes 0..K-1; rows of -1, whose class nobody knows, are left out.
        most: how many at most.
        most_alike: how many at most of one class that is taken for one other; None: any number.

    Raises:
        InputError: probs are not probabilities, or labels do not fit them.

    >>> worst_mistakes([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]], [1, 0, 0])[0]
    Mistake(row=1, true=0, predicted=1, confidence=0.75)
    """
    probs = check_probabilities(probs)
    labels = check_labels(labels, probs.shape[1], "labels")
    check_same_length(probs, labels, ("probs", "labels"))
    predicted, confidence = probs.argmax(axis=1), probs.max(axis=1)
    wrong = np.flatnonzero((labels >= 0) & (predicted != labels))
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    if most_alike is not None:
        seen: Counter[tuple[int, int]] = Counter()
        places = []
        for row in wrong:
            pair = (int(labels[row]), int(predicted[row]))
            places.append(seen[pair])
            seen[pair] += 1
        wrong = wrong[np.array(places, int) < most_alike]
    return [
        Mistake(int(row), int(labels[row]), int(predicted[row]), float(confidence[row]))
        for row in wrong[:most]
    ]
