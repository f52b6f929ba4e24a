"""Keras metrics on the labels of partly labelled data: the form that each takes, and its rows.

A model predicts class probabilities (n, K) and is given labels (n,), -1 where there is none. Most
metrics of Keras expect labels in another form and fail, or log a wrong number without a word; few
look at the mask that Keras has for rows that do not count, but all take sample weights. `prepared`
wraps each metric in one that gives it its form and a weight of 0 where there is no label, and tries
it once: one whose value depends on rows of weight 0 is refused.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import metrics as km

from tfssvae.checks import InputError, closest
from tfssvae.library_errors import reason

ARGUMENTS = ("metrics", "weighted_metrics")
"""The arguments of `compile` that take metrics."""

_ROWS = 16  # of either half of the trial

Form = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From labels (n,), 0 where there is none, and probabilities (n, K) to what a metric is given."""


def integers(labels: tf.Tensor, probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels (n,) int32 beside probabilities (n, K)."""
    return labels, probabilities


def one_hot(labels: tf.Tensor, probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels (n, K) of 0 and 1 beside probabilities (n, K), both float32."""
    return tf.one_hot(labels, probabilities.shape[-1]), probabilities


def positive(labels: tf.Tensor, probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Of two classes: labels (n, 1) of 0 and 1 beside probabilities of class 1, (n, 1), float32."""
    return tf.cast(labels, tf.float32)[:, None], probabilities[:, 1:]


_INTEGERS = (
    km.SparseCategoricalAccuracy,
    km.SparseCategoricalCrossentropy,
    km.SparseTopKCategoricalAccuracy,
)
_ONE_HOT = (
    km.CategoricalAccuracy,
    km.CategoricalCrossentropy,
    km.CategoricalHinge,
    km.ConcordanceCorrelation,
    km.CosineSimilarity,
    km.FBetaScore,
    km.KLDivergence,
    km.LogCoshError,
    km.MeanAbsoluteError,
    km.MeanSquaredError,
    km.MeanSquaredLogarithmicError,
    km.PearsonCorrelation,
    km.Poisson,
    km.R2Score,
    km.RootMeanSquaredError,
    km.TopKCategoricalAccuracy,
)
_TWO_CLASSES = {
    km.BinaryAccuracy: '"accuracy"',
    km.BinaryCrossentropy: '"crossentropy"',
    km.BinaryIoU: "OneHotMeanIoU(num_classes={classes})",
    km.Hinge: "CategoricalHinge()",
    km.SquaredHinge: "CategoricalHinge()",
}
"""Metrics of one probability -> what more than two classes have instead."""
_THRESHOLDS = (
    km.AUC,
    km.FalseNegatives,
    km.FalsePositives,
    km.Precision,
    km.PrecisionAtRecall,
    km.Recall,
    km.RecallAtPrecision,
    km.SensitivityAtSpecificity,
    km.SpecificityAtSensitivity,
    km.TrueNegatives,
    km.TruePositives,
)
"""Metrics of yes-or-no decisions: of class 1 where there are two classes, else of every class."""
_REFUSED = {
    km.Accuracy: 'compares probabilities with labels: use "accuracy"',
    km.MeanAbsolutePercentageError: (
        "divides by the labels, which are 0 for all classes but one: use MeanAbsoluteError()"
    ),
    km.Mean: 'averages values and takes no labels: use "accuracy", or a metric of your own',
    km.Sum: 'sums values and takes no labels: use "accuracy", or a metric of your own',
}
_FUNCTIONS = {
    "accuracy": km.Accuracy,
    "binary_accuracy": km.BinaryAccuracy,
    "binary_crossentropy": km.BinaryCrossentropy,
    "binary_focal_crossentropy": km.BinaryCrossentropy,
    "categorical_accuracy": km.CategoricalAccuracy,
    "categorical_crossentropy": km.CategoricalCrossentropy,
    "categorical_focal_crossentropy": km.CategoricalCrossentropy,
    "categorical_hinge": km.CategoricalHinge,
    "concordance_correlation": km.ConcordanceCorrelation,
    "cosine_similarity": km.CosineSimilarity,
    "hinge": km.Hinge,
    "huber": km.MeanAbsoluteError,
    "kl_divergence": km.KLDivergence,
    "log_cosh": km.LogCoshError,
    "mean_absolute_error": km.MeanAbsoluteError,
    "mean_absolute_percentage_error": km.MeanAbsolutePercentageError,
    "mean_squared_error": km.MeanSquaredError,
    "mean_squared_logarithmic_error": km.MeanSquaredLogarithmicError,
    "pearson_correlation": km.PearsonCorrelation,
    "poisson": km.Poisson,
    "sparse_categorical_accuracy": km.SparseCategoricalAccuracy,
    "sparse_categorical_crossentropy": km.SparseCategoricalCrossentropy,
    "sparse_top_k_categorical_accuracy": km.SparseTopKCategoricalAccuracy,
    "squared_hinge": km.SquaredHinge,
    "top_k_categorical_accuracy": km.TopKCategoricalAccuracy,
}
"""Keras's functions of labels and predictions -> the metric whose labels they take."""


def prepared(
    given: Any, num_classes: int, logged: Collection[str], weighted: bool
) -> list[LabelledRows] | None:
    """Return what Keras's `compile` is to be given for its `metrics` or its `weighted_metrics`.

    Call it within the strategy of the model: metrics have variables.

    Args:
        given: as Keras takes it for a model of one output: a list, tuple or dict of names,
            `keras.metrics.Metric`s, their classes, or functions of (y_true, y_pred) with a value
            for each row. None for none.
        num_classes: K.
        logged: names that the model logs itself.
        weighted: whether the user's sample weights count.

    Raises:
        InputError: naming a metric that does not fit labels and class probabilities, and one that
            does.
    """
    if given is None:
        return None
    if not isinstance(given, list | tuple | dict):
        raise InputError(f'metrics are a list, such as ["accuracy"]: got {given!r:.60}')
    found = [_wrapped(part, num_classes) for part in keras.tree.flatten(given)]
    for metric in found:
        if metric.name in logged:
            raise InputError(
                f'a metric is called "{metric.name}", which the model logs itself: give it another '
                "name"
            )
        if weighted and metric.counts_whole_rows:
            raise InputError(
                f"{type(metric.metric).__name__} would cut sample weights to whole numbers: pass "
                'dtype="float32"'
            )
        _try_out(metric, num_classes)
    return found


class LabelledRows(keras.metrics.Metric):
    """A metric that sees labels in its own form, and rows without a label with weight 0.

    Args:
        metric: the metric.
        form: of its labels.
        name: in the logs.
    """

    def __init__(self, metric: keras.metrics.Metric, form: Form, name: str):
        super().__init__(name=name)
        self.metric, self.form = metric, form

    @property
    def counts_whole_rows(self) -> bool:
        """Whether the metric adds integers, as those of Keras do that intersect sets."""
        return tf.as_dtype(self.metric.dtype).is_integer

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch.

        Args:
            y_true: (n,) labels, -1 where there is none.
            y_pred: (n, K) class probabilities.
            sample_weight: (n,) or None.
        """
        weights = tf.cast(y_true >= 0, tf.float32)
        if sample_weight is not None:
            weights *= sample_weight
        if self.counts_whole_rows:
            weights = tf.cast(weights, self.metric.dtype)
        labels = tf.maximum(tf.cast(y_true, tf.int32), 0)
        self.metric.update_state(*self.form(labels, y_pred), sample_weight=weights)

    def reset_state(self):
        """Reset the metric."""
        self.metric.reset_state()

    def result(self):
        """Return the metric's value."""
        return self.metric.result()


def _wrapped(identifier: Any, num_classes: int) -> LabelledRows:
    metric, name = _resolved(identifier)
    return LabelledRows(metric, _form(metric, num_classes), name)


def _resolved(identifier: Any) -> tuple[keras.metrics.Metric, str]:
    """Return the metric that a user means, and its name in the logs, which is Keras's."""
    if isinstance(identifier, str):
        return _named(identifier), identifier
    if not callable(identifier) and not isinstance(identifier, keras.metrics.Metric):
        raise InputError(
            f"a metric is a name, a keras.metrics.Metric or a function: got {identifier!r:.60}"
        )
    try:
        found = keras.metrics.get(identifier)
    except TypeError as error:  # a class that has to be told something
        raise InputError(f"{identifier.__name__} needs its arguments: {error}") from error
    if isinstance(found, keras.losses.Loss):
        raise InputError(
            f"{type(found).__name__} is a loss, whose value is a mean over the rows of a batch: "
            "use the keras.metrics of that name"
        )
    if isinstance(found, keras.metrics.Metric):
        return found, found.name
    name = _snake_case(getattr(found, "__name__", type(found).__name__))
    return km.MeanMetricWrapper(found, name=name), name


def _snake_case(name: str) -> str:
    """Return a name as Keras writes it in logs."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _named(name: str) -> keras.metrics.Metric:
    if name.lower() in ("accuracy", "acc"):
        return km.SparseCategoricalAccuracy(name=name)
    if name.lower() in ("crossentropy", "ce"):
        return km.SparseCategoricalCrossentropy(name=name)
    try:
        return keras.metrics.get(name)
    except ValueError:
        raise InputError(f'unknown metric "{name}": {closest(name, _names())}') from None
    except TypeError as error:
        raise InputError(
            f'the metric "{name}" needs arguments: give the object of keras.metrics instead '
            f"({error})"
        ) from error


def _names() -> list[str]:
    classes = [*_INTEGERS, *_ONE_HOT, *_THRESHOLDS, *_TWO_CLASSES]
    return ["accuracy", "crossentropy", *(kind.__name__ for kind in classes)]


def _form(metric: keras.metrics.Metric, num_classes: int) -> Form:
    """Return the form of labels that a metric takes.

    Raises:
        InputError: it takes none that there is.
    """
    kind = _kind(metric)
    if kind is None:
        return integers
    name = kind.__name__
    arguments = {**vars(metric), **getattr(metric, "_fn_kwargs", {})}
    if arguments.get("from_logits") or arguments.get("_from_logits"):
        raise InputError(
            f"{name} is given probabilities, not logits: leave from_logits out of its arguments"
        )
    if kind in _REFUSED:
        raise InputError(f"{name} {_REFUSED[kind]}")
    if kind in _TWO_CLASSES:
        if num_classes > 2:
            instead = _TWO_CLASSES[kind].format(classes=num_classes)
            raise InputError(
                f"{name} is for two classes, and there are {num_classes}: use {instead}"
            )
        return positive
    if kind in _THRESHOLDS:
        of_all = ("class_id", "top_k", "multi_label", "label_weights")
        told = any(arguments.get(key) is not None and arguments[key] is not False for key in of_all)
        return one_hot if told or num_classes > 2 else positive
    if kind in _ONE_HOT:
        return one_hot
    if kind is km.IoU:
        return _form_of_iou(metric, num_classes)
    return integers


def _form_of_iou(metric, num_classes: int) -> Form:
    name = type(metric).__name__
    if metric.num_classes != num_classes:
        raise InputError(f"{name} needs num_classes={num_classes}, got {metric.num_classes}")
    if metric.sparse_y_pred:
        raise InputError(
            f"{name} expects predicted classes, and is given probabilities: pass "
            "sparse_y_pred=False"
        )
    return integers if metric.sparse_y_true else one_hot


def _kind(metric: keras.metrics.Metric) -> type | None:
    """Return the metric of Keras whose labels this one takes, or None: one of the user's own."""
    known = (*_INTEGERS, *_ONE_HOT, *_THRESHOLDS, *_TWO_CLASSES, *_REFUSED, km.IoU)
    for parent in type(metric).__mro__:
        if parent in (km.Mean, km.Sum) and parent is not type(metric):
            return None  # a subclass with an update_state of its own
        if parent is km.MeanMetricWrapper:
            return _kind_of_function(metric._fn)
        if parent in known:
            return parent
    return None


def _kind_of_function(function: Any) -> type | None:
    while isinstance(function, partial):
        function = function.func
    if not getattr(function, "__module__", "").startswith("keras."):
        return None
    name = getattr(function, "__name__", type(function).__name__)
    if name not in _FUNCTIONS:
        raise InputError(
            f"{name} of Keras does not take class labels and probabilities: use "
            '"accuracy", "crossentropy" or another metric of keras.metrics'
        )
    return _FUNCTIONS[name]


# A trial ---------------------------------------------------------------------------------------


def _try_out(metric: LabelledRows, num_classes: int) -> None:
    """Refuse a metric that fails on labels and probabilities, or counts rows without a label."""
    name = metric.name
    taken = inspect.signature(metric.metric.update_state).parameters.values()
    if not any(part.name == "sample_weight" or part.kind is part.VAR_KEYWORD for part in taken):
        raise InputError(
            f'update_state of the metric "{name}" takes no sample_weight, which is 0 for rows '
            "without a label: give it that argument and count those rows nowhere"
        )
    strategy = tf.distribute.get_strategy()
    try:
        values = strategy.run(partial(_two_values, metric, num_classes))
        metric.reset_state()
    except InputError:
        raise
    except Exception as error:  # of anybody's code
        raise InputError(
            f'the metric "{name}" does not take labels (n,) and class probabilities (n, '
            f"{num_classes}): {re.sub(r'{{.*?}} *', '', reason(error))}"
        ) from error
    with_others, alone = (strategy.experimental_local_results(value)[0] for value in values)
    if isinstance(alone, dict) or np.ndim(alone) > 0:
        raise InputError(
            f'the metric "{name}" has several values, and one number is logged: average them, as '
            'F1Score(average="macro") does, or ask for one'
        )
    if not np.allclose(with_others, alone, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise InputError(
            f'the metric "{name}" counts rows whose sample_weight is 0, as that of rows without a '
            "label is: leave them out of its value"
        )


def _two_values(metric: LabelledRows, num_classes: int):
    """Return the metric's value of labelled rows beside unlabelled ones, and of those alone."""
    random = np.random.default_rng(0)
    labels = random.integers(num_classes, size=2 * _ROWS).astype("int32")
    probabilities = random.dirichlet(np.ones(num_classes), size=2 * _ROWS).astype("float32")
    if isinstance(metric.metric, km.MeanMetricWrapper):
        given = metric.form(tf.constant(labels), tf.constant(probabilities))
        if np.ndim(metric.metric._fn(*given, **metric.metric._fn_kwargs)) == 0:
            raise InputError(
                f'the metric "{metric.name}" has one value for a batch, rows without a label '
                "included: return one for each row, without the mean over the batch"
            )
    labels[_ROWS:] = -1
    values = []
    for rows in (2 * _ROWS, _ROWS):
        metric.reset_state()
        weights = tf.cast(labels[:rows] >= 0, tf.float32)
        metric.update_state(tf.constant(labels[:rows]), tf.constant(probabilities[:rows]), weights)
        values.append(keras.tree.map_structure(tf.convert_to_tensor, metric.result()))
    return values
