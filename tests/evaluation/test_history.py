"""Curves of several runs, and of information and entropy during training."""

import keras
import numpy as np
import pytest
from matplotlib.colors import same_color

from tfssvae import evaluation
from tfssvae.checks import InputError
from tfssvae.evaluation.history import logged_quantities

INFORMATION, ENTROPY = "monitor/mutual_information", "monitor/entropy"


@pytest.fixture
def runs():
    first = keras.callbacks.History()
    first.history = {"loss": [3.0, 2.0], "val_loss": [4.0, 3.0], INFORMATION: [0.5, 0.25]}
    first.history[ENTROPY] = [1.0, 1.25]
    second = {"loss": [5.0, 4.0, 3.0], INFORMATION: [0.5, 0.75, 1.0], ENTROPY: [1.0, 0.5, 0.25]}
    return {"M2": first, "M2 + MIER $x": second}


def curves(axes):
    return {line.get_label(): line for line in axes.get_lines() if line.get_label()[0] != "_"}


def test_several_runs_lie_over_each_other(runs):
    figure = evaluation.history_figure(runs)
    panels = {axes.get_title(): curves(axes) for axes in figure.axes if axes.axison}
    assert list(panels) == ["loss", INFORMATION, ENTROPY]
    loss = panels["loss"]
    assert list(loss) == ["M2", "M2, validation", "M2 + MIER $x"]
    assert loss["M2"].get_xydata().tolist() == [[1, 3], [2, 2]]
    assert loss["M2, validation"].get_ydata().tolist() == [4, 3]
    assert loss["M2 + MIER $x"].get_xydata().tolist() == [[1, 5], [2, 4], [3, 3]]
    assert same_color(loss["M2"].get_color(), loss["M2, validation"].get_color())
    assert loss["M2"].get_linestyle() != loss["M2, validation"].get_linestyle()
    assert not same_color(loss["M2"].get_color(), loss["M2 + MIER $x"].get_color())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(loss)
    evaluation.figure_pixels(figure)  # a "$" is not taken for a formula


def test_information_and_entropy_stand_side_by_side(runs):
    figure = evaluation.information_figure(runs, num_classes=10)
    information, entropy = figure.axes
    assert "mutual information" in information.get_title()
    assert "entropy" in entropy.get_title()
    assert curves(information)["M2"].get_ydata().tolist() == [0.5, 0.25]
    assert curves(entropy)["M2 + MIER $x"].get_ydata().tolist() == [1.0, 0.5, 0.25]
    for axes in figure.axes:
        assert axes.get_ylabel() == "nats"
        assert axes.get_ylim()[0] <= 0
        (most,) = (line for line in axes.get_lines() if line.get_label()[0] == "_")
        assert most.get_ydata()[0] == pytest.approx(np.log(10))
        assert axes.get_ylim()[1] > np.log(10)


def test_information_of_one_run_shows_training_and_validation(runs):
    logs = {**runs["M2"].history, f"val_{INFORMATION}": [0.1, 0.2]}
    figure = evaluation.information_figure(logs)
    found = curves(figure.axes[0])
    assert found["training"].get_ydata().tolist() == [0.5, 0.25]
    assert found["validation"].get_ydata().tolist() == [0.1, 0.2]


def test_quantities_in_the_order_of_reading(runs):
    logs = {ENTROPY: [1], "labelled_kl_z": [1], "val_accuracy": [1], "loss": [1], "accuracy": [1]}
    assert logged_quantities(logs) == ["loss", "accuracy", "labelled_kl_z", ENTROPY]
    assert logged_quantities(runs) == ["loss", INFORMATION, ENTROPY]


def test_a_history_without_a_classifier_is_refused():
    with pytest.raises(InputError, match="the method has no classifier"):
        evaluation.information_figure({"loss": [1.0]})
    with pytest.raises(InputError, match="history is empty"):
        evaluation.history_figure({"M2": {}})
