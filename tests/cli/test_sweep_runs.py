"""Sweeps that train: their run folders, TensorBoard, and what a kill leaves."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from tests.cli.sweeps import BASE, content
from tfssvae import runs
from tfssvae.cli import main
from tfssvae.cli.parser import make_parser
from tfssvae.cli.train import configuration

SMALL = ["--set", "hidden=(4,)", "--epochs", "2", "--grid", "latent_dim=0,2", "--seeds", "1", "0"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "out"
    assert main([*BASE, *SMALL, "--out", str(folder)]) == 0
    return folder


def test_runs_of_a_sweep_are_run_folders(swept, capsys):
    chosen = content(swept)["chosen"]
    assert chosen["trial"] == 1
    assert "latent_dim=0" in content(swept)["trials"][0]["failed"]
    for seed in (0, 1):
        folder = swept / "trial-001" / f"seed-{seed}"
        assert runs.read_config(folder)["data"]["seed"] == seed
        metrics = runs.read_metrics(folder)
        trial = content(swept)["trials"][1]
        assert trial["values"][str(seed)] == metrics["history"]["val_accuracy"][-1]
        assert chosen["test"]["accuracy"]["per_seed"][str(seed)] == metrics["test"]["accuracy"]
    assert chosen["command"] == (
        "tfssvae train m2 --data digits --labels-per-class 5 --validation 200 --epochs 2 "
        "--set 'hidden=(4,)' --set latent_dim=2 --seed 1"
    )
    options = make_parser().parse_args(shlex.split(chosen["command"])[1:])
    again = json.loads(json.dumps(configuration(options, options.seed)))
    config = runs.read_config(swept / "trial-001" / "seed-1")
    for name in ("method", "data", "model", "epochs", "learning_rate", "driver", "precision"):
        assert again[name] == config[name]
    capsys.readouterr()
    assert main(["sweep", "--json", "--resume", str(swept)]) == 0
    *_, line = capsys.readouterr().out.splitlines()
    assert json.loads(line)["test"] == chosen["test"]


def written(folder):
    """Return tag -> message of the HPARAMS tab in the event files right under a folder."""
    events = EventAccumulator(str(folder))
    events.Reload()
    found = events.PluginTagToContent(metadata.PLUGIN_NAME)
    return {tag: plugin_data_pb2.HParamsPluginData.FromString(m) for tag, m in found.items()}


def test_tensorboard_is_told_settings_end_and_figures(swept):
    experiment = written(swept / "hparams")[metadata.EXPERIMENT_TAG].experiment
    assert [info.name for info in experiment.hparam_infos] == ["latent_dim", "seed"]
    metric = experiment.metric_infos[0]
    logs = swept / "trial-001" / "seed-1" / "logs"
    scalars = EventAccumulator(str(logs / metric.name.group))
    scalars.Reload()
    value = float(tf.make_ndarray(scalars.Tensors(metric.name.tag)[-1].tensor_proto))
    history = runs.read_metrics(logs.parent)["history"]
    assert (metric.display_name, value) == ("val_accuracy", history["val_accuracy"][-1])
    session = written(logs)
    start = session[metadata.SESSION_START_INFO_TAG].session_start_info
    assert start.hparams["seed"].number_value == 1
    assert start.hparams["latent_dim"].number_value == 2
    assert start.hparams["hidden"].string_value == "[4]"
    assert session[metadata.SESSION_END_INFO_TAG].session_end_info.status == 1


@pytest.mark.slow
def test_a_killed_sweep_ends_as_one_that_was_left_alone(tmp_path):
    sampled = ["--range", "learning_rate=1e-3:1e-1:log", "--grid", "latent_dim=0,2,3"]
    sampled += ["--trials", "3", "--seeds", "0", "1", "--set", "hidden=(4,)", "--epochs", "8"]

    def start(folder):
        command = [sys.executable, "-m", "tfssvae", *BASE, *sampled, "--out", str(folder)]
        with open(tmp_path / "printed.txt", "w") as printed:
            return subprocess.Popen(
                [*command, "--checkpoint-seconds", "0"], stdout=printed, stderr=subprocess.STDOUT
            )

    assert start(tmp_path / "whole").wait() == 0, (tmp_path / "printed.txt").read_text()
    draw, kills = random.Random(0), 0
    while True:
        process = start(tmp_path / "cut")
        # Later ones come later: however slow the machine is, a run ends between two of them.
        seconds = draw.uniform(5, 15) * (1 + kills / 2) if kills < 6 else None
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0, (tmp_path / "printed.txt").read_text()
        break
    assert kills >= 2
    one, other = content(tmp_path / "whole"), content(tmp_path / "cut")
    assert one == other
