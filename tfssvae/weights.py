"""The weight of each term of a loss: a number, or a schedule of the optimizer's iterations."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from numbers import Real
from typing import TypeAlias

import keras

from tfssvae.checks import InputError, closest

Weight: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


def resolve_weights(
    names: Sequence[str], *settings: Mapping[str, Weight] | None
) -> dict[str, Weight]:
    """Return the weight of every term; later settings win.

    Args:
        names: the terms that exist. Each weighs 1 unless set.
        settings: name -> weight. A name may be a pattern, such as "*_kl_z".

    Raises:
        InputError: a name matches no term, or a weight is neither a number nor a schedule.
    """
    weights: dict[str, Weight] = dict.fromkeys(names, 1.0)
    for setting in settings:
        for pattern, weight in (setting or {}).items():
            matches = [name for name in names if fnmatchcase(name, pattern)]
            if not matches:
                raise InputError(f"unknown term {pattern!r}: {closest(pattern, names)}")
            for name in matches:
                weights[name] = _checked(name, weight)
    return weights


def _checked(name: str, weight) -> Weight:
    if isinstance(weight, keras.optimizers.schedules.LearningRateSchedule):
        return weight
    if isinstance(weight, Real) and float("-inf") < float(weight) < float("inf"):
        return float(weight)
    raise InputError(
        f"the weight of {name!r} must be a finite number or a Keras schedule "
        f"(such as tfssvae.training.exponential_ramp), got {weight!r}"
    )


def weight_at(weight: Weight, iterations):
    """Return the weight at a number of optimizer iterations: a float or a scalar tensor."""
    if isinstance(weight, keras.optimizers.schedules.LearningRateSchedule):
        return weight(iterations)
    return weight


def is_one(weight: Weight) -> bool:
    """Return whether the weight is the constant 1, so that a term is its own contribution."""
    return isinstance(weight, float) and weight == 1.0
