"""Runs that are ended, cut off or tampered with: what they say, and what they go on with."""

import json
import os
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import runs
from tfssvae.cli import main
from tfssvae.runs import drive as drive_module
from tfssvae.runs.build import build
from tfssvae.runs.drive import _resumed, drive
from tfssvae.runs.environment import note_session
from tfssvae.runs.folder import check_free
from tfssvae.training import messages

TRAIN = [
    *["train", "m2", "--data", "digits", "--labels-per-class", "5", "--unlabelled", "200"],
    *["--set", "hidden=(8, 8)", "--set", "latent_dim=2", "--driver", "fit"],
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run in a folder with an odd name, and what it said as JSON."""
    folder = tmp_path_factory.mktemp("räksmörgås %d 'quoted' ") / "a run"
    options = ["--epochs", "4", "--validation", "100", "--checkpoint-seconds", "0"]
    command = [*TRAIN, *options, "--checkpoints", "3", "--json", "--out", str(folder)]
    result = subprocess.run(
        [sys.executable, "-m", "tfssvae", *command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return folder, [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def unfinished(run, tmp_path):
    """The same run as if it had been killed after its third epoch."""
    folder = tmp_path / "run"
    shutil.copytree(run[0], folder)
    for path in (folder / "checkpoints").glob("*-000000028"):
        shutil.rmtree(path)
    for name in ("metrics.json", "model.keras"):
        (folder / name).unlink()
    return folder


def last_error(capsys):
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    return complaint


def test_machines_are_told_everything_in_json_lines(run):
    folder, lines = run
    events = [line["event"] for line in lines]
    assert events == ["data", "start", *["epoch"] * 4, "done"]
    assert lines[0]["labelled"] == 50
    assert lines[0]["validation"] == 100
    assert lines[1]["config"]["method"] == "m2"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [line["logs"]["loss"] for line in lines[2:6]] == metrics["history"]["loss"]
    assert lines[-1]["test"] == metrics["test"]
    assert all(line["time"] > 1.7e9 for line in lines)


def test_the_best_epoch_is_that_of_the_highest_validation_accuracy(run, capsys):
    folder, _ = run
    metrics = json.loads((folder / "metrics.json").read_text())
    accuracies = metrics["history"]["val_accuracy"]
    best = int(np.argmax(accuracies)) + 1
    assert metrics["best"] == {
        "name": "val_accuracy",
        "value": max(accuracies),
        "epoch": best,
        "step": best * 7,
    }
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == [f"best-{best * 7:09d}", *(f"step-{step:09d}" for step in (14, 21, 28))]
    model, data = runs.load_run(folder, best=True)
    predicted = model.predict(data.x_validation, verbose=0).argmax(axis=1)
    assert (predicted == data.y_validation).mean() == pytest.approx(max(accuracies))
    assert main(["evaluate", str(folder), "--best", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == pytest.approx(
        (model.predict(data.x_test, verbose=0).argmax(axis=1) == data.y_test).mean()
    )


def test_without_validation_there_is_no_best_epoch(run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run[0], folder)
    for path in (folder / "checkpoints").glob("best-*"):
        shutil.rmtree(path)
    assert main(["evaluate", str(folder), "--best"]) == 2
    assert "--validation" in last_error(capsys)


def test_a_run_ends_the_same_wherever_it_goes_on(run, unfinished):
    runs.resume_run(unfinished, say=lambda *_, **__: None)
    for one, other in zip(
        *(runs.load_run(folder)[0].get_weights() for folder in (run[0], unfinished)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    metrics = [json.loads((f / "metrics.json").read_text()) for f in (run[0], unfinished)]
    for name in ("history", "best", "test"):
        assert metrics[0][name] == metrics[1][name]
    assert [path.name for path in (unfinished / "export").iterdir()] == ["1"]
    assert len(json.loads((unfinished / "sessions.json").read_text())) == 2


def test_a_run_whose_checkpoints_are_all_damaged_is_refused(unfinished, capsys):
    for path in (unfinished / "checkpoints").glob("*/state.json"):
        path.write_text("{")
    assert main(["train", "--resume", str(unfinished)]) == 2
    assert "no checkpoint" in last_error(capsys)


@pytest.mark.parametrize(
    ("name", "part"),
    [("test_fingerprint", "test data"), ("label_fingerprint", "training labels")],
)
def test_changed_test_data_and_labels_are_refused(name, part, unfinished, capsys):
    path = unfinished / "config.json"
    config = json.loads(path.read_text())
    assert set(config[name]) <= set("0123456789abcdef")
    path.write_text(json.dumps({**config, name: "0" * 64}))
    assert main(["train", "--resume", str(unfinished)]) == 2
    assert f"the {part} of" in last_error(capsys)


def test_where_data_lie_and_how_checkpoints_are_kept_may_change(unfinished):
    path = unfinished / "config.json"
    config = json.loads(path.read_text())
    free = {"checkpoint_seconds": 9.0, "checkpoints": 1, "on_divergence": "roll_back"}
    moved = {"data": {**config["data"], "data_dir": "elsewhere"}}
    path.write_text(json.dumps({**config, **free, **moved}))
    state = {"step": 21, "context": {"config": config, "rollbacks": []}}
    assert _resumed(runs.read_config(unfinished), state, unfinished, lambda *_, **__: None) == []


def test_a_changed_configuration_is_refused_and_named(unfinished, capsys):
    path = unfinished / "config.json"
    config = json.loads(path.read_text())
    config["data"]["clusters"] = 10
    path.write_text(json.dumps({**config, "learning_rate": 0.5, "epochs": 4}))
    assert main(["train", "--resume", str(unfinished)]) == 2
    complaint = last_error(capsys)
    assert "learning_rate is 0.5 and was 0.001" in complaint
    assert "data.clusters is 10 and was None" in complaint


def test_another_environment_is_said_and_no_obstacle(tmp_path):
    said, path = [], tmp_path / "sessions.json"
    for _ in range(2):
        note_session(tmp_path, lambda text, **fields: said.append((text, fields)))
    assert said == []
    sessions = json.loads(path.read_text())
    assert [set(session) for session in sessions] == [{"started", "environment"}] * 2
    sessions[0]["environment"]["tensorflow"] = "2.20.0"
    path.write_text(json.dumps(sessions))
    note_session(tmp_path, lambda text, **fields: said.append((text, fields)))
    ((text, fields),) = said
    assert f"another tensorflow (2.20.0, now {tf.__version__})" in text
    assert fields == {"event": "environment"}
    path.write_text("{")
    note_session(tmp_path, messages.to_people)
    assert len(json.loads(path.read_text())) == 1, "what cannot be read begins anew"


@pytest.fixture
def interruptible():
    """Children heed SIGINT, also where the tests run in the background and inherit that none do."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_a_run_at_work_is_claimed_and_told_to_stop_says_how_to_continue(
    number, code, tmp_path, capsys
):
    folder = tmp_path / "it's a run"
    command = [*TRAIN, "--epochs", "9999", "--json", "--out", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-m", "tfssvae", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            while json.loads(process.stdout.readline())["event"] != "epoch":
                pass
            assert main(["train", "--resume", str(folder)]) == 2
            assert "another process is training" in last_error(capsys)
            os.kill(process.pid, number)
            printed, complaint = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == code
    *_, interrupted, error = map(json.loads, printed.splitlines())
    assert interrupted["command"] == f"tfssvae train --resume '{tmp_path}/it'\"'\"'s a run'"
    assert error["code"] == code
    assert "Traceback" not in complaint


def test_a_disk_that_fills_up_is_exit_code_one_and_says_how_to_continue(
    tmp_path, monkeypatch, capsys
):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    folder = tmp_path / "run"
    assert main([*TRAIN, "--epochs", "1", "--out", str(folder)]) == 1
    printed = capsys.readouterr()
    assert "0.0 MiB are free" in printed.err
    assert f"tfssvae train --resume {folder}" in printed.out


def driven(folder, data, rate):
    config = {
        "method": "m2",
        "data": {"seed": 0},
        "model": {"hidden": [8, 8], "latent_dim": 2},
        "precision": "float32",
        "learning_rate": rate,
        **{"epochs": 2, "labelled": 50, "unlabelled": 200, "driver": "fit"},
        **{"checkpoint_seconds": 0, "on_divergence": "roll_back"},
    }
    said = []
    found = drive(build(config, data), config, data, folder, lambda *a, **f: said.append((a, f)))
    return *found, said


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=5)


def test_a_run_rolls_back_with_half_the_rate_and_ends(tmp_path, data):
    model, trained, said = driven(tmp_path, data, 1e4)
    rollbacks = trained["rollbacks"]
    assert 1 <= len(rollbacks) <= 5
    assert "training diverged in step" in rollbacks[0]["reason"]
    assert [fields for _, fields in said if fields["event"] == "rollback"] == [
        {"event": "rollback", **rollback} for rollback in rollbacks
    ]
    steps = [rollback["from_step"] for rollback in rollbacks]
    assert [text for (text,), fields in said if fields["event"] == "rollback"] == [
        f"{rollback['reason']}; back to step {step} with a learning rate {2**n} times lower"
        for n, (rollback, step) in enumerate(zip(rollbacks, steps, strict=True), start=1)
    ]
    assert float(model.optimizer.learning_rate) == pytest.approx(1e4 / 2 ** len(rollbacks))
    assert len(trained["history"]["loss"]) == 2
    assert np.isfinite(trained["history"]["loss"]).all()
    (state,) = [
        json.loads(path.read_text()) for path in tmp_path.glob("checkpoints/*14/state.json")
    ]
    assert state["context"]["rollbacks"] == rollbacks
    (tmp_path / "checkpoints" / "step-000000014").rename(tmp_path / "last")
    again, resumed, _ = driven(tmp_path, data, 1e4)
    assert resumed["rollbacks"] == rollbacks
    assert resumed["history"] == trained["history"], "a resumed run goes on with its rate"
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("name", [".config.json.partial", ".split.json.77.tmp"])
def test_what_a_start_cut_off_in_a_write_leaves_is_in_nobodys_way(name, tmp_path):
    (tmp_path / name).write_text("{")
    (tmp_path / "split.json").write_text("{")
    check_free(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(tfssvae.InputError, match="exists already"):
        check_free(tmp_path)


def test_nobody_reads_what_is_said(tmp_path):
    command = [*TRAIN, "--epochs", "9999", "--json", "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        [sys.executable, "-m", "tfssvae", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read().decode()
    assert process.returncode == 1
    assert "Traceback" not in complaint


def test_weights_too_large_to_predict_with_are_a_divergence(tmp_path, capsys):
    one_step = ["--unlabelled", "1388", "--labelled", "50", "--epochs", "1"]
    folder = tmp_path / "run"
    assert main([*TRAIN, *one_step, "--learning-rate", "1e30", "--out", str(folder)]) == 3
    assert "predicts is not finite" in last_error(capsys)


def test_a_run_without_one_rate_cannot_roll_back(tmp_path, data):
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.5)
    with pytest.raises(tfssvae.InputError, match="has to be a number"):
        driven(tmp_path, data, keras.saving.serialize_keras_object(schedule))


def test_a_rollback_names_the_checkpoint_that_it_goes_back_to(tmp_path, data, monkeypatch):
    original, calls = drive_module._run_driver, []

    def breaks_after_an_epoch(model, data, config, *rest):
        calls.append(int(model.steps_done))
        original(model, data, {**config, "epochs": len(calls)}, *rest)
        if len(calls) == 1:
            raise tfssvae.DivergenceError("broken")

    monkeypatch.setattr(drive_module, "_run_driver", breaks_after_an_epoch)
    _, trained, _ = driven(tmp_path, data, 1e-3)
    assert calls == [0, 7]
    assert trained["rollbacks"] == [{"from_step": 7, "reason": "broken"}]


def test_a_run_that_rolls_back_in_vain_stops(tmp_path, data, monkeypatch):
    monkeypatch.setattr("tfssvae.runs.drive._MOST_ROLLBACKS", 1)
    with pytest.raises(tfssvae.DivergenceError, match="lower rate"):
        driven(tmp_path, data, 1e30)
