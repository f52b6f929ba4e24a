"""How well clusters that were found without labels agree with the classes."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from tfssvae.checks import InputError, check_labels, check_same_length


def clustering_accuracy(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Fraction of examples in the cluster of their class, clusters named as well as can be.

    Each cluster stands for at most one class and each class for at most one cluster, the choice
    with the most agreements (Kuhn, 1955, "The Hungarian method"). Of more clusters than classes
    some stand for none, and their examples count as wrong.

    Args:
        labels: (n,) true classes 0, 1, ...; -1 where there is none, which leaves the example out.
        clusters: (n,) clusters 0, 1, ..., such as `model.predict(x).argmax(1)`.

    Returns:
        A number from 1 / clusters, if there are as many as classes, to 1.

    Raises:
        InputError: the two differ in length, are not such numbers, or no example has a label.

    >>> clustering_accuracy([0, 0, 1, 1], [1, 1, 0, 1])
    0.75
    """
    true = check_labels(labels, None, "labels")
    found = check_labels(clusters, None, "clusters", allow_unlabelled=False)
    check_same_length(true, found, ("labels", "clusters"))
    true, found = true[true >= 0], found[true >= 0]
    if not len(true):
        raise InputError("labels are all -1: without a true class nothing can be measured.")
    counts = np.zeros((true.max() + 1, found.max() + 1), np.int64)
    np.add.at(counts, (true, found), 1)
    classes, chosen = linear_sum_assignment(counts, maximize=True)
    return float(counts[classes, chosen].sum() / len(true))
