"""CaGeM's recipes against the settings and figures of the paper."""

import json
from itertools import pairwise

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae import runs
from tfssvae.recipes import TABLES
from tfssvae.recipes.cagem import settings
from tfssvae.recipes.table import Row, Table
from tfssvae.reproduce import reproduce

BOUND = "log_likelihood_5000"


def revived(value):
    return keras.saving.deserialize_keras_object(value)


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (
            "cagem/table1",
            [
                *("cagem@0-k20", "cagem@0", "cagem@20", "cagem@50", "cagem@100", "adgm@100"),
                *("vae", "iwae", "lvae"),
            ],
        ),
        ("cagem/table2", ["sdgm@100", "adgm@100", "cagem@20", "cagem@50", "cagem@100"]),
        ("cagem/table3", ["cagem@500", "vae", "iwae", "lvae"]),
        ("cagem/figure4", ["cagem@0", "cagem@20", "cagem@50", "cagem@100"]),
    ],
)
def test_every_row_of_the_tables_is_there(table, rows):
    found = TABLES[table]
    assert [row.name for row in found.rows] == rows
    for row in found.rows:
        assert row.labels == int(row.name.partition("@")[2].split("-")[0] or 0)
        assert set(row.published) == (set(found.data) if "@" in row.name else set())
        for figures in row.published.values():
            assert set(figures) <= set(found.metrics)
    for name, arguments in found.data.items():
        assert arguments == {"name": name, "binarize": "dynamic"}


@pytest.mark.parametrize(
    ("table", "row", "data", "metric", "figure"),
    [
        ("cagem/table1", "cagem@0-k20", "mnist", BOUND, -82.18),
        ("cagem/table1", "cagem@0", "mnist", BOUND, -81.60),
        ("cagem/table1", "cagem@20", "mnist", BOUND, -81.47),
        ("cagem/table1", "cagem@50", "mnist", BOUND, -80.49),
        ("cagem/table1", "cagem@100", "mnist", BOUND, -79.38),
        ("cagem/table1", "adgm@100", "mnist", BOUND, -86.06),
        ("cagem/table2", "cagem@20", "mnist", "error", 0.1586),
        ("cagem/table2", "cagem@50", "mnist", "error", 0.0242),
        ("cagem/table2", "cagem@100", "mnist", "error", 0.0116),
        ("cagem/table2", "adgm@100", "mnist", "error", 0.0096),
        ("cagem/table2", "sdgm@100", "mnist", "error", 0.0132),
        ("cagem/table3", "cagem@500", "omniglot", BOUND, -100.86),
        ("cagem/figure4", "cagem@50", "mnist", BOUND, -80.49),
    ],
)
def test_published_figures(table, row, data, metric, figure):
    (found,) = TABLES[table].chosen([row])
    assert found.published[data][metric] == pytest.approx(figure)


def dense(*widths):
    """Weights of dense layers, normalised in between: no bias there, but a scale and a shift."""
    pairs = list(pairwise(widths))
    hidden = sum(one * two + 2 * two for one, two in pairs[:-1])
    return hidden + pairs[-1][0] * pairs[-1][1] + pairs[-1][1]


def test_networks_have_the_papers_sizes():
    model = settings("cagem", False, (), 1, 1)["model"]
    found = tfssvae.METHODS["cagem"]((28, 28, 1), 10, **model)
    expected = (
        dense(784, 1024, 512, 2 * 64)  # q(z1|x)
        + dense(784 + 64, 1024, 512, 10)  # q(y|z1, x)
        + dense(784 + 64 + 10, 1024, 512, 2 * 32)  # q(z2|x, y, z1)
        + dense(32, 1024, 512, 10)  # p(y|z2)
        + dense(32 + 10, 1024, 512, 2 * 64)  # p(z1|y, z2)
        + dense(64 + 10, 1024, 512, 784)  # p(x|y, z1)
    )
    assert sum(int(np.prod(v.shape)) for v in found.trainable_variables) == expected


@pytest.mark.parametrize(("epochs", "shrunk"), [(500, 1.0), (10, 0.02)])
def test_schedules_shrink_with_the_epochs(epochs, shrunk):
    config = settings("cagem", True, (5000,), 600, epochs)
    temperature = revived(config["model"]["weights"]["*_kl_z*"])
    rate = revived(config["learning_rate"])
    end, decay = 100 * 600 * shrunk, 50 * 600 * shrunk
    assert float(temperature(0)) == 0
    assert float(temperature(end / 2)) == pytest.approx(0.5)
    assert float(temperature(end)) == float(temperature(10 * end)) == 1
    assert float(rate(decay - 1)) == pytest.approx(1e-3)
    assert float(rate(decay)) == pytest.approx(0.75e-3)
    assert float(rate(3 * decay)) == pytest.approx(0.75**3 * 1e-3)


def test_the_temperature_is_for_likelihoods_only():
    (likelihood,) = TABLES["cagem/table1"].chosen(["cagem@100"])
    (error,) = TABLES["cagem/table2"].chosen(["cagem@100"])
    assert likelihood.settings(1, 1)["likelihood_samples"] == [5000]
    assert error.settings(1, 1)["likelihood_samples"] == []
    assert "weights" in likelihood.settings(1, 1)["model"]
    assert "weights" not in error.settings(1, 1)["model"]


@pytest.mark.parametrize("name", ["vae", "iwae", "lvae"])
def test_baselines_learn_without_labels(name):
    (row,) = TABLES["cagem/table3"].chosen([name])
    found = row.settings(600, 10)
    data = tfssvae.data.load("digits", labels_per_class=0, binarize="dynamic")
    model = revived(found["model"])
    model |= {"hidden": [16, 8]}
    built = tfssvae.METHODS[found["method"]](data.input_shape, 10, **model)
    built.compile("adam", run_eagerly=True)
    logs = built.train_on_batch({"unlabelled": data.x_train[:20]}, return_dict=True)
    assert np.isfinite(logs["loss"])
    assert getattr(built, "importance_samples", 0) == {"vae": 1, "iwae": 50, "lvae": 0}[name]


def tiny(method, labels, data):
    def small(steps, epochs):
        config = settings(method, True, (1, 7), steps, epochs)
        return {**config, "model": {**config["model"], "latent_dims": [3, 2], "hidden": [8]}}

    return Row(f"{method}@{labels}", "", None, small, {}, labels=labels, data=data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table in miniature: 12 clusters without a label, and 13 labels in all."""
    table = Table(
        title="small",
        metrics={"log_likelihood_1": "nats", "log_likelihood_7": "nats"},
        rows=[tiny("cagem", 0, {"clusters": 12}), tiny("cagem", 13, {})],
        data={"digits": {"name": "digits", "binarize": "dynamic"}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfssvae.reproduce.TABLES", {"small": table})
        return reproduce("small", "digits", 1, out=tmp_path_factory.mktemp("t") / "small")


def test_the_bound_of_the_test_data_is_in_the_table(folder):
    rows = json.loads((folder / "table.json").read_text())["rows"]
    for name, labels in (("cagem@0", 0), ("cagem@13", 13)):
        run = folder / f"{name}-seed0"
        test = json.loads((run / "metrics.json").read_text())["test"]
        assert rows[name]["labels"] == labels
        assert rows[name]["metrics"]["log_likelihood_7"]["mean"] == test["log_likelihood_7"]
        assert test["log_likelihood_7"] > test["log_likelihood_1"]
        model, data = runs.load_run(run)
        # On images of 0 and 1, as in training.
        x = np.concatenate([images.numpy() for images, _ in data.test(500)])
        assert set(np.unique(x)) == {0, 255}
        expected = model.log_likelihood(x, 7).mean()
        assert test["log_likelihood_7"] == pytest.approx(expected, rel=1e-5)


def test_clusters_need_neither_labels_nor_as_many_classes(folder):
    model, data = runs.load_run(folder / "cagem@0-seed0")
    assert (model.num_classes, data.num_classes, len(data.labelled_indices)) == (12, 12, 0)
    test = json.loads((folder / "cagem@0-seed0" / "metrics.json").read_text())["test"]
    clusters = model.predict(data.x_test, verbose=0).argmax(1)
    expected = tfssvae.evaluation.clustering_accuracy(data.y_test, clusters)
    assert test["clustering_accuracy"] == pytest.approx(expected)
    assert test["clustering_accuracy"] >= test["accuracy"]


def test_labels_are_spread_evenly(folder):
    _, data = runs.load_run(folder / "cagem@13-seed0")
    counts = np.bincount(data.hidden_labels[data.labelled_indices], minlength=10)
    assert counts.tolist() == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]
    test = json.loads((folder / "cagem@13-seed0" / "metrics.json").read_text())["test"]
    assert "clustering_accuracy" not in test


def test_too_few_clusters_are_refused():
    with pytest.raises(tfssvae.InputError, match="too few"):
        tfssvae.data.load("digits", clusters=9)
