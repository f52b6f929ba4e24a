"""Which sections about codes a report has, and that each can be drawn."""

from pathlib import Path

import numpy as np
import pytest

from tfssvae import data, evaluation, models
from tfssvae.report.code_sections import code_sections
from tfssvae.report.run import Run
from tfssvae.report.tables import figures_table

LAYERS = ["Layers of codes", "Inputs, reconstructions and samples"]
PLANES = ["Plane of the top code", "Plane of each class"]
EVERY_CLASS = {
    "decoded_as": {str(k): str(k) for k in range(10)},
    "decoded_as_probability": {str(k): 0.5 for k in range(10)},
}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", labels_per_class=5)


def run_of(name, loaded, metrics=None, **arguments):
    model = models.METHODS[name](loaded.input_shape, loaded.num_classes, **arguments)
    return Run(Path("/x"), name, {}, metrics or {}, model, loaded, None, None, {})


def sections_of(run):
    def per_run(title, meaning, alt, draw, chosen):
        return title, [draw(one) for one in chosen]

    found = list(code_sections([run], per_run))
    for _, figures in found:
        for figure in figures:
            assert evaluation.figure_pixels(figure).std() > 1
    return [title for title, _ in found]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("m2", {"latent_dim": 3}, []),
        ("m2", {"latent_dim": 2}, PLANES[1:]),
        ("vae", {"latent_dim": 2}, []),
        ("lvae", {"latent_dims": (4, 3), "hidden": (8, 8)}, LAYERS),
        ("lvae", {"latent_dims": (4, 2), "hidden": (8, 8)}, LAYERS + PLANES[1:]),
        ("cagem", {"latent_dims": (4, 3)}, LAYERS),
        ("cagem", {"latent_dims": (4, 2)}, LAYERS + PLANES),
    ],
)
def test_the_sections_are_those_of_the_layers_and_their_sizes(digits, name, arguments, expected):
    assert sections_of(run_of(name, digits, **{"hidden": (8,), **arguments})) == expected


def test_clusters_found_without_labels_have_their_own_colours():
    loaded = data.load("digits", labels_per_class=0, clusters=12)
    run = run_of("cagem", loaded, latent_dims=(4, 3), hidden=(8,))
    assert sections_of(run) == [LAYERS[0], "Layers of codes by cluster", LAYERS[1]]


def test_decoded_classes_are_shown_where_the_run_named_them():
    loaded = data.load("digits", labelled_classes=range(5))
    arguments = {"latent_dim": 3, "hidden": (8,)}
    run = run_of("untapped", loaded, {"test": EVERY_CLASS}, **arguments)
    assert sections_of(run) == ["Decoded classes"]
    assert sections_of(run_of("untapped", loaded, **arguments)) == []


def test_the_table_has_the_figures_of_layers_and_of_free_classes():
    loaded = data.from_arrays(np.zeros((4, 2)), [0, 1, -1, -1])

    def run(name, figures):
        return Run(Path("/x"), name, {}, {}, None, loaded, None, None, figures)

    layers = {"kl_z1": 3.14159, "active_units_z1": 7, "kl_z2": 2.0, "active_units_z2": 1}
    free = {"free_cross_entropy": 2.071, "free_accuracy": 0.5, "distinct_classes": 9}
    table = figures_table([run("one", layers), run("two", free)])
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["KL of z1 from its prior, nats"] == ("3.14", "-")
    assert rows["active units of z2"] == ("1", "-")
    assert rows["different classes among the decoded ones"] == ("-", "9")
    name = "cross-entropy on classes without labels, nats"
    assert rows[name] == ("-", "2.0710")
    alone = figures_table([run("one", {})])
    assert not any("units of" in row[0] or "decoded" in row[0] for row in alone.rows)
