"""Every example runs as it stands, quickly in the fast suite, and reaches what its page says."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfssvae

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = {
    "deploying": [],
    "designing_a_latent_space": ["prior.png", "codes.png", "plane.png", "path.png"],
    "labels_without_images": ["classes.png"],
    "own_images_in_a_folder": ["new.png"],
}


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run an example as `python examples/NAME.py ...` does, and return what it prints."""

    def run_example(name, *arguments):
        path = EXAMPLES / f"{name}.py"
        folder = ["--out", str(tmp_path)] if name in PICTURES else []
        monkeypatch.setattr(sys, "argv", [str(path), *folder, *arguments])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def percentages(text):
    return [float(number) for number in re.findall(r"([\d.]+)%", text)]


def width(path):
    with Image.open(path) as picture:
        return picture.width


def test_every_example_is_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*PICTURES, "few_labels_in_a_table"}


def test_a_table_gains_from_rows_without_a_label(run):
    alone, with_unlabelled = percentages(run("few_labels_in_a_table"))
    assert 70 < alone < with_unlabelled


def test_a_folder_holds_the_digits_and_gives_a_class_to_new_pictures(run, tmp_path):
    out = run("own_images_in_a_folder", "--epochs", "2")
    assert "100 labelled, 1338 unlabelled, 0 validation, 349 test" in out
    assert len(re.findall(r"^\d{4}\.png: \w+ \(\d+%\)$", out, re.MULTILINE)) == 10
    digits = tfssvae.data.load("digits", labels_per_class=10, seed=0)
    for path in (tmp_path / "images/train").glob("*/*.png"):
        np.testing.assert_array_equal(Image.open(path), digits.x_train[int(path.stem), ..., 0])


def test_a_designed_prior_has_the_keys_in_their_places(run, tmp_path):
    out = run("designing_a_latent_space", "--epochs", "1")
    # The 1, of variance 2 to the side, and the 2 meet most: their Bhattacharyya coefficient.
    overlap = np.exp(-(4**2) / 8 / 1.5) * np.sqrt(np.sqrt(2) / 1.5)
    assert f"{overlap:.2f}" in out.splitlines()[0]
    for name in PICTURES["designing_a_latent_space"]:
        assert width(tmp_path / name) > 300


def test_classes_without_labels_are_decoded(run, tmp_path):
    out = run("labels_without_images", "--epochs", "1")
    assert "classes without labels: 5, 6, 7, 8, 9" in out
    assert out.count("classes are decoded to:") == 2  # without such labels, and with them
    assert width(tmp_path / "classes.png") > 300


def test_an_example_explains_itself(run):
    with pytest.raises(SystemExit) as stop:
        run("deploying", "--help")
    assert stop.value.code == 0


@pytest.mark.slow
def test_a_server_and_the_exported_model_agree(run):
    out = run("deploying", "--epochs", "1")
    assert "assets.extra" in out  # warm-up requests
    assert "no signature 'nothing'" in out
    assert percentages(out)[-1] == 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("deploying", [90, 100]),
        ("designing_a_latent_space", [91]),
        ("own_images_in_a_folder", [91]),
    ],
)
def test_what_the_tutorial_promises(run, name, least):
    """The first percentages of an example at its defaults, two points below what its page says."""
    found = percentages(run(name))
    assert all(value >= bound for value, bound in zip(found, least, strict=False)), found


@pytest.mark.slow
def test_labels_without_images_keep_the_labelled_classes(run):
    free, known, free_with, known_with = percentages(run("labels_without_images"))
    assert min(known, known_with) > 95
    assert min(free, free_with) > 30
