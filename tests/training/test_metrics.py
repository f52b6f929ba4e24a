"""Metrics of Keras on partly labelled data, compared with numpy and scikit-learn."""

import contextlib
import inspect
from functools import partial

import keras
import numpy as np
import pytest
import sklearn.metrics as sk
from keras import metrics as km

import tfssvae
from tfssvae.models.supervised import Supervised
from tfssvae.training import train

ROWS = 90
THRESHOLDS = np.concatenate([[-1e-7], np.arange(1, 199) / 199, [1 + 1e-7]])  # Keras's 200


class Case:
    """Rows of which a third has no label, and all have weights, with what is predicted for them."""

    def __init__(self, classes):
        random = np.random.default_rng(classes)
        self.classes = classes
        truth = random.integers(classes, size=ROWS)
        self.x = random.uniform(size=(ROWS, classes)).astype("float32")
        self.x[np.arange(ROWS), truth] += 0.3  # mostly right
        self.x /= self.x.max()
        self.y = np.where(random.uniform(size=ROWS) < 2 / 3, truth, -1)
        self.y[:15] = -1  # the first batch has no label at all
        self.weights = random.uniform(0.2, 2.0, size=ROWS).astype("float32")
        known = self.y >= 0
        scores = np.exp(8.0 * self.x[known].astype("float64"))
        self.p = scores / scores.sum(axis=1, keepdims=True)
        self.labels = self.y[known]
        self.w = {"": np.ones(known.sum()), "weighted_": self.weights[known].astype("float64")}
        self.t = np.eye(classes)[self.labels]
        self.guess = self.p.argmax(1)

    def decisions(self, w):
        """Truth, probability and weight of every decision: of class 1 of two, or of each class."""
        if self.classes == 2:
            return self.labels, self.p[:, 1], w
        return self.t.ravel(), self.p.ravel(), np.repeat(w, self.classes)

    def model(self, **settings):
        """A classifier whose logits are eight times the input."""
        layer = keras.layers.Dense(self.classes)
        network = keras.Sequential([keras.Input((self.classes,)), layer])
        layer.set_weights([8.0 * np.eye(self.classes), np.zeros(self.classes)])
        model = Supervised((self.classes,), self.classes, network)
        model.compile("sgd", **settings)
        return model

    def evaluate(self, model, **settings):
        """Logs of the evaluation, in batches of 15 unless told otherwise."""
        arguments = {"sample_weight": self.weights, "batch_size": 15, **settings}
        return model.evaluate(self.x, self.y, verbose=0, return_dict=True, **arguments)


def mean_of(values):
    return lambda c, w: np.average(values(c), weights=w)


def counts_at(thresholds, truth, p, w):
    """True negatives, false positives, false negatives and true positives at each threshold."""
    said = p[:, None] > thresholds
    kinds = [(0, False), (0, True), (1, False), (1, True)]
    return [w @ ((truth[:, None] == label) & (said == yes)) for label, yes in kinds]


def counts_of(c, w):
    return [count[0] for count in counts_at(np.array([0.5]), *c.decisions(w))]


def rates_at(thresholds, c, w):
    tn, fp, fn, tp = counts_at(thresholds, *c.decisions(w))
    precision = tp / np.where(tp + fp > 0, tp + fp, 1.0)
    return {"precision": precision, "recall": tp / (tp + fn), "specificity": tn / (tn + fp)}


def rate(name):
    return lambda c, w: rates_at(np.array([0.5]), c, w)[name][0]


def best(first, second, least):
    """The highest rate among thresholds at which a second one is high enough."""

    def by_hand(c, w):
        found = rates_at(THRESHOLDS, c, w)
        return found[first][found[second] >= least].max()

    return by_hand


def area(truth, p, w):
    """Area under the ROC curve, drawn at Keras's thresholds."""
    tn, fp, fn, tp = counts_at(THRESHOLDS, truth, p, w)
    area = -np.trapezoid(tp / (tp + fn), fp / (fp + tn))
    assert area == pytest.approx(sk.roc_auc_score(truth, p, sample_weight=w), abs=0.03)
    return area


def area_of_classes(c, w):
    return np.mean([area(c.t[:, k], c.p[:, k], w) for k in range(c.classes)])


def log_loss(c):
    return -np.log(c.p[np.arange(len(c.labels)), c.labels])


def right(c):
    return c.guess == c.labels


def top_2(c):
    return (np.argsort(-c.p, axis=1)[:, :2] == c.labels[:, None]).any(axis=1)


def squared(c):
    return ((c.t - c.p) ** 2).mean(1)


def margin(c):
    return np.maximum(0.0, 1.0 + ((1 - c.t) * c.p).max(1) - (c.t * c.p).sum(1))


def divergence(c):
    t = np.maximum(c.t, 1e-7)
    return (t * np.log(t / np.maximum(c.p, 1e-7))).sum(1)


def concordance(c):
    covariance = [np.cov(t, p, bias=True)[0, 1] for t, p in zip(c.t, c.p, strict=True)]
    apart = (c.t.mean(1) - c.p.mean(1)) ** 2
    return 2 * np.array(covariance) / (c.t.var(1) + c.p.var(1) + apart)


def cosine(c):
    return (c.t * c.p).sum(1) / np.linalg.norm(c.p, axis=1)


def pearson(c):
    return [np.corrcoef(t, p)[0, 1] for t, p in zip(c.t, c.p, strict=True)]


def log_cosh(c):
    return np.log(np.cosh(c.p - c.t)).mean(1)


def absolute(c):
    return np.abs(c.p - c.t).mean(1)


def squared_log(c):
    return ((np.log1p(c.p) - np.log1p(c.t)) ** 2).mean(1)


def poisson(c):
    return (c.p - c.t * np.log(c.p + 1e-7)).mean(1)


def hinge(c):
    return np.maximum(0.0, 1.0 - (2 * c.labels - 1) * c.p[:, 1])


def jaccard(c, w):
    return np.mean(sk.jaccard_score(c.labels, c.guess, average=None, sample_weight=w))


def jaccard_of_1(c, w):
    return sk.jaccard_score(c.labels == 1, c.guess == 1, sample_weight=w)


def recall_of_0(c, w):
    of_0 = c.labels == 0
    return np.average(c.p[of_0, 0] > 0.5, weights=w[of_0])


def f_score(average, beta=1.0):
    def by_hand(c, w):
        given = {"average": average, "beta": beta, "sample_weight": w}
        return sk.fbeta_score(c.labels, c.guess, **given)

    return by_hand


def own_value(c):
    return c.labels * c.p[:, 0]


def own_function(y_true, y_pred):
    """A function of one's own gets integers, and has one value for each row."""
    assert y_true.dtype.is_integer
    assert y_true.shape.rank == 1
    return keras.ops.cast(y_true, "float32") * y_pred[:, 0]


class OwnMetric(keras.metrics.Mean):
    """A metric of one's own gets integers, and weights that are 0 where there is no label."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(own_function(y_true, y_pred), sample_weight=sample_weight)


class OwnRecall(km.Recall):
    """One that is derived from a metric of Keras gets what that one gets."""


FLOAT = {"dtype": "float32"}  # whole numbers would cut the weights

ANY = {
    "accuracy": (lambda k: "accuracy", mean_of(right)),
    "acc": (lambda k: "acc", mean_of(right)),
    "crossentropy": (lambda k: "crossentropy", mean_of(log_loss)),
    "ce": (lambda k: "ce", mean_of(log_loss)),
    "mse": (lambda k: "mse", mean_of(squared)),
    "auc": (lambda k: "auc", lambda c, w: area(*c.decisions(w))),
    "CategoricalAccuracy": (lambda k: "CategoricalAccuracy", mean_of(right)),
    "cosine_similarity": (lambda k: km.CosineSimilarity, mean_of(cosine)),
    "categorical_accuracy": (lambda k: km.categorical_accuracy, mean_of(right)),
    "sparse_categorical_accuracy": (lambda k: km.sparse_categorical_accuracy, mean_of(right)),
    "huber": (lambda k: km.huber, mean_of(lambda c: squared(c) / 2)),  # no difference exceeds 1
    "partial": (lambda k: partial(km.top_k_categorical_accuracy, k=2), mean_of(top_2)),
    "own_function": (lambda k: own_function, mean_of(own_value)),
    "own_metric": (lambda k: OwnMetric(), mean_of(own_value)),
    "own_recall": (lambda k: OwnRecall(), rate("recall")),
    "sparse": (lambda k: km.SparseCategoricalAccuracy(), mean_of(right)),
    "sparse_top": (lambda k: km.SparseTopKCategoricalAccuracy(k=2), mean_of(top_2)),
    "sparse_loss": (lambda k: km.SparseCategoricalCrossentropy(), mean_of(log_loss)),
    "one_hot": (lambda k: km.CategoricalAccuracy(), mean_of(right)),
    "one_hot_top": (lambda k: km.TopKCategoricalAccuracy(k=2), mean_of(top_2)),
    "one_hot_loss": (lambda k: km.CategoricalCrossentropy(), mean_of(log_loss)),
    "one_hot_hinge": (lambda k: km.CategoricalHinge(), mean_of(margin)),
    "concordance": (lambda k: km.ConcordanceCorrelation(), mean_of(concordance)),
    "pearson": (lambda k: km.PearsonCorrelation(), mean_of(pearson)),
    "f1_macro": (lambda k: km.F1Score(average="macro"), f_score("macro")),
    "f1_weighted": (lambda k: km.F1Score(average="weighted"), f_score("weighted")),
    "f2_macro": (lambda k: km.FBetaScore(average="macro", beta=2.0), f_score("macro", 2.0)),
    "divergence": (lambda k: km.KLDivergence(), mean_of(divergence)),
    "log_cosh": (lambda k: km.LogCoshError(), mean_of(log_cosh)),
    "absolute": (lambda k: km.MeanAbsoluteError(), mean_of(absolute)),
    "squared": (lambda k: km.MeanSquaredError(), mean_of(squared)),
    "squared_log": (lambda k: km.MeanSquaredLogarithmicError(), mean_of(squared_log)),
    "root": (
        lambda k: km.RootMeanSquaredError(),
        lambda c, w: np.sqrt(np.average(squared(c), weights=w)),
    ),
    "poisson": (lambda k: km.Poisson(), mean_of(poisson)),
    "r2": (lambda k: km.R2Score(), lambda c, w: sk.r2_score(c.t, c.p, sample_weight=w)),
    "one_hot_mean_iou": (lambda k: km.OneHotMeanIoU(k, **FLOAT), jaccard),
    "mean_iou": (lambda k: km.MeanIoU(k, sparse_y_pred=False, **FLOAT), jaccard),
    "one_hot_iou": (lambda k: km.OneHotIoU(k, [1], **FLOAT), jaccard_of_1),
    "iou": (lambda k: km.IoU(k, [1], sparse_y_pred=False, **FLOAT), jaccard_of_1),
    "auc_of_classes": (lambda k: km.AUC(multi_label=True, num_labels=k), area_of_classes),
    "tp": (lambda k: km.TruePositives(), lambda c, w: counts_of(c, w)[3]),
    "fp": (lambda k: km.FalsePositives(), lambda c, w: counts_of(c, w)[1]),
    "fn": (lambda k: km.FalseNegatives(), lambda c, w: counts_of(c, w)[2]),
    "tn": (lambda k: km.TrueNegatives(), lambda c, w: counts_of(c, w)[0]),
    "precision": (lambda k: km.Precision(), rate("precision")),
    "recall": (lambda k: km.Recall(), rate("recall")),
    "recall_of_0": (lambda k: km.Recall(class_id=0), recall_of_0),
    "precision_at": (lambda k: km.PrecisionAtRecall(0.6), best("precision", "recall", 0.6)),
    "recall_at": (lambda k: km.RecallAtPrecision(0.7), best("recall", "precision", 0.7)),
    "recall_at_specificity": (
        lambda k: km.SensitivityAtSpecificity(0.8),
        best("recall", "specificity", 0.8),
    ),
    "specificity_at_recall": (
        lambda k: km.SpecificityAtSensitivity(0.8),
        best("specificity", "recall", 0.8),
    ),
}
"""Name in the logs -> (metric, its value by hand)."""


TWO_CLASSES = {
    **ANY,
    "binary_accuracy": (lambda k: "binary_accuracy", mean_of(right)),
    "binary_loss": (lambda k: km.BinaryCrossentropy(), mean_of(log_loss)),
    "binary_right": (lambda k: km.BinaryAccuracy(), mean_of(right)),
    "binary_iou": (lambda k: km.BinaryIoU(**FLOAT), jaccard),
    "binary_hinge": (lambda k: km.Hinge(), mean_of(hinge)),
    "squared_hinge": (lambda k: km.squared_hinge, mean_of(lambda c: hinge(c) ** 2)),
    "binary_squared_hinge": (lambda k: km.SquaredHinge(), mean_of(lambda c: hinge(c) ** 2)),
}
"""The same of two classes."""
TABLES = {10: ANY, 2: TWO_CLASSES}


def made(table, classes):
    """Every metric of a table, by its name in the logs."""
    found = [(name, make(classes)) for name, (make, _) in table.items()]
    for name, metric in found:
        if isinstance(metric, keras.metrics.Metric):
            metric.name = name
    return [metric for _, metric in found]


@pytest.fixture(scope="module")
def evaluated():
    """Number of classes -> the case, and all that one evaluation logs."""
    found = {}
    for classes, table in TABLES.items():
        case = Case(classes)
        given = {name: made(table, classes) for name in ("metrics", "weighted_metrics")}
        model = case.model(run_eagerly=True, **given)
        found[classes] = case, case.evaluate(model)
    return found


@pytest.mark.parametrize(
    ("classes", "name"), [(classes, name) for classes in TABLES for name in TABLES[classes]]
)
def test_a_metric_has_its_value_over_the_rows_that_have_a_label(evaluated, classes, name):
    case, logs = evaluated[classes]
    for prefix, weights in case.w.items():
        expected = TABLES[classes][name][1](case, weights)
        assert logs[prefix + name] == pytest.approx(expected, rel=2e-5, abs=2e-6), prefix


def test_every_metric_of_keras_was_tried_or_is_refused():
    tried = {type(metric) for metric in made(TWO_CLASSES, 2)} | {km.CosineSimilarity, km.AUC}
    refused = {km.Accuracy, km.MeanAbsolutePercentageError, km.Mean, km.Sum}
    kinds = {kind for _, kind in inspect.getmembers(km, inspect.isclass)}
    assert kinds - tried - refused == {km.Metric, km.MeanMetricWrapper}


class WithoutWeights(keras.metrics.Mean):
    def update_state(self, y_true, y_pred):
        super().update_state(y_pred[:, 0])


class CountsEverything(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred[:, 0])


def mean_over_the_batch(y_true, y_pred):
    return keras.ops.mean(y_pred)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda: "acuracy", 'did you mean "accuracy"'),
        (lambda: None, "a metric is a name"),
        (lambda: km.Accuracy(), 'use "accuracy"'),
        (lambda: "mape", "use MeanAbsoluteError"),
        (lambda: km.Mean(), "takes no labels"),
        (lambda: "sum", "takes no labels"),
        (lambda: "bce", 'two classes, and there are 10: use "crossentropy"'),
        (lambda: km.binary_accuracy, 'two classes, and there are 10: use "accuracy"'),
        (lambda: km.Hinge, r"use CategoricalHinge\(\)"),
        (lambda: km.BinaryIoU(), r"use OneHotMeanIoU\(num_classes=10\)"),
        (lambda: "f1_score", r'F1Score\(average="macro"\)'),
        (lambda: km.Precision(thresholds=[0.2, 0.8]), "several values"),
        (lambda: "MeanIoU", "needs arguments"),
        (lambda: km.MeanIoU, "needs its arguments"),
        (lambda: km.MeanIoU(10), "pass sparse_y_pred=False"),
        (lambda: km.OneHotIoU(4, [1]), "needs num_classes=10, got 4"),
        (lambda: km.CategoricalCrossentropy(from_logits=True), "leave from_logits out"),
        (lambda: km.AUC(from_logits=True), "leave from_logits out"),
        (lambda: km.MeanMetricWrapper(km.binary_accuracy), "two classes"),
        (lambda: keras.losses.CategoricalCrossentropy(), "is a loss"),
        (lambda: keras.losses.dice, "dice of Keras does not take"),
        (lambda: km.Precision(class_id=12), "precision.* does not take labels"),
        (lambda: mean_over_the_batch, "one value for a batch"),
        (lambda: WithoutWeights(), "takes no sample_weight"),
        (lambda: CountsEverything(), "counts rows whose sample_weight is 0"),
        (lambda: OwnMetric(name="classification"), "which the model logs itself"),
    ],
)
@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
def test_a_metric_that_would_be_wrong_is_refused(metric, message, argument):
    with pytest.raises(tfssvae.InputError, match=message):
        Case(10).model(**{argument: [metric()]})


def test_a_metric_of_whole_numbers_is_refused_where_rows_have_weights():
    case = Case(10)
    iou = km.OneHotMeanIoU(10, name="iou")
    found = case.evaluate(case.model(metrics=[iou]))["iou"]
    assert found == pytest.approx(jaccard(case, case.w[""]), rel=1e-6)
    with pytest.raises(tfssvae.InputError, match=r"cut sample weights .*float32"):
        case.model(weighted_metrics=[iou])


def test_metrics_that_are_no_list_are_refused():
    with pytest.raises(tfssvae.InputError, match="metrics are a list"):
        Case(10).model(metrics="accuracy")


SOME = (
    lambda: "accuracy",
    lambda: "auc",
    lambda: km.F1Score(average="macro", name="f1"),
    lambda: km.R2Score(name="r2"),
    lambda: km.AUC(multi_label=True, num_labels=10, name="auc_of_classes"),
    lambda: km.MeanIoU(10, sparse_y_pred=False, name="iou", **FLOAT),
    lambda: OwnMetric(name="own"),
)
"""Some of each form, and those whose variables Keras makes when they first see data."""


def some():
    return [make() for make in SOME]


def names_of(logs):
    return set(logs) - {"loss", "classification"}


@pytest.mark.parametrize("settings", [{"run_eagerly": True}, {"jit_compile": True}])
def test_values_do_not_depend_on_how_the_step_runs_or_the_batches(settings):
    case = Case(10)
    expected = case.evaluate(case.model(metrics=some()))
    assert len(names_of(expected)) == len(SOME)
    found = case.evaluate(case.model(metrics=some(), **settings), batch_size=32)
    for name in names_of(expected):
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name


def test_replicas_measure_as_one_device_does(strategy):
    case, logs = Case(10), []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        with scope:
            model = case.model(metrics=some(), weighted_metrics=some())
        logs.append(case.evaluate(model, batch_size=11))  # the last two rows: one has one, or none
    assert len(names_of(logs[0])) == 2 * len(SOME)
    for name in names_of(logs[0]):
        assert logs[1][name] == pytest.approx(logs[0][name], rel=1e-5), name


def test_one_hot_labels_and_a_dict_of_metrics_are_the_same():
    case = Case(10)
    x, y = case.x[case.y >= 0], case.labels
    model = case.model(metrics={"output": ["accuracy", ("CategoricalCrossentropy",)]})
    logs = [model.evaluate(x, labels, verbose=0, return_dict=True) for labels in (y, np.eye(10)[y])]
    assert logs[0] == logs[1]
    assert logs[1]["accuracy"] == pytest.approx(np.mean(right(case)), rel=1e-6)
    assert logs[1]["CategoricalCrossentropy"] == pytest.approx(np.mean(log_loss(case)), rel=1e-5)


def test_both_drivers_log_them():
    data = tfssvae.data.load("digits", labels_per_class=10)
    logs = []
    for driver in ("fit", "loop"):
        model = tfssvae.models.M2(data.input_shape, 10, 2, (16,), seed=1)
        model.compile("adam", metrics=some())
        if driver == "fit":
            logs.append(model.fit(data.train(50, 446), epochs=2, verbose=0).history)
        else:
            logs.append(train(model, data, 2, 50, 446, verbose=0).history)
    for name in {"accuracy", "auc", "f1", "r2", "auc_of_classes", "iou", "own"}:
        assert logs[0][name] == pytest.approx(logs[1][name], rel=1e-5), name


def test_a_saved_model_has_its_metrics_as_they_were_given(tmp_path):
    case = Case(10)
    metrics = ["acc", km.F1Score(average="macro"), km.categorical_crossentropy]
    model = case.model(metrics=metrics, weighted_metrics=["mse"])
    assert model.get_compile_config()["metrics"][0] == "acc"
    expected = case.evaluate(model)
    model.save(tmp_path / "model.keras")
    assert case.evaluate(keras.saving.load_model(tmp_path / "model.keras")) == expected
    assert expected["f1_score"] == pytest.approx(f_score("macro")(case, case.w[""]), rel=1e-5)
    assert float(metrics[1].result()) == pytest.approx(expected["f1_score"])  # it is one's own
