"""Runs whose steps are shared by several devices."""

import contextlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import data
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.data.pipeline import evaluation_batches
from tfssvae.model_files import load_model
from tfssvae.replicas import strategy_of
from tfssvae.report.run import load as load_for_report
from tfssvae.runs.build import filled

TRAIN = [
    *["train", "m2", "--data", "digits", "--labels-per-class", "5", "--unlabelled", "200"],
    *["--set", "hidden=(8, 8)", "--set", "latent_dim=2", "--labelled", "50", "--epochs", "3"],
    *["--validation", "100", "--checkpoint-seconds", "0"],
]


@pytest.fixture(scope="module", params=["loop", pytest.param("fit", marks=pytest.mark.slow)])
def pair(request, tmp_path_factory, strategy):
    """The folders of one run on one device and on two."""
    folder = tmp_path_factory.mktemp(request.param)
    driver = ["--driver", request.param]
    for replicas in ("1", "2"):
        out = ["--replicas", replicas, "--out", str(folder / replicas)]
        assert main([*TRAIN, *driver, *out]) == 0
    return folder / "1", folder / "2"


def measured(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_two_replicas_train_as_one_device_does(pair):
    one, two = map(measured, pair)
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-4, err_msg=name)
    assert two["test"]["accuracy"] == pytest.approx(one["test"]["accuracy"], abs=0.01)
    weights = [load_model(folder / "model.keras").get_weights() for folder in pair]
    for of_one, of_two in zip(*weights, strict=True):
        np.testing.assert_allclose(of_two, of_one, rtol=1e-3, atol=1e-4)


def test_the_exported_model_is_that_of_one_device(pair):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    served = [tf.saved_model.load(str(folder / "export" / "1")) for folder in pair]
    (one, two) = (
        model.signatures["classify"](images=tf.constant(images))["probabilities"].numpy()
        for model in served
    )
    np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)


def test_a_run_on_two_replicas_resumes_exactly(pair, tmp_path):
    whole = pair[1]
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    last = max((folder / "checkpoints").glob("step-*"))
    for path in (last, folder / "model.keras"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "metrics.json").unlink()
    assert main(["train", "--resume", str(folder)]) == 0
    assert measured(folder)["history"] == measured(whole)["history"]
    weights = [load_model(each / "model.keras").get_weights() for each in (whole, folder)]
    for of_whole, of_resumed in zip(*weights, strict=True):
        np.testing.assert_array_equal(of_resumed, of_whole)


def test_a_run_of_another_machine_that_is_not_finished_can_be_reported(pair, tmp_path):
    folder = shutil.copytree(pair[1], tmp_path / "run")
    (folder / "metrics.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "replicas": 1000}))
    assert load_for_report(folder, lambda line: None).metrics["epoch"] == 3


def test_a_sweep_takes_its_devices_before_its_data(tmp_path, capsys):
    out = ["--out", str(tmp_path / "sweep")]
    options = ["--grid", "latent_dim=2,3", "--validation", "50", "--replicas", "1000"]
    assert main(["sweep", "m2", "--data", str(tmp_path / "none.npz"), *options, *out]) == 2
    assert "ask for" in capsys.readouterr().err


@pytest.mark.parametrize("rows", [9, 8])
def test_rows_that_replicas_share_unevenly_are_evaluated(strategy, rows):
    found = data.load("digits")
    measured = []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        with scope:
            model = tfssvae.models.M2(found.input_shape, 10, 2, (8,), seed=1)
            model.compile(metrics=["accuracy"])
        batches = evaluation_batches(found.x_test[:rows], found.y_test[:rows], rows, None)
        measured.append(model.evaluate(batches, verbose=0, return_dict=True))
    one, two = measured
    assert one["accuracy"] == two["accuracy"]
    for name in ("classification", "labelled_kl_z"):
        assert two[name] == pytest.approx(one[name], rel=1e-5)


def test_rows_that_replicas_cannot_share_leave_no_folder(tmp_path, capsys, strategy):
    folder = tmp_path / "run"
    options = ["--labelled", "25", "--replicas", "2", "--out", str(folder)]
    assert main([*TRAIN, *options]) == 2
    assert "2 replicas cannot share 25 labelled rows" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize(
    ("replicas", "labelled", "unlabelled"), [(1, 9, 200), (2, 8, 200), (3, 9, 198), (16, 9, 192)]
)
def test_sizes_that_nobody_asked_for_can_be_shared(replicas, labelled, unlabelled):
    found = data.load("digits", labels_per_class=3, labelled_classes=[0, 1, 2])
    asked = {"labelled": None, "unlabelled": None, "epochs": 1, "replicas": replicas}
    config = filled(asked, found)
    assert (config["labelled"], config["unlabelled"]) == (labelled, unlabelled)


@pytest.mark.parametrize(
    ("cpus", "gpus", "said"),
    [(2, 0, "2 cores, and no GPU: ask for 2"), (8, 1, "1 GPUs: ask for 1")],
)
def test_more_replicas_than_devices_are_refused(monkeypatch, cpus, gpus, said):
    kinds = {"CPU": ["the CPU"], "GPU": ["a GPU"] * gpus}
    monkeypatch.setattr(tf.config, "list_physical_devices", kinds.get)
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    with pytest.raises(InputError, match=said):
        strategy_of(3)


def test_a_cpu_that_tensorflow_has_in_fewer_parts_is_refused(monkeypatch, strategy):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    with pytest.raises(InputError, match="begun with its CPU in 2 parts"):
        strategy_of(3)


def test_one_replica_is_the_strategy_that_is_in_force(strategy):
    with strategy.scope():
        assert strategy_of(1) is strategy
    assert strategy_of(1) is tf.distribute.get_strategy()
