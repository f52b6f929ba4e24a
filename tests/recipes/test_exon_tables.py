"""EXoN's recipes against the settings and figures of the paper."""

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae.recipes import TABLES, parted_vae
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
        ("table1", "m2", "cifar10", "error", 0.273),
        ("table1", "parted-vae", "cifar10", "error", 0.34),
        ("table1", "shot-vae", "cifar10", "error", 0.0645),
        ("table6", "adgm", "mnist", "error", 0.0096),
        ("table6", "parted-vae", "mnist", "error", 0.0979),
        ("table6", "beta=0.25", "mnist", "error", 0.0323),
    ],
)
def test_published_figures(table, row, data, metric, figure):
    (found,) = TABLES[f"exon/{table}"].chosen([row])
    assert found.published[data][metric] == pytest.approx(figure)
    assert found.labels_per_class == {"mnist": 10, "cifar10": 400}[data]


def test_every_row_is_there_with_every_metric():
    expected = {
        "exon/table1": 4,
        "exon/table2": 5,
        "exon/table3": 8,
        "exon/table6": 6,
        "exon/figure3": 2,
        "exon/figure6": 4,
    }
    assert {n: len(TABLES[n].rows) for n in TABLES if n.startswith("exon/")} == expected
    for name in expected:
        for row in TABLES[name].rows:
            figures = [set(found) for found in row.published.values()]
            # Figure 6 is a picture: nothing in it is a number.
            assert figures == ([] if name == "exon/figure6" else [set(TABLES[name].metrics)])


def test_the_components_of_figure_6_are_as_far_apart_as_it_says():
    table = TABLES["exon/figure6"]
    assert table.data_arguments("mnist") == {"name": "mnist", "classes": [0, 1]}
    assert table.data_arguments("digits") == {"name": "digits", "classes": [0, 1]}
    for row, distance in zip(table.rows, (8, 16, 24, 32), strict=True):
        prior = revived(row.settings(132, 100)["model"]["prior"])
        np.testing.assert_allclose(prior.mean, [[-distance / 2, 0], [distance / 2, 0]])
        np.testing.assert_allclose(prior.variance, 4.0)


def test_the_schedules_of_parted_vae_shrink_with_the_run():
    config = parted_vae.settings("mnist", steps_per_epoch=1000, epochs=8)
    steps, published = 8000, 937 * 80
    capacity = revived(config["model"]["capacity_u"])
    for share in (0.25, 0.5, 1):  # of the run; the capacity is never reached
        assert float(capacity(share * steps)) == pytest.approx(
            7 * share * published / 1e5, rel=1e-3
        )
    slope = revived(config["model"]["attention_slope"])
    assert float(slope(0)) == 1
    assert float(slope(steps * 35_000 / published)) == pytest.approx(8, rel=1e-3)
    model = {name: revived(value) for name, value in config["model"].items()}
    made = tfssvae.METHODS["parted_vae"]((28, 28, 1), 10, **model)
    assert (made.latent_dim, made.style_dim) == (2, 2)
    wide = parted_vae.settings("cifar10", 390, 200)["model"]
    assert wide["weights"]["classification"] / wide["weights"]["entropy_y"] == pytest.approx(
        made.term_weights["classification"] / made.term_weights["entropy_y"]
    )


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
