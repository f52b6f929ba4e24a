"""Inception Score of images, by a classifier that the user names (Salimans et al., 2016)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from tfssvae.checks import InputError, check_count, check_probabilities


def inception_score(
    images: ArrayLike,
    classifier: Callable[[Any], ArrayLike],
    classifier_name: str,
    splits: int = 10,
) -> dict[str, Any]:
    """Return exp(E KL(p(y|x) || p(y))) of images: sharp and varied ones score up to K.

    Scores are comparable only under one classifier: the published ones are under a network trained
    on ImageNet, which this package does not bring. Name yours, and report both together.

    Args:
        images: (n, ...) whatever the classifier takes, such as `model.generate(labels)`.
        classifier: from images to (n, K) class probabilities, such as `other_model.predict`.
        classifier_name: what it is and what it was trained on.
        splits: parts of the images over which mean and deviation are taken.

    Returns:
        "mean" and "sd" over the parts, "images", "splits" and "classifier".

    Raises:
        InputError: there are fewer images than splits, no name, or no probabilities.
    """
    if not isinstance(classifier_name, str) or not classifier_name.strip():
        raise InputError("name the classifier: a score without one means nothing")
    probs = np.asarray(classifier(images))
    if not 1 <= check_count(splits, "splits") <= len(probs):
        raise InputError(f"splits must be 1 to the {len(probs)} images, got {splits}")
    probs = check_probabilities(probs, "what the classifier returns")
    parts = np.array_split(probs.astype("float64"), splits)
    scores = [
        np.exp(scipy.special.rel_entr(part, part.mean(axis=0)).sum(axis=1).mean()) for part in parts
    ]
    return {
        "mean": float(np.mean(scores)),
        "sd": float(np.std(scores, ddof=1)) if splits > 1 else 0.0,
        "images": len(probs),
        "splits": splits,
        "classifier": classifier_name,
    }
