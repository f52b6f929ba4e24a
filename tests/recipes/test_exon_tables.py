"""EXoN's recipes against the settings and figures of the paper."""

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae.recipes import TABLES
from tfssvae.recipes.exon import settings


def revived(value):
    return keras.saving.deserialize_keras_object(value)


@pytest.mark.parametrize(
    ("table", "row", "data", "metric", "figure"),
    [
        ("table1", "beta=0.01", "cifar10", "error", 0.0745),
        ("table2", "beta=0.05", "cifar10", "activated_units_1", 114.6),
        ("table2", "beta=1", "cifar10", "error", 0.0950),
        ("table3", "beta=0.25", "mnist", "error", 0.0323),
        ("table3", "beta=0.1", "mnist", "kl_to_prior", 19.654),
        ("table3", "beta=50", "mnist", "negative_ssim", 0.316),
    ],
)
def test_published_figures(table, row, data, metric, figure):
    (found,) = TABLES[f"exon/{table}"].chosen([row])
    assert found.published[data][metric] == pytest.approx(figure)
    assert found.labels_per_class == {"mnist": 10, "cifar10": 400}[data]


def test_every_row_is_there_with_every_metric():
    expected = {"exon/table1": 1, "exon/table2": 5, "exon/table3": 8}
    assert {n: len(TABLES[n].rows) for n in TABLES if n.startswith("exon/")} == expected
    for name in expected:
        for row in TABLES[name].rows:
            (figures,) = row.published.values()
            assert set(figures) == set(TABLES[name].metrics)


@pytest.mark.parametrize("epochs", [100, 20])
def test_the_classifiers_rate_on_mnist_falls_from_the_tenth_epoch_on(epochs):
    optimizer = revived(settings("mnist", 0.25, 400, epochs)["optimizer"])
    classifier, others = optimizer.of("classifier"), optimizer.of("encoder")
    per_epoch = 400 * epochs / 100
    for epoch in (0, 5, 9.9, 10, 50, 100):
        factor = np.exp(-5 * (1 - (100 - epoch) / 100) ** 2) if epoch >= 10 else 1
        rate = classifier._learning_rate(epoch * per_epoch)
        assert float(rate) == pytest.approx(0.003 * factor, rel=1e-5)
    assert classifier.weight_decay == pytest.approx(5e-4)
    assert float(others.learning_rate) == pytest.approx(0.003)
    assert others.weight_decay is None


def test_the_classifiers_rate_on_cifar_drops_four_times_and_falls_at_the_end():
    optimizer = revived(settings("cifar10", 0.05, 100, 600)["optimizer"])
    rate = optimizer.of("classifier")._learning_rate
    for epoch, power in ((0, 0), (249, 0), (251, 1), (351, 2), (451, 3), (549, 3)):
        assert float(rate(epoch * 100)) == pytest.approx(1e-3 * 0.1**power, rel=1e-4)
    for epoch in (551, 575, 600):
        factor = np.exp(-5 * (1 - (600 - epoch) / 50) ** 2)
        assert float(rate(epoch * 100)) == pytest.approx(1e-7 * factor, rel=1e-3)
    assert float(optimizer.of("decoder").learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize(("data", "lambda_1", "ramp"), [("mnist", 6000, 10), ("cifar10", 5000, 50)])
def test_weights_follow_beta(data, lambda_1, ramp):
    epochs = {"mnist": 100, "cifar10": 600}[data]
    config = settings(data, 0.5, 400, epochs)
    assert (config["labelled"], config["unlabelled"]) == (32, 96)
    weights = {"classification": config["model"]["weights"]["classification"]}
    (regularizer,) = revived(config["model"]["regularizers"])
    weights |= regularizer.recommended_weights(steps=10)  # the recipe's own steps count
    assert weights["classification"] == pytest.approx(0.25 * (1 + lambda_1 / 0.5))
    assert weights["labelled_consistency"] == pytest.approx(0.25 * lambda_1 / 0.5)
    schedule = weights["unlabelled_consistency"]
    for epoch in (0, ramp / 2, ramp, epochs):
        expected = 0.75 * lambda_1 / 0.5 * np.exp(-5 * (1 - min(1, epoch / ramp)) ** 2)
        assert float(schedule(epoch * 400)) == pytest.approx(expected, rel=1e-4)


def test_the_models_can_be_made():
    names = {"mnist": ["RandomRotation", "RandomCrop"], "cifar10": ["RandomFlip", "RandomCrop"]}
    shapes = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
    for data, shape in shapes.items():
        config = settings(data, 0.1, 1, 1)["model"]
        parts = {name: revived(config[name]) for name in ("augment", "regularizers")}
        model = tfssvae.METHODS["exon"](shape, 10, **{**config, **parts})
        assert [type(step).__name__ for step in model.augment.steps] == names[data]
        assert float(np.exp(model.likelihood.log_variance)) == pytest.approx(0.025)
    assert model.latent_dim == 256
    assert tuple(model.prior.variance[3, [0, 9, 10, 255]]) == pytest.approx((0.1, 0.1, 1, 1))
    assert [layer.rate for layer in model.classifier.layers if hasattr(layer, "rate")] == [0.1, 0.1]
    heads = 2 * 10 * 256
    assert tuple(model.head_z.dense.kernel.shape) == (1024, heads)
