"""The progress bar of `fit` and of the compiled loop."""

import os
import re
import shutil
from types import SimpleNamespace

import keras

import tfssvae
from tfssvae.progress_bar import ProgressBar, with_progress_bar

TERMS = {f"unlabelled_part_{number}": 1.25 for number in range(9)}
LOGS = {"loss": 12.5, **TERMS, "accuracy": 0.5}
MODEL = SimpleNamespace(term_means=SimpleNamespace(names=TERMS))
COLUMNS = 100


def on_a_terminal(monkeypatch, columns):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    size = os.terminal_size((columns, 24))
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *given, **named: size)


def lines(capsys):
    printed = re.sub(r"\x1b\[\d+m|\x08", "", capsys.readouterr().out)
    return [line.rstrip() for line in re.split(r"[\r\n]+", printed) if line]


def one_epoch(bar):
    bar.set_model(MODEL)
    bar.set_params({"verbose": 1, "epochs": 1, "steps": 300})
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    bar.on_train_batch_end(149, LOGS)
    bar.on_epoch_end(0, {**LOGS, "val_loss": 3.0})


def test_a_line_of_a_terminal_holds_what_fits_and_the_metrics_first(capsys, monkeypatch):
    on_a_terminal(monkeypatch, COLUMNS)
    one_epoch(ProgressBar())
    during, at_the_end = lines(capsys)
    assert len(during) <= COLUMNS
    assert during.endswith(" - loss: 12.5000 - accuracy: 0.5000")
    assert at_the_end.count(" - unlabelled_part_") == 9
    assert at_the_end.endswith(" - val_loss: 3.0000")


def test_a_wide_terminal_shows_all(capsys, monkeypatch):
    on_a_terminal(monkeypatch, 500)
    one_epoch(ProgressBar())
    assert lines(capsys)[0].count(" - unlabelled_part_") == 9


def test_a_notebook_shows_all(capsys):
    one_epoch(ProgressBar())
    assert lines(capsys)[0].count(" - unlabelled_part_") == 9


def test_a_bar_of_the_user_is_the_only_one():
    own = keras.callbacks.ProgbarLogger()
    stop = keras.callbacks.TerminateOnNaN()
    assert with_progress_bar([stop, [own]]) == [stop, own]
    first, second = with_progress_bar(stop)
    assert first is stop
    assert isinstance(second, ProgressBar)


def test_both_drivers_have_it(capsys, monkeypatch):
    on_a_terminal(monkeypatch, COLUMNS)
    data = tfssvae.data.load("digits", labels_per_class=10)
    model = tfssvae.models.M2(data.input_shape, data.num_classes, 2, (4,))
    model.compile(keras.optimizers.SGD(1e-6), metrics=["accuracy"])
    capsys.readouterr()
    tfssvae.training.train(model, data, 1, 20, 700)
    loop = lines(capsys)
    model.fit(data.train(20, 700), epochs=1)
    fit = lines(capsys)
    for printed in (loop, fit):
        assert max(map(len, printed[:-1])) <= COLUMNS, printed
        assert " - loss: " in printed[-2]
        assert " - unlabelled_kl_z: " in printed[-1]
        assert " - unlabelled_kl_z: " not in printed[-2]
    model.fit(data.train(20, 700), epochs=1, verbose=0)
    tfssvae.training.train(model, data, 1, 20, 700, verbose=0)
    assert lines(capsys) == []
