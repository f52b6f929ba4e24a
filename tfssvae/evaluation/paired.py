"""Two ways to do something, each done once for every seed: their difference, seed by seed."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from tfssvae.checks import InputError

_CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A mean over runs.

    Attributes:
        mean: over the runs.
        standard_error: of the mean, s / sqrt(n); None of a single run.
        runs: n.
    """

    mean: float
    standard_error: float | None
    runs: int


class Difference(NamedTuple):
    """The mean of the differences of pairs.

    Attributes:
        mean: over the pairs.
        standard_error: of the mean; None of a single pair.
        interval: the 95% interval of Student's t with n - 1 degrees of freedom; None of a single
            pair.
        seeds: of the pairs.
    """

    mean: float
    standard_error: float | None
    interval: tuple[float, float] | None
    seeds: tuple[int, ...]


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of some runs, and how far it may be off.

    Raises:
        InputError: there is no run.

    >>> estimate([1.0, 3.0])
    Estimate(mean=2.0, standard_error=1.0, runs=2)
    """
    if not len(values):
        raise InputError("there are no runs to average")
    found = np.asarray(values, "float64")
    error = float(found.std(ddof=1) / math.sqrt(len(found))) if len(found) > 1 else None
    return Estimate(float(found.mean()), error, len(found))


def paired_difference(
    reference: Mapping[int, float], other: Mapping[int, float]
) -> Difference | None:
    """Return the mean of other - reference over the seeds that both have (paired t interval).

    What a seed makes easier or harder for both, such as the choice of labels, is not in it.

    Args:
        reference: seed -> figure.
        other: seed -> figure.

    Returns:
        None where no seed is in both: then nothing is paired.

    >>> paired_difference({0: 1.0, 1: 5.0}, {1: 7.0, 0: 2.0, 2: 9.0}).mean
    1.5
    """
    seeds = sorted(set(reference) & set(other))
    if not seeds:
        return None
    mean, error, count = estimate([other[seed] - reference[seed] for seed in seeds])
    interval = None
    if error is not None:
        reach = float(scipy.stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) * error
        interval = (mean - reach, mean + reach)
    return Difference(mean, error, interval, tuple(seeds))
