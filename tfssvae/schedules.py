"""Weights that grow with training: Keras schedules, functions of the optimizer's iterations."""

import keras
import tensorflow as tf

from tfssvae.checks import InputError


@keras.saving.register_keras_serializable("tfssvae")
class ExponentialRamp(keras.optimizers.schedules.LearningRateSchedule):
    """maximum * exp(-gamma (1 - min(1, t / steps))^2): see `exponential_ramp`."""

    def __init__(self, maximum: float, steps: int, gamma: float = 5.0):
        self.maximum, self.steps, self.gamma = float(maximum), _positive(steps), float(gamma)

    def __call__(self, step):
        """Return the weight after `step` iterations, a float32 scalar."""
        left = 1.0 - tf.minimum(tf.cast(step, tf.float32) / self.steps, 1.0)
        return self.maximum * tf.exp(-self.gamma * tf.square(left))

    def get_config(self):
        return {"maximum": self.maximum, "steps": self.steps, "gamma": self.gamma}


@keras.saving.register_keras_serializable("tfssvae")
class LinearRamp(keras.optimizers.schedules.LearningRateSchedule):
    """final * min(1, t / steps), from `initial` on: see `linear_ramp`."""

    def __init__(self, final: float, steps: int, initial: float = 0.0):
        self.final, self.steps, self.initial = float(final), _positive(steps), float(initial)

    def __call__(self, step):
        """Return the weight after `step` iterations, a float32 scalar."""
        done = tf.minimum(tf.cast(step, tf.float32) / self.steps, 1.0)
        return self.initial + (self.final - self.initial) * done

    def get_config(self):
        return {"final": self.final, "steps": self.steps, "initial": self.initial}


def _positive(steps) -> int:
    if not steps >= 1:
        raise InputError(f"a ramp needs at least 1 step, got {steps}")
    return int(steps)


def exponential_ramp(maximum: float, steps: int, gamma: float = 5.0) -> ExponentialRamp:
    """Return the warm-up maximum * exp(-gamma (1 - min(1, t / steps))^2) (Laine and Aila, 2017).

    Args:
        maximum: the weight from `steps` on.
        steps: optimizer iterations until the maximum.
        gamma: the weight begins at maximum * exp(-gamma).

    >>> float(exponential_ramp(2.0, steps=10)(10))
    2.0
    """
    return ExponentialRamp(maximum, steps, gamma)


def linear_ramp(final: float, steps: int, initial: float = 0.0) -> LinearRamp:
    """Return a weight that goes from one value to another (warm-up: Sonderby et al., 2016).

    Args:
        final: the weight from `steps` on.
        steps: optimizer iterations until then.
        initial: the weight at the beginning.

    >>> float(linear_ramp(1.0, steps=10)(5))
    0.5
    """
    return LinearRamp(final, steps, initial)
