"""Means over partly labelled data: the same in batches of any size, and on every road."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.models import M2
from tfssvae.regularizers import Regularizer
from tfssvae.trackers import NamedMeans
from tfssvae.training import linear_ramp, train

EXACT = ("classification", "labelled_kl_z", "labelled_prior_y", "unlabelled_kl_y")
"""Terms of M2 without noise."""


@pytest.fixture(scope="module")
def digits():
    """1,438 digits of which 20 have labels."""
    return tfssvae.data.load("digits", labels_per_class=2, seed=0)


@pytest.fixture(scope="module")
def model(digits):
    model = new_model(digits)
    model.fit(digits.train(20, 446), epochs=8, verbose=0)
    return model


def new_model(digits, optimizer=None, metrics=("accuracy",), **arguments):
    model = M2(digits.input_shape, 10, latent_dim=2, hidden=(16,), seed=1, **arguments)
    model.compile(optimizer or keras.optimizers.Adam(1e-2), metrics=list(metrics))
    return model


def by_hand(model, x, y, weights):
    """The classification term of the labelled rows, from the probabilities alone."""
    known = y >= 0
    of_label = model.predict(x[known], verbose=0)[np.arange(known.sum()), y[known]]
    return np.mean(-np.log(of_label) * weights[known])


@pytest.mark.parametrize("weighted", [False, True])
def test_an_evaluation_is_the_same_in_batches_of_any_size(digits, model, weighted):
    x, y = digits.x_train, digits.y_train
    assert (len(y), np.sum(y >= 0)) == (1438, 20)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(y)) if weighted else np.ones(len(y))
    given = {"sample_weight": weights} if weighted else {}
    expected = by_hand(model, x, y, weights)
    first = None
    for batch_size in (16, 32, 100, len(y)):
        logs = model.evaluate(x, y, batch_size, verbose=0, return_dict=True, **given)
        first = first or logs
        assert logs["classification"] == pytest.approx(expected, rel=1e-5)
        for name in EXACT:
            assert logs[name] == pytest.approx(first[name], rel=1e-5), name
        total = sum(logs[name] for name in model.term_weights)
        assert logs["loss"] == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("driver", ["fit", "loop"])
def test_validation_is_an_evaluation(digits, driver):
    model = new_model(digits)
    x, y = digits.x_train[:300], digits.y_train[:300]
    assert 0 < np.sum(y >= 0) < 10
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(7)
    if driver == "fit":
        logs = model.fit(digits.train(20, 1338), validation_data=batches, verbose=0).history
    else:
        logs = train(model, digits, 1, 20, 1338, validation_data=batches, verbose=0).history
    expected = by_hand(model, x, y, np.ones(300))
    assert logs["val_classification"][0] == pytest.approx(expected, rel=1e-5)


def test_the_logs_of_training_are_means_over_the_epoch(digits):
    model = new_model(digits, keras.optimizers.SGD(0.0))
    x, y = digits.x_train[:300], digits.y_train[:300]
    expected = by_hand(model, x, y, np.ones(300))
    for batch_size in (7, 300):
        logs = model.fit(x, y, batch_size, verbose=0).history
        assert logs["classification"][0] == pytest.approx(expected, rel=1e-5)
        total = sum(logs[name][0] for name in model.term_weights)
        assert logs["loss"][0] == pytest.approx(total, rel=1e-6)


def test_where_a_weight_changes_each_row_counts_by_that_of_its_step(digits):
    ramp = linear_ramp(1.0, steps=10)
    model = new_model(digits, keras.optimizers.SGD(0.0), weights={"classification": ramp})
    x, y = digits.x_test[:40], np.full(40, -1)
    known = [3, 11, 12, 25, 26, 27, 39]
    y[known] = digits.y_test[known]
    of_label = model.predict(x[known], verbose=0)[np.arange(len(known)), y[known]]
    steps = np.array(known) // 10
    logs = model.fit(x, y, batch_size=10, shuffle=False, verbose=0).history
    plain = -np.log(of_label)
    assert logs["monitor/classification"][0] == pytest.approx(np.mean(plain), rel=1e-5)
    assert logs["classification"][0] == pytest.approx(np.mean(steps / 10 * plain), rel=1e-5)
    total = sum(logs[name][0] for name in model.term_weights)
    assert logs["loss"][0] == pytest.approx(total, rel=1e-6)


def test_one_value_for_a_batch_counts_by_its_rows(digits):
    class Confidence(Regularizer):
        def terms(self, model, batch, terms, training):
            entropy = tfssvae.losses.entropy(terms.logits[batch.num_labelled :])
            return {"of_batch": tf.reduce_mean(entropy, keepdims=True), "of_rows": entropy}

    model = new_model(digits, regularizers=[Confidence()])
    for batch_size in (11, 17, 34):  # 33 and a last batch of one row
        x, y = digits.x_train[:34], digits.y_train[:34]
        logs = model.evaluate(x, y, batch_size, verbose=0, return_dict=True)
        assert logs["of_batch"] == pytest.approx(logs["of_rows"], rel=1e-5)


def test_a_step_without_rows_counts_nothing():
    means = NamedMeans(["a"], ["b"])
    means.update_state({"a": 2.0, "b": 8.0}, {"a": 3.0, "b": 1.0})
    means.update_state({"a": 0.0, "b": 2.0}, {"a": 0.0, "b": 2.0})
    means.update_state({"a": np.nan, "b": np.nan}, {"a": 1.0, "b": 1.0}, sample_weight=0.0)
    assert {name: float(value) for name, value in means.result().items()} == {
        "loss": 2.0,
        "a": 2.0,
        "b": 4.0,
    }
    np.testing.assert_array_equal(means.finite_steps, [3.0, 3.0])
