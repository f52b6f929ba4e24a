"""Where the data of a published table are looked for, and what is kept of its settings."""

import json

import numpy as np
import pytest

from tfssvae import runs
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.data import load
from tfssvae.recipes import TABLES
from tfssvae.recipes.table import Table


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    monkeypatch.delenv("TFSSVAE_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "no tfds"))
    monkeypatch.setattr("tfssvae.data.network.is_reachable", lambda host: False)


def stored(folder, name, channels=1):
    """Write a small NAME.npz of ten classes, with enough labels for the tables."""
    folder.mkdir(exist_ok=True)
    x = np.random.default_rng(0).integers(0, 256, (2000, 4, 4, channels), dtype=np.uint8)
    y = np.arange(len(x)) % 10
    np.savez(folder / f"{name}.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    return folder


@pytest.mark.parametrize(
    ("asked", "file"), [("kmnist", "kmnist"), ("svhn", "svhn"), ("svhn", "svhn_cropped")]
)
@pytest.mark.parametrize("place", ["data_dir", "TFSSVAE_DATA"])
def test_npz_files_are_found_before_tfds(asked, file, place, tmp_path, monkeypatch):
    folder = stored(tmp_path / "data", file, channels=3 if asked == "svhn" else 1)
    data_dir = folder if place == "data_dir" else None
    if data_dir is None:
        monkeypatch.setenv("TFSSVAE_DATA", str(folder))
    arguments = TABLES["mier/table1"].data_arguments(asked, data_dir)
    assert arguments["name"] == file
    data = load(**arguments, data_dir=data_dir)
    assert (len(data.x_train), data.input_shape) == (2000, (4, 4, 1)), "svhn in grey, as published"


def test_without_a_file_tfds_is_asked(tmp_path):
    table = TABLES["mier/table1"]
    assert table.data_arguments("kmnist", tmp_path)["name"] == "tfds:kmnist"
    assert table.data_arguments("svhn_cropped", tmp_path)["name"] == "tfds:svhn_cropped"
    assert table.data_arguments("tfds:kmnist", stored(tmp_path, "kmnist"))["name"] == "tfds:kmnist"
    with pytest.raises(InputError, match="is not a folder"):
        table.data_arguments("kmnist", tmp_path / "missing")


def test_other_data_are_loaded_as_they_are():
    table = Table(
        "a table", {}, [], {"mnist": {"name": "mnist", "grey": True}}, loading={"seed": 3}
    )
    assert table.data_arguments("digits") == {"name": "digits", "seed": 3}
    assert table.data_arguments("a/mnist") == {"name": "a/mnist", "seed": 3}, "a folder of images"
    assert table.data_arguments("a/other.npz") == {"name": "a/other.npz", "seed": 3}


@pytest.mark.parametrize("by", ["name", "path"])
def test_the_command_keeps_settings_and_published_figures(by, tmp_path, monkeypatch):
    folder = stored(tmp_path / "data", "svhn_cropped", channels=3)
    configs = []

    def complete_run(run, config, say):
        configs.append(config)
        return {"seconds": 1.0, "test": {"accuracy": 0.5, "error": 0.5, "recall": [1] * 10}}

    monkeypatch.setattr(runs, "complete_run", complete_run)
    out = tmp_path / "out"
    data = (
        ["svhn", "--data-dir", str(folder)] if by == "name" else [str(folder / "svhn_cropped.npz")]
    )
    command = ["reproduce", "mier/table1", "--epochs", "1", "--rows", "m2", "--out", str(out)]
    assert main([*command, "--data", *data]) == 0
    assert configs[0]["data"]["grey"] is True
    assert load(**configs[0]["data"]).input_shape == (4, 4, 1)
    found = json.loads((out / "table.json").read_text())["rows"]["m2"]["metrics"]["accuracy"]
    assert found["published"] == pytest.approx(0.2846)
    assert "| 28.46 |" in (out / "table.md").read_text()
