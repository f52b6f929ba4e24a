"""The command line as a user meets it."""

import json
import shutil
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfssvae
from tfssvae import runs
from tfssvae.cli import main
from tfssvae.runs import load_run
from tfssvae.runs.lock import claimed

SMALL = ["--set", "hidden=(16, 16)", "--set", "latent_dim=3"]
TRAIN = ["train", "m2", "--data", "digits", "--labels-per-class", "5", *SMALL]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, where a first start had been cut off, with what was printed on the way."""
    folder = tmp_path_factory.mktemp("with space and ü") / "run"
    folder.mkdir()
    (folder / "split.json").write_text("{")
    command = [*TRAIN, "--epochs", "40", "--validation", "100", "--out", str(folder)]
    result = subprocess.run(
        [sys.executable, "-m", "tfssvae", *command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_training_prints_counts_progress_and_the_comparison(run):
    folder, printed = run
    assert "labelled" in printed
    assert "epoch 40/40" in printed
    metrics = json.loads((folder / "metrics.json").read_text())
    accuracy, alone = (metrics[key]["accuracy"] for key in ("test", "labels_alone"))
    assert f"test accuracy {accuracy:.2%}" in printed
    assert f"on the labels alone: {alone:.2%}" in printed
    assert alone > 0.5
    assert len(metrics["history"]["val_accuracy"]) == 40


def test_a_run_folder_holds_everything(run):
    folder, _ = run
    names = {path.name for path in folder.iterdir()}
    assert names == {
        ".lock",
        "checkpoints",
        "config.json",
        "export",
        "figures",
        "logs",
        "metrics.json",
        "model.keras",
        "sessions.json",
        "split.json",
    }
    for picture in ("reconstructions", "samples", "confusion", "calibration", "history"):
        with Image.open(folder / "figures" / f"{picture}.png") as image:
            assert min(image.size) > 200


def test_the_exported_model_is_the_trained_one(run):
    folder, _ = run
    data = tfssvae.data.load("digits")
    model = keras.saving.load_model(folder / "model.keras")
    served = tf.saved_model.load(folder / "export" / "1").signatures["classify"]
    np.testing.assert_allclose(
        served(tf.constant(data.x_test))["probabilities"],
        model.predict(data.x_test, verbose=0),
        atol=1e-6,
    )


def test_evaluate_prints_the_figures_of_the_run(run, capsys):
    folder, _ = run
    assert main(["evaluate", str(folder), "--samples", "5"]) == 0
    printed = capsys.readouterr().out
    metrics = json.loads((folder / "metrics.json").read_text())["test"]
    assert f"accuracy: {metrics['accuracy']:.4g}" in printed
    assert f"unlabelled_bound: {metrics['unlabelled_bound']:.4g}" in printed
    assert "nats with 5 importance samples" in printed


def test_the_inception_score_is_that_of_the_judge_and_names_it(run, capsys, monkeypatch):
    folder, _ = run
    few = partial(runs.inception_score, images=200)
    monkeypatch.setattr(runs, "inception_score", few)
    assert main(["evaluate", str(folder), "--inception-score", str(folder), "--seed", "3"]) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("Inception Score")]
    assert f"judged by M2 trained on digits ({folder})" in line
    assert "10 parts of 200 images" in line
    model, _ = runs.load_run(folder)
    labels = np.arange(200) % 10
    generated = model.generate(labels, seed=3)
    probs = model.predict(generated, verbose=0).astype("float64").reshape(10, 20, 10)
    divergence = (probs * np.log(probs / probs.mean(axis=1, keepdims=True))).sum(-1).mean(-1)
    assert float(line.split()[2]) == pytest.approx(np.exp(divergence).mean(), abs=2e-3)


def test_sample_and_export_write_what_they_say(run, tmp_path, capsys):
    folder, _ = run
    assert main(["sample", str(folder), "--out", str(tmp_path / "grid.png")]) == 0
    with Image.open(tmp_path / "grid.png") as image:
        assert image.size[1] > image.size[0] / 2
    for version in ("1", "2"):
        assert main(["export", str(folder), str(tmp_path / "served")]) == 0
        assert (tmp_path / "served" / version / "saved_model.pb").exists()
    assert "served/2" in capsys.readouterr().out


def test_labels_without_images_reach_a_run_and_its_continuation(tmp_path, capsys):
    command = ["train", "untapped", *TRAIN[2:], "--unfeatured", "20", "--epochs", "1"]
    assert main([*command, "--out", str(tmp_path / "with")]) == 0
    assert "10 unfeatured" in capsys.readouterr().out
    history = json.loads((tmp_path / "with" / "metrics.json").read_text())["history"]
    assert history["unfeatured_label"][0] > 0
    _, data = load_run(tmp_path / "with")
    np.testing.assert_array_equal(data.unfeatured, np.eye(10))
    assert main(["evaluate", str(tmp_path / "with")]) == 0
    assert "unfeatured" not in capsys.readouterr().out
    assert main([*command[:-4], "--unfeatured", "-1"]) == 2


def test_a_start_that_was_cut_off_can_be_started_again(run):
    folder, _ = run
    assert len(load_run(folder)[1].labelled_indices) == 50
    assert (folder / "metrics.json").exists()


def test_a_configuration_with_an_unknown_argument_of_the_data_is_damaged(run, tmp_path, capsys):
    folder = shutil.copytree(run[0], tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["data"]["nam"] = "digits"
    (folder / "config.json").write_text(json.dumps(config))
    assert main(["evaluate", str(folder)]) == 2
    assert "config.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [*TRAIN, "--checkpoint-seconds", "nan"],
        [*TRAIN, "--checkpoint-seconds", "-1"],
        ["sample", "run", "--out", "grid.jpg"],
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_any_work(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "must" in capsys.readouterr().err


def test_options_are_not_abbreviated(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "m2", "--data", "digits", "--labels", "20"])
    assert stopped.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_a_run_folder_is_claimed_by_one_at_a_time(tmp_path):
    refused = pytest.raises(tfssvae.InputError, match="another process")
    with claimed(tmp_path / "run"), refused, claimed(tmp_path / "run"):
        pass
    with claimed(tmp_path / "run"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(tfssvae.InputError, match="is a file"), claimed(tmp_path / "file"):
        pass


def test_a_run_whose_data_changed_is_not_resumed(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfssvae.runs.train.drive", interrupted)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 4, 4), dtype=np.uint8), np.arange(60) % 3
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    folder = tmp_path / "run"
    arguments = ["train", "m2", "--data", str(tmp_path / "data.npz"), "--labels-per-class", "5"]
    sizes = ["--labelled", "10", "--unlabelled", "20", *SMALL]
    assert main([*arguments, *sizes, "--epochs", "1", "--out", str(folder)]) == 130
    np.savez(tmp_path / "data.npz", x_train=255 - x, y_train=y)
    assert main(["train", "--resume", str(folder)]) == 2
    assert "split" in capsys.readouterr().err


BAD = {
    "no method": (["train"], "name a method"),
    "no data": (["train", "m2"], "--data"),
    "unknown method": (["train", "m3", "--data", "digits"], "known: adgm"),
    "unknown data": (["train", "m2", "--data", "mnits"], "mnist"),
    "unknown argument": ([*TRAIN, "--set", "latent=3"], "latent_dim"),
    "malformed argument": ([*TRAIN, "--set", "latent_dim"], "ARGUMENT=VALUE"),
    "unknown term": ([*TRAIN, "--set", "weights={'klz': 1.0}"], "unlabelled_kl_z"),
    "argument of another type": ([*TRAIN, "--set", "hidden=5"], "hidden=5"),
    "no size": ([*TRAIN, "--set", "latent_dim=many"], "latent_dim='many'"),
    "batch too large": ([*TRAIN, "--labelled", "51"], "50"),
    "images nobody explains": (["train", "cagem", "--data", "digits"], "every row"),
    "labels nobody learns from": ([*TRAIN, "--unfeatured", "5"], "labels without rows"),
    "no such class": ([*TRAIN, "--labelled-classes", "11"], "classes are 0..9"),
    "too few clusters": ([*TRAIN, "--clusters", "3"], "clusters=3 are too few"),
    "negative samples": (["evaluate", "nowhere", "--samples", "-5"], "--samples"),
    "too many labels": (["train", "m2", "--data", "digits", "--labels-per-class", "999"], "999"),
    "no epochs": ([*TRAIN, "--epochs", "0"], "at least 1"),
    "bad rate": ([*TRAIN, "--learning-rate", "0"], "positive"),
    "validation is no number": ([*TRAIN, "--validation", "nan"], "validation must be"),
    "resume with a method": (["train", "m2", "--resume", "x"], "leave out METHOD"),
    "resume with more": (
        ["train", "--resume", "x", "--epochs", "9", "--seed", "1"],
        "leave out --epochs, --seed",
    ),
    "resume nothing": (["train", "--resume", "nowhere"], "not a run folder"),
    "evaluate nothing": (["evaluate", "nowhere"], "not a run folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_exit_code_two(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TFSSVAE_DATA", raising=False)
    arguments, message = BAD[case]
    assert main(arguments) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert complaint.startswith("tfssvae: ")
    assert not list(tmp_path.iterdir()), "a folder is in the way of the next attempt"


def test_a_finished_or_foreign_folder_is_not_overwritten(run, tmp_path, capsys):
    folder, _ = run
    assert main([*TRAIN, "--out", str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder)]) == 2
    assert "finished" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{}")
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_a_truncated_model_is_one_sentence(run, tmp_path, capsys):
    whole = (run[0] / "model.keras").read_bytes()
    for size in (0, 5000, len(whole) - 100):
        (tmp_path / "model.keras").write_bytes(whole[:size])
        assert main(["evaluate", str(tmp_path)]) == 2
        complaint = capsys.readouterr().err
        assert "model.keras is damaged" in complaint
        assert complaint.count("\n") == 1


def run_script(code):
    """Run Python code in a fresh process, which must end well; return what it printed."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_help_and_import_do_not_load_tensorflow():
    code = (
        "import sys, tfssvae, tfssvae.cli\n"
        "try: tfssvae.cli.main(['train', '--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "slow = {'tensorflow', 'keras', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not slow, slow\n"
        "print(sorted(tfssvae.METHODS))\n"
    )
    result = run_script(code)
    assert "--labels-per-class" in result.stdout
    assert "m2" in result.stdout
    assert result.stderr == ""


def test_a_model_loads_in_a_script_that_only_imports_keras_and_tfssvae(run):
    folder, _ = run
    code = (
        "import keras, tfssvae\n"
        f"model = keras.saving.load_model({str(folder / 'model.keras')!r})\n"
        "print(type(model).__name__, model.predict(tfssvae.data.load('digits').x_test[:2]).shape)\n"
    )
    assert "M2 (2, 10)" in run_script(code).stdout


def test_a_script_that_imports_tfssvae_before_keras_registers_its_classes(run):
    folder, _ = run
    code = (
        "import tfssvae, keras\n"
        f"path = {str(folder / 'model.keras')!r}\n"
        "try: keras.saving.load_model(path)\n"
        "except TypeError as error: print(error)\n"
        "tfssvae.models.register()\n"
        "print(type(keras.saving.load_model(path)).__name__)\n"
    )
    *refused, loaded = run_script(code).stdout.splitlines()
    assert refused[0].startswith("Could not locate class 'M2'"), "what the documentation names"
    assert loaded == "M2"


def test_every_command_explains_itself(capsys):
    for command in ("train", "evaluate", "sample", "export"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert "usage: tfssvae " + command in capsys.readouterr().out


def test_a_run_without_labelled_rows_in_its_batches_ends_well(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main([*TRAIN, "--epochs", "1", "--labelled", "0", "--out", str(folder)]) == 0
    assert "labels alone" not in capsys.readouterr().out
    assert "labels_alone" not in json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize("driver", ["loop", pytest.param("fit", marks=pytest.mark.slow)])
def test_a_run_that_diverges_stops_and_says_so(driver, tmp_path, capsys):
    folder = tmp_path / "run"
    rate = ["--learning-rate", "1e20", "--epochs", "50", "--driver", driver]
    assert main([*TRAIN, *rate, "--out", str(folder)]) == 3
    printed = capsys.readouterr()
    assert "training diverged in step 1" in printed.err
    assert "lower rate" in printed.err
    assert (folder / "diverged" / "step-000000001.npz").exists()
    assert "epoch 10/50" not in printed.out
    assert not (folder / "model.keras").exists()


def test_test_images_without_labels_are_no_obstacle(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 4, 4), dtype=np.uint8), np.arange(60) % 3
    path, folder = tmp_path / "data.npz", tmp_path / "run"
    np.savez(path, x_train=x, y_train=y, x_test=x[:20], y_test=np.full(20, -1))
    arguments = ["train", "m2", "--data", str(path), *SMALL, "--labels-per-class", "5"]
    assert main([*arguments, "--epochs", "1", "--driver", "fit", "--out", str(folder)]) == 0
    test = json.loads((folder / "metrics.json").read_text())["test"]
    assert not {"accuracy", "labelled_bound"} & set(test)
    assert test["unlabelled_bound"] < 0
    assert main(["evaluate", str(folder)]) == 0
    assert "unlabelled_bound" in capsys.readouterr().out
    assert main(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text()
    assert 'id="bound"' in page
    assert 'id="confusion"' not in page
