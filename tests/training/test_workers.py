"""Two processes that train one model over the loopback interface."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae.training import train

SCRIPT = """
import json, os, sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras
import numpy as np
import tfssvae
from tfssvae.training import Checkpoint, restore_latest, train

out, folder, epochs, method = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
data = tfssvae.data.load("digits", labels_per_class=10)
with strategy.scope():
    model = tfssvae.METHODS[method]((8, 8, 1), 10, 2, (8,), seed=1)
    model.compile(keras.optimizers.SGD(1e-3), metrics=["accuracy"])
state = restore_latest(model, folder)
first = state["epoch"] if state else 0
print("begins at epoch", first, flush=True)
checkpoint = Checkpoint(folder, mid_epoch=True, every_seconds=0, state=state)
options = {"jit_compile": False, "verbose": 0}
if method == "vae":
    options["validation_data"] = data.test(100)
train(model, data, epochs, 50, 446, initial_epoch=first, callbacks=[checkpoint], **options)
np.savez(out, *model.get_weights(), loss=checkpoint.history["loss"])
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(tmp_path, epochs, name, folder, method="m2"):
    """Start both workers, on one folder or on one each; their results are NAME0.npz, NAME1.npz."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "CUDA_VISIBLE_DEVICES": "-1"}
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
        folders = folder if isinstance(folder, list) else [folder, folder]
        command += [str(tmp_path / f"{name}{index}"), str(folders[index]), str(epochs), method]
        with open(tmp_path / f"{name}{index}.log", "w") as log:
            processes.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
            )
    return processes


def finish(processes):
    for process in processes:
        assert process.wait(300) == 0


def results(tmp_path, name):
    found = []
    for index in range(2):
        with np.load(tmp_path / f"{name}{index}.npz") as archive:
            weights = [archive[key] for key in archive.files if key != "loss"]
            found.append((weights, archive["loss"].tolist()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", ["m2", "shot_vae"])
def test_two_workers_equal_one_device(method, tmp_path):
    finish(start(tmp_path, 2, "worker", tmp_path / "checkpoints", method))
    data = tfssvae.data.load("digits", labels_per_class=10)
    model = tfssvae.METHODS[method]((8, 8, 1), 10, 2, (8,), seed=1)
    model.compile(keras.optimizers.SGD(1e-3), metrics=["accuracy"])
    expected = train(model, data, 2, 50, 446, jit_compile=False, verbose=0).history["loss"]
    for weights, losses in results(tmp_path, "worker"):
        assert losses == pytest.approx(expected, rel=1e-4)
        for one, other in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_and_all_continue_from_the_last_checkpoint(tmp_path):
    finish(start(tmp_path, 60, "whole", tmp_path / "whole"))
    folder = tmp_path / "killed"
    processes = start(tmp_path, 60, "killed", folder)
    deadline = time.monotonic() + 200
    while not list(folder.glob("step-*")):  # some epoch is over
        assert time.monotonic() < deadline
        time.sleep(0.01)
    processes[1].send_signal(signal.SIGKILL)
    assert processes[1].wait(60) == -signal.SIGKILL
    try:
        assert processes[0].wait(120) != 0, "the other one cannot go on alone"
    except subprocess.TimeoutExpired:
        processes[0].kill()  # waits for the lost one: whoever supervises the workers ends it
        processes[0].wait(60)
    finish(start(tmp_path, 60, "again", folder))
    log = (tmp_path / "again1.log").read_text()
    epoch = int(log.split("begins at epoch ")[1].split()[0])
    assert 0 < epoch < 60
    for (one, losses), (other, expected) in zip(
        results(tmp_path, "again"), results(tmp_path, "whole"), strict=True
    ):
        for value, whole in zip(one, other, strict=True):
            np.testing.assert_array_equal(value, whole)
        assert losses == expected


@pytest.mark.slow
def test_workers_that_restored_different_checkpoints_do_not_begin(tmp_path):
    finish(start(tmp_path, 1, "first", tmp_path / "seen"))
    processes = start(tmp_path, 2, "apart", [tmp_path / "seen", tmp_path / "empty"])
    for process in processes:
        assert process.wait(200) != 0
    for index, seen in enumerate(("step 3", "none")):
        log = (tmp_path / f"apart{index}.log").read_text()
        assert f"is {seen} here and another one for another worker" in log


@pytest.mark.slow
def test_validation_on_several_machines_is_refused_at_once(tmp_path):
    for process in start(tmp_path, 1, "refused", tmp_path / "checkpoints", "vae"):
        assert process.wait(200) != 0
    assert "leave validation_data out" in (tmp_path / "refused0.log").read_text()
