"""What a run says on its way, to people and to machines."""

import json

import numpy as np
import pytest

from tfssvae.training import ProgressLines, messages


def said(epochs, logs, **options):
    progress = ProgressLines(epochs, **options)
    progress.on_train_begin()
    for epoch in range(epochs):
        progress.on_epoch_end(epoch, logs)


def test_progress_in_a_file_is_a_line_now_and_then_and_at_the_end(capsys):
    said(100, {"loss": 1.25, "accuracy": 0.5, "unlabelled_kl_z": 3.0})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[-1].startswith("epoch 100/100  loss 1.25  accuracy 0.5000  took ")


def test_progress_shows_no_accuracy_where_no_label_is_seen(capsys):
    said(1, {"loss": 1.0, "accuracy": 0.0, "val_accuracy": 0.25}, labelled=False)
    assert capsys.readouterr().out.startswith("epoch 1/1  loss 1.00  val_accuracy 0.2500  took ")


def test_progress_on_a_terminal_rewrites_one_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    said(3, {"loss": 1.0})
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert text.count("\r") == 3
    assert " left" in text


@pytest.mark.parametrize("accuracy", [0.5, np.float32(0.5), float("nan")])
def test_machines_get_every_epoch_as_json(accuracy, capsys):
    said(3, {"loss": np.float32(1.5), "accuracy": accuracy}, say=messages.as_json)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert {line["event"] for line in lines} == {"epoch"}
    expected = 0.5 if accuracy == 0.5 else None  # JSON has no NaN
    assert lines[0]["logs"] == {"loss": 1.5, "accuracy": expected}
    assert lines[0]["seconds_left"] >= 0
    assert lines[-1]["text"].startswith("epoch 3/3")


def test_what_is_not_finite_becomes_null_at_any_depth():
    found = messages.finite({"a": [1.0, float("inf"), {"b": float("nan")}], "c": ("x", 2)})
    assert found == {"a": [1.0, None, {"b": None}], "c": ["x", 2]}
