"""Which sections about places of classes a report has, what they show, and of which runs."""

from pathlib import Path

import numpy as np
import pytest

from tfssvae import data, evaluation, layers, models
from tfssvae.evaluation.latent import Components
from tfssvae.report import latent_sections
from tfssvae.report.run import Run
from tfssvae.report.tables import class_units_table, divergence_table

PATHS = ["Between two classes", "Between two images"]
SUBSPACES = ["One unit at a time", "Activated subspace"]
WIDE = 400.0  # variance of a prior whose units all activate, as posteriors start near 1
NARROW = 0.1  # of one whose units do not


def loaded(y_test=(0, 1, 0, 1), shape=(4, 4), **changes):
    rng = np.random.default_rng(0)
    values = {"x": rng.random((8, *shape)), "y": np.arange(8) % 2}
    if y_test is not None:
        values |= {"x_test": rng.random((len(y_test), *shape)), "y_test": np.array(y_test)}
    return data.from_arrays(**{**values, **changes}, class_names=["cat", "$dog"])


def run_of(loaded, dim=2, variance=WIDE, folder="/x", figures=None, **arguments):
    mean = np.linspace(-1, 1, 2)[:, None] * np.ones(dim)
    prior = layers.GaussianMixturePrior(mean, np.broadcast_to(variance, (2, dim)))
    arguments = {"prior": prior, "hidden": (8,), "filters": (2,), "seed": 1, **arguments}
    model = models.METHODS["exon"](loaded.input_shape, 2, **arguments)
    return Run(Path(folder), f"exon {folder}", {}, {}, model, loaded, None, None, figures or {})


def sections_of(*runs):
    """Title -> sentence and figures of the sections with pictures, all of them drawn."""

    def per_run(title, meaning, alt, draw, chosen):
        return title, meaning, [draw(one) for one in chosen]

    found = list(latent_sections.latent_sections(runs, per_run))
    for _, _, figures in found:
        for figure in figures:
            assert evaluation.figure_pixels(figure).std() > 1
    return {title: (meaning, figures) for title, meaning, figures in found}


@pytest.mark.parametrize(
    ("source", "settings", "expected"),
    [
        ({}, {}, ["Latent space", "Latent plane", *PATHS, "V-nat", *SUBSPACES]),
        ({}, {"dim": 1}, [*PATHS, "V-nat", *SUBSPACES]),
        (
            {},
            {"dim": 3},
            ["Latent space", *PATHS, "V-nat", "Correlation of V-nat", *SUBSPACES],
        ),
        ({}, {"variance": NARROW}, ["Latent space", "Latent plane", *PATHS, "V-nat"]),
        ({"shape": (5,)}, {}, ["Latent space", "V-nat"]),
        ({"y_test": [1]}, {}, ["Latent space", "Latent plane", PATHS[0], *SUBSPACES]),
        ({"y_test": [-1, -1]}, {}, ["Latent space", "Latent plane", *PATHS, *SUBSPACES]),
        ({"y_test": None}, {}, ["Latent plane", PATHS[0]]),
    ],
    ids=str,
)
def test_the_sections_are_those_that_the_run_has_the_data_for(source, settings, expected):
    assert list(sections_of(run_of(loaded(**source), **settings))) == expected


def test_a_method_without_places_of_classes_has_no_section():
    found = loaded()
    model = models.METHODS["m2"](found.input_shape, 2, latent_dim=2, hidden=(4,))
    assert sections_of(Run(Path("/x"), "m2", {}, {}, model, found, None, None, {})) == {}


def test_learnt_places_are_shown_too():
    found = loaded()
    model = models.METHODS["parted_vae"](
        found.input_shape, 2, latent_dim=3, style_dim=2, hidden=(8,), backbone="mlp", seed=1
    )
    titles = sections_of(Run(Path("/x"), "parted", {}, {}, model, found, None, None, {}))
    assert {"Latent space", *PATHS, "V-nat", "Correlation of V-nat"} <= set(titles)


def test_units_are_those_of_the_first_class_that_has_some():
    found = loaded()
    run = run_of(found, variance=np.array([[NARROW, NARROW], [NARROW, WIDE]]))
    shown = sections_of(run)
    for title in SUBSPACES:
        assert "of class $dog" in shown[title][0]
    (figure,) = shown["One unit at a time"][1]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["unit 1"]
    # From the narrow component, around -1, to the wide one: unit 1 is between -59 and 61.
    assert figure.get_supxlabel() == "from -59 to 61"
    (figure,) = shown["Activated subspace"][1]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == 3
    assert figure.get_supxlabel() == "uniform noise in (-40, 40)"


def test_an_image_without_a_label_is_of_the_class_that_the_classifier_gives_it(monkeypatch):
    found = loaded(y_test=(-1, -1, 1))
    run = run_of(found, variance=np.array([[WIDE], [NARROW]]))
    probs = np.array([[0.6, 0.4], [0.9, 0.1], [1.0, 0.0]], "float32")
    posterior = Components(probs, np.zeros((3, 2, 2)), np.ones((3, 2, 2)))
    monkeypatch.setattr(evaluation, "posterior_components", lambda model, x: posterior)
    active = latent_sections._activated(run, found.x_test, found.y_test)
    assert (active.class_name, active.units.tolist()) == ("cat", [0, 1])
    # The surest of the two that count as cats; the third is a dog.
    np.testing.assert_array_equal(active.image, found.x_test[1])


def test_images_at_the_ends_of_a_path_differ_in_class():
    found = loaded(y_test=(1, 1, 0))
    run = run_of(found)
    (shown,) = sections_of(run)["Between two images"][1]
    expected = evaluation.interpolation_figure(run.model, found.x_test[0], found.x_test[2])
    pictures = [figure.axes[0].images[0].get_array() for figure in (shown, expected)]
    np.testing.assert_array_equal(*pictures)


def test_runs_side_by_side_have_the_sections_they_can():
    found = loaded()
    runs = [
        run_of(found, dim=3, folder="/a"),
        run_of(found, folder="/b", variance=NARROW),
    ]
    shown = sections_of(*runs)
    counts = {title: len(figures) for title, (_, figures) in shown.items()}
    assert counts["Latent space"] == counts["V-nat"] == counts[PATHS[0]] == 2
    one = ("Latent plane", "Correlation of V-nat", *SUBSPACES)
    assert [counts[title] for title in one] == [1] * 4


def test_figures_of_the_prior_are_in_a_table():
    found = loaded()
    measured = {
        "kl_to_prior": 2.917,
        "kl_decomposition": {
            "information_y": 1.41,
            "kl_y": 0.002,
            "information_z": 1.2,
            "kl_z": 0.352,
        },
        "kl_bounds": {
            "lower": 0.659,
            "kl_z": 1.507,
            "upper": 3.064,
            "mean_gap": 0.727,
            "variance_gap": 0.04,
        },
        "activated_units_0": 1,
        "activated_units_1": 12,
    }
    runs = [
        run_of(found, folder="/a", figures=measured),
        run_of(found, folder="/b", figures={"kl_to_prior": 1.0}),
    ]
    table = divergence_table(runs)
    expected = ["2.92", "1.41", "0.00", "1.20", "0.35", "0.66", "1.51", "3.06", "0.73", "0.04"]
    assert [row[1] for row in table.rows] == expected
    assert [row[2] for row in table.rows] == ["1.00"] + ["-"] * 9
    assert all("nats" in row[0] for row in table.rows[:8])
    units = class_units_table(runs)
    assert units.head == ("class", "exon /a", "exon /b")
    assert units.rows == [("cat", "1", "-"), ("$dog", "12", "-")]
    diversity = divergence_table([run_of(found, figures={"negative_ssim": 0.4375})])
    assert [row[1:] for row in diversity.rows] == [("0.438",)]

    def per_run(title, meaning, alt, draw, chosen):
        return None

    sections = list(latent_sections.latent_sections(runs, per_run))
    assert [part.title for part in sections[:2]] == ["Codes and their prior", "Activated units"]
    assert not divergence_table([run_of(found)]).rows
