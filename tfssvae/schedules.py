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


@keras.saving.register_keras_serializable("tfssvae")
class RampDown(keras.optimizers.schedules.LearningRateSchedule):
    """rate * exp(-gamma ((t - origin) / steps)^2) from `begin` on: see `ramp_down`."""

    def __init__(self, rate, begin: int, steps: int, gamma: float = 5.0, origin: int = 0):
        self.rate = rate
        self.begin, self.origin = int(begin), int(origin)
        self.steps, self.gamma = _positive(steps), float(gamma)

    def __call__(self, step):
        """Return the rate after `step` iterations, a float32 scalar."""
        schedule = isinstance(self.rate, keras.optimizers.schedules.LearningRateSchedule)
        rate = tf.cast(self.rate(step) if schedule else self.rate, tf.float32)
        step = tf.cast(step, tf.float32)
        late = tf.exp(-self.gamma * tf.square((step - self.origin) / self.steps))
        return rate * tf.where(step < self.begin, 1.0, late)

    def get_config(self):
        names = ("begin", "steps", "gamma", "origin")
        rate = keras.saving.serialize_keras_object(self.rate)
        return {"rate": rate, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "rate": keras.saving.deserialize_keras_object(config["rate"])})


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


def ramp_down(rate, begin: int, steps: int, gamma: float = 5.0, origin: int = 0) -> RampDown:
    """Return a rate that falls as exp(-gamma ((t - origin) / steps)^2) (EXoN, appendix A.4).

    Args:
        rate: until then: a number, or a schedule that goes on to count.
        begin: optimizer iterations until the fall.
        steps: iterations from `origin` on that reduce the rate by exp(-gamma).
        gamma: of the fall.
        origin: iteration from which the fall is reckoned.

    >>> float(ramp_down(1.0, begin=5, steps=10)(4)), round(float(ramp_down(1.0, 5, 10)(10)), 4)
    (1.0, 0.0067)
    """
    return RampDown(rate, begin, steps, gamma, origin)
