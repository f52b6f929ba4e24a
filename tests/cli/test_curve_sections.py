"""What stands below the curves of training, and what is said only where it applies."""

import pytest

from tests.cli.run_folders import HISTORY
from tfssvae import data, models
from tfssvae.regularizers import MIER
from tfssvae.report.curve_sections import curve_sections
from tfssvae.report.sections import _beside, _usage_meaning

LOGS = {
    **HISTORY,
    "val_accuracy": [0.5, 0.5],
    "monitor/labelled_bound": [-3.0, -2.0],
    "monitor/unlabelled_bound": [-3.0, -2.0],
    "reconstruction": [2.0, 1.0],
    "kl_y": [0.5, 0.25],
    "unlabelled_reconstruction": [2.0, 1.0],
}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", labels_per_class=5)


def made(name, **arguments):
    return models.METHODS[name]((8, 8, 1), 10, hidden=(4,), **arguments)


@pytest.fixture(scope="module")
def exon():
    return made("exon", latent_dim=2, filters=(2,))


@pytest.fixture(scope="module")
def m2():
    return made("m2", latent_dim=2)


def sections_of(loaded, histories, shown):
    """Title -> meaning, and quantity -> caption."""
    found = list(curve_sections(histories, loaded, shown))
    captions = {
        part.alt.removeprefix("Curve of "): part.caption for part in found[0].parts if part.caption
    }
    return {section.title: section.meaning for section in found}, captions


def test_what_every_method_logs_has_a_meaning(digits, m2):
    meanings, captions = sections_of(digits, {"M2": [LOGS]}, [m2])
    for name in ("loss", "accuracy", "monitor/labelled_bound", "monitor/unlabelled_bound"):
        assert captions[name]
    assert "not of the test data" in captions["accuracy"]
    assert captions["accuracy"].endswith("validation: of the examples held out")
    assert "does not compare" not in captions["loss"]
    # What M2's terms cite are equations of the paper on MIER.
    assert meanings["Learning curves"].endswith("are those of Hasan Khan et al. (MIER).")
    without = {name: values for name, values in LOGS.items() if name != "val_accuracy"}
    assert "held out" not in sections_of(digits, {"M2": [without]}, [m2])[1]["accuracy"]


def test_a_comparison_says_what_the_terms_of_each_method_are(digits, m2, exon):
    meanings, captions = sections_of(digits, {"a": [LOGS], "b": [LOGS]}, [m2, exon])
    assert captions["unlabelled_reconstruction"] == m2.TERMS["unlabelled_reconstruction"]
    assert captions["kl_y"] == exon.TERMS["kl_y"]
    assert "does not compare" in captions["loss"]
    assert "of M2 Hasan Khan et al. (MIER); of EXoN An, Choi" in meanings["Learning curves"]
    shot = made("shot_vae", latent_dim=2)
    term = "unlabelled_reconstruction"
    both = sections_of(digits, {"a": [LOGS], "b": [LOGS], "c": [LOGS]}, [m2, shot, m2])[1][term]
    assert both == f"M2: {m2.TERMS[term]}; ShotVAE: {shot.TERMS[term]}"


def test_a_method_that_cites_nothing_names_no_paper(digits):
    meanings, _ = sections_of(digits, {"VAE": [LOGS]}, [made("vae", latent_dim=2)])
    assert "quations" not in meanings["Learning curves"]


def test_mier_is_named_where_it_is(digits, m2):
    regular = made("m2", latent_dim=2, regularizers=[MIER()])
    for model in (m2, regular):
        meanings, _ = sections_of(digits, {"M2": [LOGS]}, [model])
        assert ("MIER" in meanings["Information during training"]) == (model is regular)


class Shown:
    """As much of a run as a sentence about it needs."""

    def __init__(self, name, model):
        self.name, self.model = name, model


def test_mixed_colours_are_good_beside_a_class_only(m2, exon):
    assert _beside([Shown("b", exon)]) == ""
    cagem = models.METHODS["cagem"]((8, 8, 1), 10, latent_dims=(4, 3), hidden=(4,))
    assert _beside([Shown("c", cagem)]) == ""
    assert _beside([Shown("a", m2)]).startswith(" Here the class")
    assert _beside([Shown("a", m2), Shown("b", exon)]).startswith(" Of a the class")


def test_v_nat_is_explained_where_it_is_shown():
    assert "V-nat" not in _usage_meaning(with_v_nat=False)
    assert "V-nat" in _usage_meaning(with_v_nat=True)
    assert "to which the code may shrink" in _usage_meaning(with_v_nat=False)
