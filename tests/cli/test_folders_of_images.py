"""Folders of images on the command line: the background, and what is said of them."""

import shlex
import subprocess
import sys

import numpy as np
import pytest

from tests.data.image_folders import write
from tfssvae.cli.parser import make_parser
from tfssvae.cli.settings import settings_parser, train_command
from tfssvae.cli.train import configuration
from tfssvae.data import load


@pytest.fixture
def photos(tmp_path):
    """Black drawings that are transparent elsewhere, and a file that is not read."""
    drawn = np.zeros((2, 2, 4), np.uint8)
    drawn[0, 0, 3] = 255
    for name in ("a/0.png", "b/1.png"):
        write(tmp_path / "photos/train" / name, drawn)
    (tmp_path / "photos/train/a/2.heic").write_bytes(b"?")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ([], [255, 255, 255]),
        (["white"], [255, 255, 255]),
        (["#1020f0"], [16, 32, 240]),
        (["128"], [128, 128, 128]),
        (["1", "2", "200"], [1, 2, 200]),
    ],
)
def test_background_of_train(photos, words, seen):
    given = ["m2", "--data", str(photos), *(["--background", *words] if words else [])]
    options = settings_parser().parse_args(given)
    settings = configuration(options, seed=0)["data"]
    x = load(**settings).x_train
    assert x[0].tolist() == [[[0, 0, 0], seen], [seen, seen]]
    again = make_parser().parse_args(shlex.split(train_command(options, seed=0))[1:])
    assert configuration(again, seed=0)["data"] == settings


def test_convert_says_what_it_passed_over(photos, tmp_path):
    out = tmp_path / "shards"
    command = [sys.executable, "-m", "tfssvae", "convert", str(photos), str(out)]
    done = subprocess.run([*command, "--background", "red"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "passed over 1 file of a kind that is not read (1 .heic), e.g. train/a/2.heic" in (
        done.stderr
    )
    assert load(out, stream=False).x_train[0, 1, 1].tolist() == [255, 0, 0]


def test_a_background_that_is_no_colour(photos, tmp_path):
    command = [sys.executable, "-m", "tfssvae", "convert", str(photos), str(tmp_path / "shards")]
    done = subprocess.run([*command, "--background", "wite"], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'background must be the name of a colour such as "white"' in done.stderr
    assert done.stderr.count("\n") == 1
