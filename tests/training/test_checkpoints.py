"""Checkpoints: what is written, what is kept, what a damaged one does."""

import json

import h5py
import keras
import numpy as np
import pytest

import tfssvae
from tfssvae.training import Checkpoint, checkpoints, restore_latest, train
from tfssvae.training.checkpoints import load_best


def new_model(latent_dim=2):
    model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=latent_dim, hidden=(8, 8))
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True, metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=5)


@pytest.fixture
def folder(tmp_path, data):
    """Three epochs of one step, with a checkpoint after each."""
    checkpoint = Checkpoint(tmp_path / "checkpoints", keep=2, every_seconds=0)
    new_model().fit(data.train(50, 1388), epochs=3, verbose=0, callbacks=[checkpoint])
    return tmp_path / "checkpoints"


def test_the_latest_checkpoints_are_kept(folder):
    assert sorted(p.name for p in folder.iterdir()) == ["step-000000002", "step-000000003"]


def test_the_latest_is_restored_with_its_history(folder):
    model = new_model()
    state = restore_latest(model, folder)
    assert (state["epoch"], state["step"]) == (3, 3)
    assert len(state["history"]["loss"]) == 3
    assert int(model.steps_done) == int(model.optimizer.iterations) == 3
    assert np.abs(model.optimizer.variables[2]).max() > 0, "Adam's moments came back"


def test_a_damaged_checkpoint_is_passed_over(folder):
    whole = (folder / "step-000000003" / "model.weights.h5").read_bytes()
    (folder / "step-000000003" / "model.weights.h5").write_bytes(whole[: len(whole) // 2])
    assert restore_latest(new_model(), folder)["step"] == 2
    (folder / "step-000000002" / "state.json").write_text("{")
    with pytest.raises(
        tfssvae.InputError, match=r"no checkpoint .* can be read \(.*step-000000003"
    ):
        restore_latest(new_model(), folder)


def test_a_half_written_checkpoint_is_not_seen(folder):
    partial = folder / ".partial-123"
    partial.mkdir()
    (partial / "state.json").write_text(json.dumps({"epoch": 9}))
    assert restore_latest(new_model(), folder)["step"] == 3


def test_a_checkpoint_of_another_model_is_refused(folder):
    with pytest.raises(tfssvae.InputError, match="does not fit"):
        restore_latest(new_model(latent_dim=3), folder)


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert restore_latest(new_model(), tmp_path / "none") is None


def test_the_end_is_saved_even_when_no_checkpoint_was_due(tmp_path, data):
    checkpoint = Checkpoint(tmp_path, every_seconds=3600)
    new_model().fit(data.train(50, 1388), epochs=2, verbose=0, callbacks=[checkpoint])
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000002"]


def test_a_session_without_an_epoch_leaves_the_checkpoint_as_it_is(folder, data):
    model = new_model()
    state = restore_latest(model, folder)
    saving = Checkpoint(folder, state=state)
    model.fit(data.train(50, 1388), initial_epoch=3, epochs=3, verbose=0, callbacks=[saving])
    again = restore_latest(new_model(), folder)
    assert {**again, "seconds": 0.0} == {**state, "seconds": 0.0}
    assert again["epoch"] == 3


def test_a_folder_that_cannot_be_made_is_known_before_training(tmp_path, data):
    (tmp_path / "file").write_text("")
    model = new_model()
    with pytest.raises(OSError, match="file"):
        model.fit(data.train(50, 1388), verbose=0, callbacks=[Checkpoint(tmp_path / "file" / "x")])
    assert int(model.steps_done) == 0


@pytest.mark.parametrize("driver", ["loop", pytest.param("fit", marks=pytest.mark.slow)])
def test_a_run_under_a_strategy_resumes_exactly(driver, data, tmp_path, strategy):
    def run(folder, epochs):
        with strategy.scope():
            model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=2, hidden=(8, 8), seed=0)
            model.compile(keras.optimizers.Adam(1e-2))
        state = restore_latest(model, folder) or {"epoch": 0}
        options = {"initial_epoch": state["epoch"], "verbose": 0, "callbacks": [Checkpoint(folder)]}
        if driver == "loop":
            train(model, data, epochs, 50, 700, **options)
        else:
            model.fit(data.train(50, 700), epochs=epochs, **options)
        return model.get_weights()

    whole = run(tmp_path / "whole", 2)
    run(tmp_path / "parts", 1)
    for one, two in zip(whole, run(tmp_path / "parts", 2), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_state_of_another_kind_is_passed_over(folder):
    # Each was an error of Python, or went into the history of the run.
    path = folder / "step-000000003" / "state.json"
    whole = json.loads(path.read_text())
    changes = [
        *({"epoch": -1}, {"epoch": "1"}, {"epoch": True}, {"epoch": 10**30}, {"step": 1.5}),
        *({"seconds": -1.0}, {"seconds": float("nan")}, {"metrics": {}}, {"metrics": ["1"]}),
        *({"history": []}, {"history": {"loss": 3}}, {"history": {"loss": ["<b>"]}}),
    ]
    contents = [json.dumps({**whole, **change}) for change in changes]
    contents += [json.dumps({k: v for k, v in whole.items() if k != name}) for name in whole]
    contents += ["[]", "null", "[" * 100_000, '{"epoch": ' + "9" * 5000 + "}"]
    model = new_model()
    for content in contents:
        path.write_text(content)
        assert restore_latest(model, folder)["step"] == 2, content[:80]


def test_metrics_of_another_model_are_refused(folder):
    path = folder / "step-000000003" / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metrics": [1.0]}))
    with pytest.raises(tfssvae.InputError, match=r"state\.json does not fit this model"):
        restore_latest(new_model(), folder)


def test_weights_in_another_file_are_refused(folder):
    with h5py.File(folder / "step-000000003" / "model.weights.h5", "r+") as root:
        root["link"] = h5py.ExternalLink("/etc/secret.h5", "data")
    with pytest.raises(tfssvae.InputError, match="points to another place or file"):
        restore_latest(new_model(), folder)


def test_what_is_no_checkpoint_is_not_taken_for_one(folder):
    (folder / "step-²").mkdir()
    (folder / "step-999").touch()
    assert restore_latest(new_model(), folder)["step"] == 3


def test_damaged_checkpoints_of_later_steps_do_not_push_out_new_ones(tmp_path, data):
    for step in (100, 200):
        (tmp_path / f"step-{step:09d}").mkdir()
    saving = Checkpoint(tmp_path, keep=2, every_seconds=0)
    new_model().fit(data.train(50, 1388), epochs=3, verbose=0, callbacks=[saving])
    assert restore_latest(new_model(), tmp_path)["step"] == 3
    assert len(list(tmp_path.glob("step-*"))) == 4


def follow(saving, model, logs):
    """Tell a checkpoint of epochs of one step each, with these logs."""
    model.prepare()
    saving.set_model(model)
    saving.on_train_begin()
    for epoch, value in enumerate(logs, start=int(model.steps_done)):
        model.steps_done.assign_add(1)
        saving.on_epoch_end(epoch, {saving.best: value})


@pytest.mark.parametrize(
    ("name", "best"), [("val_loss", 2), ("val_accuracy", 3), ("val_monitor/unlabelled_bound", 3)]
)
def test_the_best_epoch_is_the_lowest_loss_or_the_highest_accuracy_or_bound(name, best, tmp_path):
    saving = Checkpoint(tmp_path, best=name, every_seconds=0)
    follow(saving, new_model(), [2.0, 1.0, 3.0, float("nan")])
    assert saving.best_epoch["step"] == best
    assert [path.name for path in tmp_path.glob("best-*")] == [f"best-{best:09d}"]


def test_a_rollback_finds_the_best_epoch_of_the_checkpoint_that_it_goes_back_to(tmp_path):
    first = Checkpoint(tmp_path, best="val_accuracy", every_seconds=0)
    follow(first, new_model(), [0.1, 0.5])
    later = Checkpoint(tmp_path, best="val_accuracy", state={"best": first.best_epoch})
    model = new_model()
    state = restore_latest(model, tmp_path)
    later.every_seconds = 1e9
    follow(later, model, [0.9])
    names = {path.name for path in tmp_path.glob("best-*")}
    assert {"best-000000002", "best-000000003"} <= names, "a checkpoint still names the older"
    model = new_model()
    went_back_to = restore_latest(model, tmp_path)
    back = Checkpoint(tmp_path, best="val_accuracy", state=went_back_to, every_seconds=0)
    assert back.best_epoch == state["best"]
    follow(back, model, [0.2])
    assert [path.name for path in tmp_path.glob("best-*")] == ["best-000000002"]
    assert load_best(new_model(), tmp_path)["value"] == 0.5


def test_a_best_figure_that_is_not_logged_is_refused(tmp_path):
    saving = Checkpoint(tmp_path, best="val_acuracy_bound")
    saving.set_model(new_model())
    saving.on_train_begin()
    with pytest.raises(tfssvae.InputError, match="val_accuracy"):
        saving.on_epoch_end(0, {"val_accuracy": 0.5})
    with pytest.raises(tfssvae.InputError, match="maximize or to minimize"):
        Checkpoint(tmp_path, best="val_monitor/entropy")


@pytest.mark.parametrize("every_seconds", [0, 1e9])
def test_weights_that_are_not_finite_are_not_kept(every_seconds, tmp_path):
    saving = Checkpoint(tmp_path, best="val_loss", every_seconds=every_seconds)
    model = new_model()
    model.trainable_variables[0].assign(model.trainable_variables[0] * np.inf)
    with pytest.raises(tfssvae.DivergenceError, match="step 0: its gradient"):
        follow(saving, model, [1.0])
    assert not list(tmp_path.iterdir())


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it happens."""


_WRITES = ["mkdir", "save", "text", "fsync", "fsync", "fsync", "remove", "rename", "fsync", "old"]


def kill_at(monkeypatch, number):
    """Let the checkpoint's `number`-th operation on files, of those in _WRITES, not happen."""
    done = []

    def watched(owner, name, kind):
        original = getattr(owner, name)

        def operation(*arguments, **options):
            done.append(kind)
            if len(done) > number:
                raise Killed(kind)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, operation)

    watched(checkpoints.Path, "mkdir", "mkdir")
    watched(checkpoints.Path, "write_text", "text")
    watched(checkpoints.Path, "rename", "rename")
    watched(checkpoints.os, "fsync", "fsync")
    watched(checkpoints.shutil, "rmtree", "remove")
    return done


@pytest.mark.parametrize("number", range(12))
def test_a_write_cut_off_at_any_operation_leaves_a_whole_checkpoint(number, folder, monkeypatch):
    saving = Checkpoint(folder, keep=2, every_seconds=0)
    model = new_model()
    restore_latest(model, folder)
    saving.set_model(model)
    saving.on_train_begin()
    model.steps_done.assign_add(1)
    done = kill_at(monkeypatch, number)
    try:
        saving.on_epoch_end(3, {"loss": 1.0})
    except Killed:
        finished = False
    else:
        finished = True
    monkeypatch.undo()
    state = restore_latest(new_model(), folder)
    assert state["step"] == 4 if finished else state["step"] in (3, 4)
    assert finished == (len(done) <= number)
    assert number < 11 or finished, "every operation was cut off once"
