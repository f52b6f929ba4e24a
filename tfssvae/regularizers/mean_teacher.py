"""Mean Teacher: agreement with an average of one's own past weights (Tarvainen and Valpola, 2017).

SHOT-VAE's table 5 combines it with SHOT-VAE.
"""

from typing import ClassVar

import keras
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.layers import Augmentation
from tfssvae.regularizers.base import term_of_rows
from tfssvae.regularizers.warm_up import WarmUpRegularizer
from tfssvae.replicas import on_one_device


@keras.saving.register_keras_serializable("tfssvae")
class MeanTeacher(WarmUpRegularizer):
    """One term from the unlabelled images of any method: distance to the teacher's prediction.

    `teacher` is a copy of the model whose weights, batch-norm statistics included, are exponential
    averages of the model's:

        teacher <- a teacher + (1 - a) model,  a = min(decay, 1 - 1 / (step + 1))
        `mean_teacher` = sum_k (q(k|x') - q_teacher(k|x))^2

    It predicts without dropout and with its averaged statistics, and no gradient passes through
    it. After training it is a model like any other: `model.regularizers[0].teacher.predict(x)`.

    Args:
        decay: a, in [0, 1).
        maximum: weight at the end of the warm-up.
        steps: optimizer steps of the warm-up; None keeps the weight at its maximum. The command
            line and `SSVAEClassifier` take the length of the run.
        gamma: of the warm-up, maximum * exp(-gamma (1 - t/steps)^2).
        augment: changes of the images that only the model sees (x'), such as
            `layers.RandAugment()`; None: both see the same.

    References:
        Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017.
    """

    TERM: ClassVar[str] = "mean_teacher"

    def __init__(
        self,
        decay: float = 0.999,
        maximum: float = 10.0,
        steps: int | None = None,
        gamma: float = 5.0,
        augment: Augmentation | None = None,
        **kwargs,
    ):
        super().__init__(maximum, steps, gamma, **kwargs)
        if not 0.0 <= decay < 1.0:
            raise InputError(f"decay must be in [0, 1), got {decay}")
        self.decay, self.augment = float(decay), augment

    def _copy(self, model) -> None:  # not `build`, whose arguments Keras would keep
        config = {**model.get_config(), "regularizers": [], "augment": None, "weights": {}}
        self.teacher = type(model).from_config({**config, "name": "teacher"})
        self.teacher.trainable = False
        for average, current in self._pairs(model):
            average.assign(current)
        self.built = True

    @property
    def foreign_metrics(self):
        """The teacher's metrics."""
        return self.teacher.metrics if self.built else []

    def _pairs(self, model) -> list:
        """Return (teacher's variable, model's variable) of every weight that is averaged."""
        others = {id(v) for regularizer in model.regularizers for v in regularizer.weights}
        current = [v for v in model.weights if id(v) not in others]
        return [
            pair
            for pair in zip(self.teacher.weights, current, strict=True)
            if tf.as_dtype(pair[0].dtype).is_floating
        ]

    def terms(self, model, batch, terms, training):
        """Return the squared distance of each unlabelled image's two predictions."""
        if not self.built:
            self._copy(model)
        if training:
            self._average(model)
        x = batch.images[batch.num_labelled :]

        def distance():
            target = tf.nn.softmax(self.teacher.predict_logits(x))
            if training and self.augment is not None:
                logits = model.predict_logits(self.augment(x, noise=batch.noise), training)
            else:
                logits = terms.logits[batch.num_labelled :]
            gap = tf.math.squared_difference(tf.nn.softmax(logits), tf.stop_gradient(target))
            return tf.reduce_sum(gap, axis=-1)

        return {self.TERM: term_of_rows(x, distance)}

    def _average(self, model) -> None:
        step = tf.cast(model.steps_done, tf.float32)
        kept = tf.minimum(self.decay, 1.0 - 1.0 / (step + 1.0))
        pairs = [(old.value, tf.cast(new, old.dtype)) for old, new in self._pairs(model)]
        averages, values = zip(*pairs, strict=True)

        def assign(average, new, kept):
            average.assign(kept * average + (1.0 - kept) * new)

        if on_one_device():
            for average, new in pairs:
                assign(average, new, kept)
            return

        def update(strategy, averages, values, kept):
            for average, new in zip(averages, values, strict=True):
                strategy.extended.update(average, assign, args=(new, kept))

        tf.distribute.get_replica_context().merge_call(update, args=(averages, values, kept))

    def get_config(self):
        augment = keras.saving.serialize_keras_object(self.augment)
        config = {"decay": self.decay, "augment": augment}
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        augment = keras.saving.deserialize_keras_object(config["augment"], custom_objects)
        return cls(**{**config, "augment": augment})
