"""What the trials of a sweep are compared by: a figure of the validation data."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tfssvae.checks import InputError, closest
from tfssvae.evaluation.curves import ACCURACY, BOUND

DIRECTIONS = ("maximize", "minimize")


def check_objective(objective: str, known: Iterable[str]) -> None:
    """Refuse a figure that is not measured on validation data.

    Args:
        objective: name of a figure of an epoch.
        known: the figures of validation data.

    Raises:
        InputError: naming those that there are.
    """
    if not objective.startswith("val_"):
        raise InputError(
            f"--objective {objective} is no figure of validation data: use one such as "
            f"{ACCURACY}, val_loss or {BOUND}"
        )
    if objective not in known:
        raise InputError(f"unknown --objective {objective!r}: {closest(objective, known)}")


def last_value(metrics: Mapping[str, Any], objective: str) -> float:
    """Return a figure of the last epoch: the one whose model the run folder holds.

    Args:
        metrics: content of metrics.json.
        objective: its name; NaN is returned where it is missing or no number.
    """
    values = metrics["history"].get(objective)
    return math.nan if not values or values[-1] is None else float(values[-1])
