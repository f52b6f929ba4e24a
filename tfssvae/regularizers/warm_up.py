"""Regularizers of one term whose weight rises during the run."""

import math
from numbers import Real
from typing import ClassVar

from tfssvae.checks import InputError
from tfssvae.regularizers.base import Regularizer
from tfssvae.schedules import exponential_ramp


class WarmUpRegularizer(Regularizer):
    """A regularizer of one term, of weight maximum * exp(-gamma (1 - t/steps)^2).

    Args:
        maximum: weight at the end of the warm-up.
        steps: optimizer steps of the warm-up; None keeps the weight at its maximum. The command
            line and `SSVAEClassifier` take the length of the run.
        gamma: of the warm-up.
    """

    TERM: ClassVar[str]
    """Name of the term."""

    def __init__(self, maximum: float, steps: int | None, gamma: float, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("maximum", maximum), ("gamma", gamma)):
            if not isinstance(value, Real) or not 0 <= value < math.inf:
                raise InputError(f"{name} must be a number, 0 or more, got {value!r}")
        self.maximum, self.steps, self.gamma = float(maximum), steps, float(gamma)

    def default_weights(self):
        """Return the warm-up of the weight, or its maximum where the length is not known."""
        return self.recommended_weights(self.steps) if self.steps else {self.TERM: self.maximum}

    def recommended_weights(self, steps):
        """Return the warm-up of the weight for a run of so many steps."""
        return {self.TERM: exponential_ramp(self.maximum, self.steps or steps, self.gamma)}

    def get_config(self):
        config = {name: getattr(self, name) for name in ("maximum", "steps", "gamma")}
        return {**super().get_config(), **config}
