"""Untapped's recipe against the settings and figures of the paper."""

import json

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae import evaluation, runs
from tfssvae.recipes import TABLES
from tfssvae.recipes.table import rows_per_step
from tfssvae.reproduce import _config, reproduce
from tfssvae.runs import complete_run

TABLE = TABLES["untapped/section3"]


def test_the_rows_are_the_papers():
    figures = {row.name: row.published["mnist"]["free_cross_entropy"] for row in TABLE.rows}
    assert figures == {"m2": 2.30, "untapped": 2.07}
    m2, untapped = TABLE.rows
    assert (m2.pair, untapped.pair) == (None, "m2")
    assert TABLE.epochs == 150
    for row, labels in ((m2, None), (untapped, "classes")):
        assert row.data == {
            "labelled_classes": [0, 1, 2, 3, 4],
            "binarize": "round",
            "unfeatured": labels,
        }
        config = row.settings(6, 150)
        optimizer = keras.saving.deserialize_keras_object(config["optimizer"])
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert float(optimizer.learning_rate) == pytest.approx(0.01)
        assert (optimizer.epsilon, optimizer.clipvalue) == (1e-4, 1.0)
        assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.999)


def test_ten_thousand_images_of_mnist_are_a_step_and_six_steps_an_epoch():
    asked = TABLE.rows[1].settings(6, 150)
    labelled, unlabelled = 30_596, 29_404  # 0 to 4 and 5 to 9 of the training images
    sizes = (
        rows_per_step(asked["labelled"], labelled),
        rows_per_step(asked["unlabelled"], unlabelled),
    )
    assert sum(sizes) == 10_000
    assert -(-unlabelled // sizes[1]) == 6
    assert rows_per_step(asked["unfeatured"], 60_000) == 10_000
    assert rows_per_step(TABLE.rows[0].settings(6, 150)["unfeatured"], 60_000) == 0


def test_without_the_reverse_model_its_terms_weigh_nothing():
    weights = [
        tfssvae.METHODS["untapped"](
            (8, 8, 1),
            10,
            weights={
                **tfssvae.METHODS["untapped"].paper_weights(1, 1),
                **row.settings(6, 1)["model"].get("weights", {}),
            },
        ).term_weights
        for row in TABLE.rows
    ]
    bounds = dict.fromkeys(weights[0], 0.1)
    alike = {**bounds, "classification": 1.0, "labelled_reverse": 0.0}
    assert weights[0] == pytest.approx({**alike, "labelled_distance": 0.0})
    assert weights[1] == pytest.approx({**alike, "labelled_distance": 0.01})


def test_the_paper_leaves_the_distance_and_the_softness_of_labels_to_the_code():
    m2, untapped = (row.settings(6, 150)["model"] for row in TABLE.rows)
    assert (untapped["image_distance"], untapped["epsilon"]) == ("euclidean", 0.05)
    assert set(m2) == {"weights"}


def config_of(row, seed=0):
    """The configuration of a run on the digits, as it is kept in config.json."""
    return json.loads(json.dumps(_config(TABLE, row, "digits", {"data_dir": None}, seed, 2)))


def test_smaller_data_have_smaller_batches():
    m2, untapped = (config_of(row) for row in TABLE.rows)
    # A sixth of 721, 717 and 1438.
    assert [untapped[part] for part in ("labelled", "unlabelled", "unfeatured")] == [120, 120, 240]
    assert [m2[part] for part in ("labelled", "unlabelled", "unfeatured")] == [120, 120, 0]


def test_a_run_is_known_again_whatever_optimizers_were_made_before(tmp_path):
    row = TABLE.rows[1]
    kept = config_of(row)
    (tmp_path / "config.json").write_text(json.dumps(kept))
    metrics = {"seconds": 1.0, "history": {}, "environment": {}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    keras.optimizers.Adam()  # Keras numbers their names
    again = config_of(row)
    assert again != kept
    assert complete_run(tmp_path, again) == metrics
    again["optimizer"]["config"]["epsilon"] = 1e-7
    with pytest.raises(tfssvae.InputError, match="another optimizer"):
        complete_run(tmp_path, again)


def test_every_figure_of_the_table_is_measured():
    loaded = tfssvae.data.load(**config_of(TABLE.rows[1])["data"])
    assert set(np.unique(loaded.x_train)) == {0, 255}
    assert loaded.classes_without_labels == ("5", "6", "7", "8", "9")
    model = tfssvae.METHODS["untapped"]((8, 8, 1), 10, hidden=(8,), seed=1)
    model.compile()
    found = runs.measure(model, loaded)
    expected = evaluation.free_class_report(model, loaded, loaded.x_test, loaded.y_test)
    for metric in TABLE.metrics:
        assert found[metric] == pytest.approx(expected[metric], rel=1e-5)


@pytest.mark.slow  # four minutes
def test_labels_without_images_lower_the_cross_entropy(tmp_path):
    reproduce("untapped/section3", "digits", seeds=[0, 1, 2], out=tmp_path / "digits")
    rows = json.loads((tmp_path / "digits" / "table.json").read_text())["rows"]
    assert rows["untapped"]["metrics"]["free_cross_entropy"]["minus_pair"]["mean"] < 0
    assert rows["untapped"]["metrics"]["distinct_classes"]["mean"] >= 7
