"""Mixup, the plain baseline of interpolation (Zhang et al., 2018)."""

from typing import ClassVar

import keras
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.regularizers.base import term_of_rows
from tfssvae.regularizers.mixing import mix_rows, mixing_weights, neighbours
from tfssvae.regularizers.warm_up import WarmUpRegularizer


@keras.saving.register_keras_serializable("tfssvae")
class Mixup(WarmUpRegularizer):
    """One term from the unlabelled images of any method: predictions change linearly.

    `mixup` = sum_k (q(k|x~) - (1 - lam) q(k|x_0) - lam q(k|x_1))^2, x~ = (1 - lam) x_0 + lam x_1,
    x_1 a random other image of the batch. `OptimalInterpolation` chooses the partner and measures
    by KL instead.

    Args:
        maximum: weight at the end of the warm-up.
        steps: optimizer steps of the warm-up; None keeps the weight at its maximum. The command
            line and `SSVAEClassifier` take the length of the run.
        gamma: of the warm-up, maximum * exp(-gamma (1 - t/steps)^2).
        concentration: of lambda ~ Beta(concentration, concentration).

    References:
        Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.
    """

    TERM: ClassVar[str] = "mixup"

    def __init__(
        self,
        maximum: float = 1.0,
        steps: int | None = None,
        gamma: float = 5.0,
        concentration: float = 1.0,
        **kwargs,
    ):
        super().__init__(maximum, steps, gamma, **kwargs)
        if not concentration > 0:
            raise InputError(f"concentration must be positive, got {concentration}")
        self.concentration = float(concentration)

    def terms(self, model, batch, terms, training):
        """Return the squared distance from the mixed prediction of each unlabelled image."""
        x = batch.images[batch.num_labelled :]

        def distance():
            probs = tf.stop_gradient(tf.nn.softmax(terms.logits[batch.num_labelled :]))
            lam = mixing_weights(batch.noise, batch.num_unlabelled, self.concentration, True)
            logits = model.predict_logits(mix_rows(x, neighbours(x), lam), training)
            target = mix_rows(probs, neighbours(probs), lam)
            gap = tf.math.squared_difference(tf.nn.softmax(logits), target)
            return tf.reduce_sum(gap, axis=-1)

        return {self.TERM: term_of_rows(x, distance)}

    def get_config(self):
        return {**super().get_config(), "concentration": self.concentration}
