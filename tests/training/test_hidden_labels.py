"""The divergence from hidden labels, epoch by epoch."""

import json

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfssvae import data, evaluation, models, training
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.evaluation.hidden_labels import hidden_label_rows


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", labels_per_class=10)


class Remember(keras.callbacks.Callback):
    """Keep what the logs say after each epoch, and what the model then predicts."""

    def __init__(self, x):
        super().__init__()
        self.x, self.logs, self.probs = x, [], []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))
        self.probs.append(self.model.predict(self.x, verbose=0))


def trained(digits, driver, callbacks):
    model = models.METHODS["m2"](digits.input_shape, 10, latent_dim=3, hidden=(8,))
    model.compile(keras.optimizers.Adam(1e-2))
    if driver == "fit":
        history = model.fit(digits.train(100, 600), epochs=2, callbacks=callbacks, verbose=0)
    else:
        history = training.train(model, digits, 2, 100, 600, callbacks, verbose=0)
    return model, history.history


@pytest.mark.parametrize("driver", ["fit", "train"])
def test_each_epoch_logs_the_divergence_of_its_predictions(digits, driver):
    rows = digits.unlabelled_indices
    later = Remember(digits.x_train[rows])
    watched, history = trained(digits, driver, [training.HiddenDivergence(digits), later])
    truth = digits.hidden_labels[rows]
    expected = [evaluation.hidden_label_divergence(probs, truth).mean() for probs in later.probs]
    np.testing.assert_allclose(history["hidden_divergence"], expected, rtol=1e-5)
    assert [logs["hidden_divergence"] for logs in later.logs] == history["hidden_divergence"]
    assert expected[0] != pytest.approx(expected[1], rel=1e-3)
    alone, _ = trained(digits, driver, [])
    for one, other in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_are_unlabelled_known_and_spread_over_all():
    y = np.arange(100) % 3
    y[10:20] = -1
    made = data.from_arrays(np.zeros((100, 2)), y, labels_per_class=5, seed=0)
    found = hidden_label_rows(made, 1000)
    assert set(found) == set(made.unlabelled_indices) - set(range(10, 20))
    few = hidden_label_rows(made, 7)
    assert len(set(few)) == 7
    assert (few[0], few[-1]) == (found[0], found[-1])
    assert np.diff(np.searchsorted(found, few)).max() <= len(found) / 6 + 1
    bare = data.from_arrays(np.zeros((6, 2)), [0, 1, -1, -1, -1, -1])
    with pytest.raises(InputError, match="no hidden label"):
        training.HiddenDivergence(bare)


@pytest.mark.parametrize(("method", "logged"), [("m2", True), ("vae", False)])
def test_a_run_logs_it_where_the_method_knows_classes(method, logged, tmp_path):
    command = ["train", method, "--data", "digits", "--labels-per-class", "5"]
    sizes = ["--set", "hidden=(8,)", "--set", "latent_dim=2", "--epochs", "1"]
    assert main([*command, *sizes, "--out", str(tmp_path / "run")]) == 0
    history = json.loads((tmp_path / "run" / "metrics.json").read_text())["history"]
    assert ("hidden_divergence" in history) == logged
    events = EventAccumulator(str(tmp_path / "run" / "logs" / "train"))
    events.Reload()
    assert ("epoch_hidden_divergence" in events.Tags()["tensors"]) == logged
