"""SHOT-VAE's recipes against the settings and figures of the paper."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae import runs
from tfssvae.evaluation.curves import ACCURACY, BOUND
from tfssvae.recipes import TABLES
from tfssvae.recipes.shot_vae import perceptron_settings, wide_settings
from tfssvae.reproduce import reproduce
from tfssvae.runs.complete import unnumbered
from tfssvae.weights import resolve_weights

OURS = [name for name in TABLES if name.startswith("shot_vae/")]


def revived(value):
    return keras.saving.deserialize_keras_object(value)


def test_every_table_is_there_for_each_of_its_data_sets():
    expected = {
        "table1-cifar10": 5,
        "table1-cifar100": 10,
        "table3-mnist": 4,
        "table3-svhn": 4,
        "table4-cifar10": 10,
        "table4-cifar100": 10,
        "table5-cifar10": 2,
        "table5-cifar100": 2,
        "figure1-cifar10": 2,
        "figure1-mnist": 2,
        "figure3-cifar10": 15,
        "figure3-cifar100": 15,
    }
    assert {name.removeprefix("shot_vae/"): len(TABLES[name].rows) for name in OURS} == expected


@pytest.mark.parametrize(
    ("table", "row", "metric", "figure", "labels_per_class"),
    [
        ("table1-cifar10", "shot-vae@4000-28_2", "error", 0.0851, 400),
        ("table1-cifar100", "shot-vae@10000-28_10", "error", 0.2530, 100),
        ("table1-cifar10", "mixup@4000-28_2", "error", 0.1071, 400),
        ("table1-cifar100", "mean-teacher@10000-28_2", "error", 0.3892, 100),
        ("table1-cifar10", "supervised@4000-28_2", "error", None, 400),
        ("table3-mnist", "smooth-elbo", "error", 0.0314, 10),
        ("table3-svhn", "shot-vae", "error", 0.2882, 100),
        ("table5-cifar10", "shot-vae+mt", "teacher_error", 1 - 0.9559, 400),
        ("table5-cifar10", "shot-vae+mt", "error", None, 400),
        ("table5-cifar100", "shot-vae+da", "error", 1 - 0.7591, 100),
        ("figure3-cifar10", "m2@4000", "error", 0.1808, 400),
        ("figure3-cifar10", "smooth-elbo@500", "error", None, 50),
    ],
)
def test_published_figures_and_labels(table, row, metric, figure, labels_per_class):
    (found,) = TABLES[f"shot_vae/{table}"].chosen([row])
    data = table.partition("-")[2]
    assert found.published[data].get(metric) == (figure and pytest.approx(figure))
    assert found.labels_per_class == labels_per_class


@pytest.mark.parametrize(
    ("data", "shape", "z", "units"),
    [("mnist", (28, 28, 1), 10, 500), ("svhn", (32, 32, 3), 32, 280)],
)
def test_the_perceptrons_are_about_a_million_weights(data, shape, z, units):
    model = perceptron_settings("smooth-elbo", data, 1, 1)["model"]
    del model["regularizers"]
    found = tfssvae.models.ShotVAE(shape, 10, **model, regularizers=[])
    inner = [(units, units), (units, units), (units, 2 * z), (units, 10)]
    backbone = sum(rows * columns + columns for rows, columns in [(np.prod(shape), units), *inner])
    assert found.classifier.count_params() + units * 2 * z + 2 * z == backbone
    assert 0.8e6 < backbone < 1.1e6
    for name in ("m2", "m1m2"):
        assert perceptron_settings(name, data, 1, 1)["model"]["hidden"] == [units] * 3


@pytest.mark.parametrize(("data", "last"), [("cifar10", 600), ("cifar100", 700)])
@pytest.mark.parametrize("shrunk", [1.0, 0.1])
def test_the_rate_falls_tenfold_at_the_papers_epochs(data, last, shrunk):
    epochs = round(last * shrunk)
    config = wide_settings("shot-vae", data, "wide_resnet_28_2", 80, epochs)
    optimizer = revived(config["optimizer"])
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 5e-4)
    rate = revived(config["learning_rate"])
    drops = {"cifar10": (400, 500, 550), "cifar100": (500, 600, 650)}[data]
    published_epochs = [0.5, 1.5, drops[0] - 1, drops[0] + 1, drops[1] + 1, drops[2] + 1]
    found = [float(rate(round(epoch * shrunk * 80))) for epoch in published_epochs]
    np.testing.assert_allclose(found, [0.02, 0.1, 0.1, 0.01, 1e-3, 1e-4], rtol=1e-5)


def test_rows_differ_as_their_names_say():
    configs = {
        name: wide_settings(name, "cifar10", "wide_resnet_28_2", 10, 2)
        for name in ("m2", "smooth-elbo", "shot-vae", "shot-vae+da", "shot-vae+mt")
    }
    kinds = {
        name: [type(part).__name__ for part in revived(config["model"]["regularizers"])]
        for name, config in configs.items()
    }
    assert kinds == {
        "m2": [],
        "smooth-elbo": [],
        "shot-vae": ["OptimalInterpolation"],
        "shot-vae+da": ["OptimalInterpolation"],
        "shot-vae+mt": ["OptimalInterpolation", "MeanTeacher"],
    }
    assert configs["m2"]["model"]["epsilon"] == 0
    pixels = {"*_reconstruction": 1e-3, "*_kl_*": 1e-5}
    assert configs["m2"]["model"]["weights"] == {**pixels, "labelled_kl_y": 0.0}
    assert configs["shot-vae"]["model"]["weights"] == pixels
    interpolation = revived(configs["shot-vae"]["model"]["regularizers"])[0]
    assert (interpolation.steps, interpolation.gamma) == (20, 5.0)
    steps = {
        name: len(revived(config["model"]["augment"]).steps) for name, config in configs.items()
    }
    assert steps["shot-vae+da"] == steps["shot-vae"] + 1 == 3


@pytest.mark.parametrize("name", ["supervised", "mixup", "mean-teacher"])
def test_classifiers_are_trained_without_a_bound(name, digits_batch):
    config = wide_settings(name, "cifar10", "wide_resnet_28_2", 10, 2)
    model = {**revived(config["model"]), "backbone": "wide_resnet_10_1", "augment": None}
    built = tfssvae.models.ShotVAE((8, 8, 1), 10, **model)
    built.compile("sgd")
    logs = built.test_on_batch(*digits_batch, return_dict=True)
    parts = {
        "supervised": {"classification"},
        "mixup": {"classification", "labelled_consistency", "mixup"},
        "mean-teacher": {"classification", "mean_teacher"},
    }[name]
    assert logs["labelled_reconstruction"] == logs["unlabelled_kl_z"] == 0
    assert logs["loss"] == pytest.approx(sum(logs[part] for part in parts), rel=1e-5)


@pytest.fixture(scope="module")
def digits_batch():
    data = tfssvae.data.load("digits", labels_per_class=2)
    x, y = data.x_train[data.labelled_indices], data.y_train[data.labelled_indices]
    return {"labelled": x, "unlabelled": data.x_train[:30]}, y


def test_table_4_has_an_analysis_over_each_of_its_factors():
    table = TABLES["shot_vae/table4-cifar10"]
    assert {name: len(rows) for name, rows in table.factors.items()} == {"epsilon": 5, "gamma": 5}
    assert {row for rows in table.factors.values() for row in rows} == {r.name for r in table.rows}
    (row,) = table.chosen(["epsilon=1e-05"])
    assert row.settings(10, 2)["model"]["epsilon"] == 1e-5
    (row,) = table.chosen(["gamma=20"])
    (regularizer,) = revived(row.settings(10, 2)["model"]["regularizers"])
    assert regularizer.gamma == 20.0


@pytest.mark.parametrize("data", ["cifar10", "mnist"])
def test_figure_1_leaves_the_labelled_bound_out_and_keeps_the_classification(data):
    found = {}
    for row in TABLES[f"shot_vae/figure1-{data}"].rows:
        config = row.settings(10, 2)
        method, weights = tfssvae.METHODS[config["method"]], config["model"].pop("weights", {})
        given = {**method.paper_weights(100, 900), **weights}
        found[row.name] = resolve_weights(list(method.TERMS), given), unnumbered(config)
    (bare, settings), (without, others) = found.values()
    assert settings == others
    assert bare["labelled_reconstruction"] > 0
    assert without["classification"] == bare["classification"] > 0
    for name, weight in without.items():
        assert weight == (0.0 if name.startswith("labelled_") else bare[name])


def test_figure_1_draws_the_held_out_bound_and_accuracy_of_each_row():
    histories = {
        "M2": {BOUND: [-9.0, -8.0], ACCURACY: [0.5, 0.75], "accuracy": [1.0, 1.0]},
        "without": {BOUND: [-7.0, -6.0], ACCURACY: [0.25, 0.5]},
    }
    figure = TABLES["shot_vae/figure1-mnist"].draw_histories(histories)
    drawn = {
        axes.get_title(): {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
        for axes in figure.axes
    }
    assert drawn["accuracy"] == {"M2": [0.5, 0.75], "without": [0.25, 0.5]}
    assert drawn["unlabelled_bound"] == {"M2": [-9.0, -8.0], "without": [-7.0, -6.0]}


def test_unknown_backbones_are_refused():
    with pytest.raises(tfssvae.InputError, match="wide_resnet_28_2"):
        tfssvae.models.ShotVAE((32, 32, 3), 10, backbone="resnet")
    with pytest.raises(tfssvae.InputError, match="needs images"):
        tfssvae.models.ShotVAE((64,), 10, backbone="wide_resnet_28_2")


@pytest.mark.slow
def test_a_wide_row_trains_and_continues(tmp_path, monkeypatch):
    """Serialised schedules, chains and regularizers survive being written and read again."""
    table = TABLES["shot_vae/table5-cifar10"]
    (row,) = table.chosen(["shot-vae+mt"])

    def small(steps, epochs):
        found = row.settings(steps, epochs)
        return {**found, "model": {**found["model"], "backbone": "wide_resnet_10_1"}}

    cheap = replace(row, settings=small, labels_per_class=10)
    chosen = replace(table, rows=[cheap], data={"digits": {"name": "digits"}})
    monkeypatch.setattr("tfssvae.reproduce.TABLES", {"small": chosen})
    folder = reproduce("small", "digits", 2, out=tmp_path / "small") / "shot-vae+mt-seed0"
    config = json.loads((folder / "config.json").read_text())
    whole = keras.saving.load_model(folder / "model.keras").get_weights()
    assert np.isfinite(json.loads((folder / "metrics.json").read_text())["history"]["loss"]).all()
    assert len(config["model"]["augment"]["config"]["steps"]) == 2
    for name in ("model.keras", "metrics.json"):
        (folder / name).unlink()
    runs.resume_run(folder)
    again = keras.saving.load_model(folder / "model.keras").get_weights()
    for one, two in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, two)
