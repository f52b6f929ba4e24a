"""Runs that are killed again and again end with the weights of a run that nobody touched."""

import contextlib
import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tfssvae.runs import load_run

_TRAIN = [
    *["train", "m2", "--data", "digits", "--labels-per-class", "5", "--validation", "100"],
    *["--set", "hidden=(16, 16)", "--set", "latent_dim=3", "--epochs", "40"],
    *["--unlabelled", "50", "--checkpoint-seconds", "0"],
]
_KILLS = 25  # for each driver


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tfssvae", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def kill_somewhere(process, chance) -> bool:
    """Kill a session at a random moment, or let it be; return whether it was killed."""
    kind = chance.random()
    if kind < 0.2:
        process.communicate()
        return False
    if kind < 0.4:
        time.sleep(chance.uniform(0, 6))  # also while it starts
    else:
        for _ in range(3):  # data, start, and where it resumes
            process.stdout.readline()
        time.sleep(chance.uniform(0, 5))
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.stdout.read()
    return process.wait() == -signal.SIGKILL


def outcome(folder):
    """Return weights, history, best epoch and test figures of a finished run."""
    metrics = json.loads((folder / "metrics.json").read_text())
    model, _ = load_run(folder)
    return model.get_weights(), metrics["history"], metrics["best"], metrics["test"]


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["loop", "fit"])
def test_runs_killed_at_random_moments_end_bit_equal(driver, tmp_path):
    chance = random.Random(driver)
    command = [*_TRAIN, "--driver", driver, "--json"]
    with start(*command, "--out", tmp_path / "whole") as whole:
        whole.communicate()
    assert whole.returncode == 0
    expected = outcome(tmp_path / "whole")
    kills = sessions = runs = 0
    while kills < _KILLS:
        folder = tmp_path / f"run-{runs}"
        while not (folder / "metrics.json").exists():
            began = (folder / "config.json").exists()
            arguments = ["--resume", folder] if began else [*command[1:], "--out", folder]
            with start("train", *arguments, *(["--json"] if began else [])) as session:
                kills += kill_somewhere(session, chance)
            sessions += 1
            assert session.returncode in (0, -signal.SIGKILL)
        weights, *rest = outcome(folder)
        for one, other in zip(weights, expected[0], strict=True):
            np.testing.assert_array_equal(one, other)
        assert rest == [*expected[1:]]
        leftovers = [path.name for path in folder.rglob("*partial*")]
        assert not leftovers
        runs += 1
    print(f"{driver}: {kills} kills, {sessions} sessions, {runs} runs")
