"""Every method: what is logged is a mean over all rows that it counts, whatever the batches."""

import numpy as np
import pytest
import tensorflow as tf

from tests.contract.conftest import eager_model, is_labelled
from tfssvae.batch import make_batch
from tfssvae.core import FIXED_STEP
from tfssvae.noise import Noise

ROWS = 26
LABELLED = [0, 1, 2, 9, 25]  # the batches have between none and three
OF_A_BATCH = {"kl_y"}  # PartedVAE's is a divergence of the batch's mean


@pytest.fixture
def model(name, data, monkeypatch):
    """A model whose rows have the same noise in every batch, and are not compared."""

    def still(self, sampler, shape):
        self._calls += 1
        return tf.fill(shape, 0.25 / self._calls)

    monkeypatch.setattr("tfssvae.noise.Noise._draw", still)
    return eager_model(name, data, regularizers=[], weights={"*": 2.0})


def test_means_do_not_depend_on_the_batches(model, name, data):
    x, y = data.x_test[:ROWS], np.full(ROWS, -1)
    y[LABELLED] = data.y_test[LABELLED]
    weights = np.linspace(0.5, 2.0, ROWS).astype("float32")
    batch = make_batch((x, y, weights), model.example_shape, 10, Noise(model.seed, FIXED_STEP))
    found = model.terms(batch, training=False)
    expected = {}
    for key, value in {**found.values, **found.monitors}.items():
        if value.shape == (1,) or (name == "parted_vae" and key in OF_A_BATCH):
            continue
        rows = weights[LABELLED] * value.numpy()[LABELLED] if is_labelled(key) else value.numpy()
        expected[key] = rows.mean() if rows.size else 0.0
    assert len(expected) > 2

    for batch_size in (3, 8, ROWS):
        logs = model.evaluate(
            x, y, batch_size=batch_size, sample_weight=weights, verbose=0, return_dict=True
        )
        for key, value in expected.items():
            weight = model.term_weights.get(key)
            logged = logs[f"monitor/{key}"] if weight is None else logs[key]
            factor = 1.0 if weight is None else weight
            assert logged == pytest.approx(factor * value, rel=2e-5, abs=1e-5), (key, batch_size)
        total = sum(logs[key] for key in model.term_weights)
        assert logs["loss"] == pytest.approx(total, rel=1e-5)
