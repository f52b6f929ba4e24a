"""Scores of scikit-learn on the rows that have a label."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import _safe_indexing, check_consistent_length

from tfssvae.checks import InputError, closest, refuse_masked
from tfssvae.class_labels import UNLABELLED, Labels, labels_of


def labelled_scorer(scoring: str | Callable[..., Any], unlabelled: Any = UNLABELLED):
    """Return a scorer of scikit-learn that leaves rows without a label out.

    scikit-learn's own scorers count such rows as wrong: `scoring="accuracy"` takes -1 for a class
    that is never predicted. With `scoring=None`, `SSVAEClassifier` needs none of this.

    Args:
        scoring: a name out of `sklearn.metrics.get_scorer_names()`, or a scorer, such as
            `sklearn.metrics.make_scorer` returns.
        unlabelled: the mark of rows without a label, that of the estimator; None, NaN and other
            missing labels are left out as well.

    Returns:
        A callable (estimator, X, y, sample_weight=None) -> score, for `cross_val_score`,
        `GridSearchCV` and others, and any classifier.

    Raises:
        InputError: an unknown name; and when it is called, y without a label.

    Example:
        >>> from sklearn.dummy import DummyClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], np.array([1, 1, -1, -1])
        >>> always_1 = DummyClassifier(strategy="constant", constant=1).fit(X, y)
        >>> get_scorer("accuracy")(always_1, X, y)
        0.5
        >>> labelled_scorer("accuracy")(always_1, X, y)
        1.0
    """
    if isinstance(scoring, str) and scoring not in get_scorer_names():
        raise InputError(f'unknown scoring "{scoring}": {closest(scoring, get_scorer_names())}')
    if not (isinstance(scoring, str) or callable(scoring)):
        raise InputError(
            f"scoring must be a name or a scorer of scikit-learn, got {scoring!r}: without one,"
            " SSVAEClassifier leaves rows without a label out by itself"
        )
    return _LabelledScorer(scoring, unlabelled)


def rows_to_score(y: ArrayLike, unlabelled: Any) -> Labels:
    """Return labels of which there is at least one.

    Raises:
        InputError: no row has a label.
    """
    labels = labels_of(y, unlabelled)
    if not labels.known.any():
        raise InputError("y has no labels (all are -1 or missing): a score needs at least one")
    return labels


class _LabelledScorer:
    """A class, and no closure, because scikit-learn sends scorers to other processes."""

    def __init__(self, scoring: str | Callable[..., Any], unlabelled: Any):
        self.scoring, self.unlabelled = scoring, unlabelled

    def __call__(self, estimator, X, y, sample_weight: ArrayLike | None = None) -> float:
        labels = rows_to_score(y, self.unlabelled)
        check_consistent_length(X, labels.values, sample_weight)
        rows = np.flatnonzero(labels.known)
        weights = {}
        if sample_weight is not None:
            refuse_masked(sample_weight, "sample_weight")
            weights["sample_weight"] = np.asarray(sample_weight)[rows]
        scorer = get_scorer(self.scoring)
        return scorer(estimator, _safe_indexing(X, rows), labels.values[rows], **weights)

    def __repr__(self) -> str:
        return f"labelled_scorer({self.scoring!r}, unlabelled={self.unlabelled!r})"
