"""`--num-classes` and `--classes`: what a run does about labels that leave numbers out."""

import json
import shlex

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tfssvae.cli import main
from tfssvae.cli.parser import make_parser
from tfssvae.cli.train import configuration
from tfssvae.runs.command import command_of

SMALL = ["--set", "hidden=(8,)", "--set", "latent_dim=2", "--labelled", "10", "--unlabelled", "50"]
SMALL += ["--labels-per-class", "5", "--epochs", "1"]


@pytest.fixture
def ones_and_twos(tmp_path):
    """Digits 1 and 2 as an npz file that keeps their labels."""
    x, y = load_digits(return_X_y=True)
    chosen = (y == 1) | (y == 2)
    x = (x[chosen].reshape(-1, 8, 8) * 15).astype(np.uint8)
    halves = {"train": slice(0, 250), "test": slice(250, None)}
    arrays = {f"x_{name}": x[rows] for name, rows in halves.items()}
    arrays |= {f"y_{name}": y[chosen][rows] for name, rows in halves.items()}
    np.savez(tmp_path / "digits12.npz", **arrays)
    return str(tmp_path / "digits12.npz")


def test_labels_that_leave_numbers_out_are_refused_with_the_options(
    ones_and_twos, tmp_path, capsys
):
    command = ["train", "m2", "--data", ones_and_twos, *SMALL, "--out", str(tmp_path / "run")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "labels 1, 2 and none of 0" in said
    assert "--num-classes 3 --classes 1 2" in said
    assert not (tmp_path / "run").exists()
    assert main([*command, "--num-classes", "3", "--classes", "1", "2"]) == 0
    run = tmp_path / "run"
    config = json.loads((run / "config.json").read_text())
    assert config["data"]["classes"] == ["1", "2"]
    assert "2 classes" in capsys.readouterr().out
    rebuilt = make_parser().parse_args(shlex.split(command_of(config, str(run)))[1:])
    assert configuration(rebuilt, config["data"]["seed"])["data"] == config["data"]
    assert main(["evaluate", str(run)]) == 0
