"""Schedules and weights: values, patterns, saving."""

import keras
import numpy as np
import pytest

from tfssvae import InputError
from tfssvae.training import ProgressLines, exponential_ramp, linear_ramp
from tfssvae.weights import resolve_weights


@pytest.mark.parametrize("step", [0, 1, 7, 10, 25])
def test_exponential_ramp_equals_its_formula(step):
    expected = 3.0 * np.exp(-4.0 * (1 - min(1, step / 10)) ** 2)
    assert float(exponential_ramp(3.0, 10, gamma=4.0)(step)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("step", "expected"), [(0, 8.0), (5, 4.5), (10, 1.0), (99, 1.0)])
def test_linear_ramp_goes_either_way(step, expected):
    assert float(linear_ramp(1.0, 10, initial=8.0)(step)) == pytest.approx(expected)


@pytest.mark.parametrize("ramp", [exponential_ramp(3.0, 10, 4.0), linear_ramp(1.0, 10, 8.0)])
def test_schedules_are_saved_with_the_model(ramp):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ramp))
    assert float(again(4)) == float(ramp(4))


@pytest.mark.parametrize("ramp", [exponential_ramp, linear_ramp])
def test_a_ramp_of_no_steps_is_refused(ramp):
    with pytest.raises(InputError, match="at least 1"):
        ramp(1.0, steps=0)


def test_patterns_match_names_and_later_settings_win():
    names = ["labelled_kl_z", "unlabelled_kl_z", "classification"]
    weights = resolve_weights(names, {"*_kl_z": 2.0}, {"unlabelled_*": 3, "classification": 0})
    assert weights == {"labelled_kl_z": 2.0, "unlabelled_kl_z": 3.0, "classification": 0.0}


def test_an_unknown_term_lists_the_known_ones():
    with pytest.raises(InputError, match=r"klz.*classification"):
        resolve_weights(["classification"], {"klz": 1.0})


class Stream:
    def __init__(self, terminal):
        self.text, self.terminal = "", terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_progress_in_a_file_is_a_line_now_and_then_and_at_the_end():
    stream = Stream(terminal=False)
    progress = ProgressLines(epochs=100, stream=stream)
    progress.on_train_begin()
    for epoch in range(100):
        progress.on_epoch_end(epoch, {"loss": 1.25, "accuracy": 0.5, "unlabelled_kl_z": 3.0})
    lines = stream.text.splitlines()
    assert len(lines) == 20
    assert lines[-1].startswith("epoch 100/100  loss 1.25  accuracy 0.5000  took ")


def test_progress_shows_no_accuracy_where_no_label_is_seen():
    stream = Stream(terminal=False)
    progress = ProgressLines(epochs=1, stream=stream, labelled=False)
    progress.on_train_begin()
    progress.on_epoch_end(0, {"loss": 1.0, "accuracy": 0.0, "val_accuracy": 0.25})
    assert stream.text.startswith("epoch 1/1  loss 1.00  val_accuracy 0.2500  took ")


def test_progress_on_a_terminal_rewrites_one_line():
    stream = Stream(terminal=True)
    progress = ProgressLines(epochs=3, stream=stream)
    progress.on_train_begin()
    for epoch in range(3):
        progress.on_epoch_end(epoch, {"loss": 1.0})
    assert stream.text.count("\n") == 1
    assert stream.text.count("\r") == 3
    assert " left" in stream.text
