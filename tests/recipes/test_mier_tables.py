"""MIER's recipes against the settings and figures of the paper."""

import keras
import pytest

import tfssvae
from tfssvae.recipes import TABLES
from tfssvae.recipes.mier import DATA, settings


def revived(value):
    return keras.saving.deserialize_keras_object(value)


def test_every_row_of_the_tables_is_there():
    expected = {"mier/table1": 6, "mier/table2": 6, "mier/table3": 6}
    found = {name: len(TABLES[name].rows) for name in TABLES if name.startswith("mier/")}
    assert found == expected
    for name in ("mier/table1", "mier/table3"):
        for row in TABLES[name].rows:
            assert set(row.published) == set(DATA) == {"cifar10", "fashion_mnist", "svhn", "kmnist"}
    assert [row.labels_per_class for row in TABLES["mier/table3"].rows] == [
        100,
        100,
        250,
        250,
        500,
        500,
    ]


@pytest.mark.parametrize(
    ("table", "row", "data", "metric", "figure"),
    [
        ("mier/table1", "m2", "fashion_mnist", "accuracy", 0.7884),
        ("mier/table1", "lvae+mier", "kmnist", "accuracy", 0.8144),
        ("mier/table1", "adgm", "svhn", "accuracy", 0.2649),
        ("mier/table2", "adgm+mier", "fashion_mnist", "entropy", 0.0106),
        ("mier/table2", "lvae", "cifar10", "unlabelled_bound", -652.58),
        ("mier/table3", "m2+mier@500", "svhn", "accuracy", 0.4406),
        ("mier/table3", "m2@250", "kmnist", "accuracy", 0.7911),
    ],
)
def test_published_figures(table, row, data, metric, figure):
    (found,) = TABLES[table].chosen([row])
    assert found.published[data][metric] == pytest.approx(figure)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        # classifier, encoder with its head, decoder: weights and biases of every dense layer
        (
            "m2",
            (784 * 600 + 600 + 600 * 10 + 10)
            + (794 * 600 + 600 + 600 * 600 + 600 + 600 * 100 + 100)
            + (60 * 600 + 600 + 600 * 600 + 600 + 600 * 784 + 784),
        ),
        (
            "adgm",
            (884 * 500 + 500 + 500 * 10 + 10)
            + (784 * 500 + 500 + 500 * 500 + 500 + 500 * 200 + 200)
            + 2 * (894 * 500 + 500 + 500 * 500 + 500 + 500 * 200 + 200)
            + (110 * 500 + 500 + 500 * 500 + 500 + 500 * 784 + 784),
        ),
    ],
)
def test_networks_have_the_papers_sizes(method, parameters):
    model = settings(method, False, 1, 1)["model"]
    del model["weights"]
    assert tfssvae.METHODS[method]((28, 28, 1), 10, **model).count_params() - 11 == parameters


def test_the_ladder_has_three_levels_of_128():
    model = settings("lvae", False, 1, 1)["model"]
    assert (model["latent_dims"], model["hidden"]) == ([32, 16, 8], [128, 128, 128])


@pytest.mark.parametrize(("epochs", "shrunk"), [(1000, 1.0), (30, 0.03)])
def test_schedules_shrink_with_the_epochs(epochs, shrunk):
    config = settings("adgm", True, 300, epochs)
    warm_up = revived(config["model"]["weights"]["*_kl_z*"])
    rate = revived(config["learning_rate"])
    end, halving = 200 * 300 * shrunk, 150 * 300 * shrunk
    assert float(warm_up(0)) == 0
    assert float(warm_up(end / 2)) == pytest.approx(0.5)
    assert float(warm_up(end)) == float(warm_up(10 * end)) == 1
    assert set(config["model"]["weights"]) == {"*_kl_z*", "*_kl_a"}
    assert float(rate(halving - 1)) == pytest.approx(3e-4)
    assert float(rate(halving)) == pytest.approx(1.5e-4)
    assert float(rate(2 * halving)) == pytest.approx(0.75e-4)


def test_mier_is_added_where_the_row_says_so():
    (regularizer,) = revived(settings("m2", True, 1, 1)["model"]["regularizers"])
    assert (regularizer.beta, regularizer.gamma, regularizer.momentum) == (5.0, 1.0, 0.0)
    assert "regularizers" not in settings("m2", False, 1, 1)["model"]
    assert settings("m2", True, 1, 1)["labelled"] == settings("m2", True, 1, 1)["unlabelled"] == 200


def test_unknown_rows_are_refused():
    with pytest.raises(tfssvae.InputError, match=r"did you mean .m2\+mier"):
        TABLES["mier/table1"].chosen(["m2+miner"])
