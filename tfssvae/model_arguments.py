"""Checks of what the constructor of every method takes."""

import operator
from collections.abc import Sequence

import numpy as np

from tfssvae.checks import InputError


def checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return (height, width, channels) or (features,), or raise InputError."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if len(sizes) not in (1, 3) or min(sizes) < 1:
        raise InputError(
            "input_shape must be (height, width, channels) or (features,) with positive sizes, "
            f"got {shape}"
        )
    return sizes


def checked_classes(num_classes: int) -> int:
    """Return K, or raise InputError."""
    number = isinstance(num_classes, int | float | np.number) and not isinstance(num_classes, bool)
    if not number or num_classes < 2 or num_classes % 1:
        raise InputError(f"num_classes must be an integer >= 2, got {num_classes!r}")
    return int(num_classes)


def checked_prior(prior, num_classes: int):
    """Return None, "labels" or K probabilities as a list, or raise InputError."""
    if prior is None or (isinstance(prior, str) and prior == "labels"):
        return prior
    try:
        values = np.asarray(prior, "float64")
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (num_classes,) or not (values > 0).all() or abs(values.sum() - 1) > 1e-4:
        raise InputError(
            f'class_prior must be None (uniform), "labels" or {num_classes} positive '
            f"probabilities that sum to 1, got {prior!r}"
        )
    return [float(value) for value in values / values.sum()]


def checked_regularizers(regularizers) -> list:
    """Return regularizers as a list of its own, or raise InputError."""
    known = isinstance(regularizers, list | tuple)
    if not known or not all(hasattr(part, "default_weights") for part in regularizers):
        raise InputError(
            "regularizers must be a list of them, such as [tfssvae.regularizers.MIER()], got "
            f"{regularizers!r:.100}"
        )
    return list(regularizers)
