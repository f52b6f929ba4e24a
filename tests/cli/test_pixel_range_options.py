"""`--pixel-range` of every command that reads data, and what is refused without it."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tfssvae import reproduce, runs
from tfssvae.cli import main
from tfssvae.cli.parser import make_parser
from tfssvae.cli.settings import settings_of, settings_parser, train_command
from tfssvae.cli.train import configuration
from tfssvae.data import load
from tfssvae.report import run as report_run
from tfssvae.report.tables import summary
from tfssvae.runs.command import command_of
from tfssvae.runs.hparams import hparams

SMALL = ["--labels-per-class", "5", "--set", "hidden=(8,)", "--set", "latent_dim=2"]
SMALL += ["--labelled", "10", "--unlabelled", "200", "--epochs", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Digits of 0..16 as an npz file, and masks of 0 and 1 as a folder of pictures."""
    folder = tmp_path_factory.mktemp("data")
    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8).astype(np.int64)
    np.savez(
        folder / "sixteen.npz",
        x_train=x[:1400],
        y_train=y[:1400],
        x_test=x[1400:1500],
        y_test=y[1400:1500],
    )
    for row in range(40):
        place = folder / "masks" / "train" / str(y[row] % 2)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((x[row] > 7).astype(np.uint8)).save(place / f"{row:02d}.png")
    return folder


@pytest.mark.parametrize(("name", "white"), [("sixteen.npz", 16), ("masks", 1)])
@pytest.mark.parametrize("command", ["train", "convert", "sweep", "reproduce"])
def test_data_in_doubt_are_refused_by_every_command(data, tmp_path, capsys, name, white, command):
    source, out = str(data / name), str(tmp_path / "out")
    arguments = {
        "train": ["train", "m2", "--data", source, *SMALL, "--out", out],
        "convert": ["convert", source, out],
        "sweep": [
            *["sweep", "m2", "--data", source, *SMALL, "--validation", "0.2", "--out", out],
            *["--grid", "learning_rate=0.001,0.002"],
        ],
        "reproduce": [
            *["reproduce", "mier/table1", "--data", source, "--rows", "m2", "--epochs", "1"],
            *["--out", out],
        ],
    }[command]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert f"--pixel-range 0 {white})" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_run_keeps_its_range_until_its_end(data, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    arguments = ["train", "m2", "--data", str(data / "sixteen.npz"), *SMALL]
    arguments += ["--pixel-range", "0", "16"]

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tfssvae.runs.train.drive", interrupted)
        assert main([*arguments, "--out", str(folder)]) == 130
    config = json.loads((folder / "config.json").read_text())
    assert config["data"]["pixel_range"] == [0, 16]
    assert main(["train", "--resume", str(folder)]) == 0
    _, found = runs.load_run(folder)
    x = np.load(data / "sixteen.npz")["x_train"]
    np.testing.assert_array_equal(found.x_train[..., 0], x.astype(np.float32) / 16)
    assert "pixel_range: 0 is black and 16 is white" in capsys.readouterr().out
    assert main(["evaluate", str(folder)]) == 0
    assert hparams(config)["pixel_range"] == "[0.0, 16.0]"
    assert " --pixel-range 0 16 --" in command_of(config, folder)
    rows = {row[0]: row[1] for row in summary([report_run.load(folder, print)]).rows}
    assert rows["pixel range"] == "0 is black, 16 is white"


@pytest.mark.parametrize("given", [["0", "16"], ["-1", "0.5"], ["-0.00001", "1"]])
def test_the_command_that_runs_again_has_the_same_range(given):
    words = ["m2", "--data", "digits", "--pixel-range", *given]
    options = settings_parser().parse_args(words)
    assert settings_of(options)["pixel_range"] == [float(value) for value in given]
    again = shlex.split(train_command(options, 3))[2:]
    assert settings_parser().parse_args(again[:-2]) == options
    config = configuration(make_parser().parse_args(["train", *words]), 3)
    assert config["data"]["pixel_range"] == [float(value) for value in given]
    of_config = shlex.split(command_of(config, "run"))
    parsed = make_parser().parse_args(of_config[1:])
    assert configuration(parsed, 3)["data"] == config["data"]
    without = configuration(make_parser().parse_args(["train", *words[:3]]), 3)
    assert "pixel_range" not in without["data"], "as the configurations of earlier runs"


def test_conversion_takes_a_range(data, tmp_path):
    out = tmp_path / "out"
    assert main(["convert", str(data / "masks"), str(out), "--pixel-range", "0", "1"]) == 0
    expected = load(data / "masks", pixel_range=(0, 1))
    np.testing.assert_array_equal(np.asarray(load(out).x_train), expected.x_train)
    assert set(np.unique(expected.x_train)) == {0, 255}


def test_a_table_takes_a_range_and_names_it(data, tmp_path, monkeypatch):
    asked = []

    def complete_run(folder, config, say):
        asked.append(config["data"])
        return {"seconds": 1.0, "test": {"accuracy": 0.5, "error": 0.5, "recall": [1] * 10}}

    monkeypatch.setattr(reproduce.runs, "complete_run", complete_run)
    arguments = ["reproduce", "mier/table1", "--data", str(data / "sixteen.npz"), "--rows", "m2"]
    arguments += ["--epochs", "1", "--pixel-range", "0", "16", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert asked[0]["pixel_range"] == [0, 16]
    assert "--pixel-range 0 16`" in (tmp_path / "table.md").read_text()


def test_values_beyond_the_range_are_named(data, tmp_path, capsys):
    arguments = ["train", "m2", "--data", str(data / "sixteen.npz"), *SMALL]
    for given, message in [
        (["0", "15"], "has values from 0 to 16, which are not all in pixel_range=(0, 15)"),
        (["3", "1"], "pixel_range must be two numbers, (low, high)"),
        (["0", "inf"], "pixel_range must be two numbers, (low, high)"),
    ]:
        assert main([*arguments, "--pixel-range", *given, "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err
