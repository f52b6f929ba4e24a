"""Replicas with unequal numbers of rows, or none, and what a strategy does not allow."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import regularizers
from tfssvae.models import M2
from tfssvae.training import train

SHAPE, K = (8, 8, 1), 10
COMPARING = {
    "interpolation": regularizers.OptimalInterpolation,
    "random partners": lambda: regularizers.OptimalInterpolation(match="random"),
    "consistency": regularizers.SoftLabelConsistency,
    "mier": regularizers.MIER,
}


@pytest.fixture(scope="module")
def digits():
    return tfssvae.data.load("digits", labels_per_class=10)


def convolving(*parts, optimizer=keras.optimizers.Adam, **settings):
    """An M2 whose classifier is a convolution; oneDNN's takes no empty batch."""
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
    classifier = keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Dense(K)])
    model = M2(SHAPE, K, 2, (8,), classifier=classifier, regularizers=list(parts), seed=1)
    model.compile(optimizer(), **{"metrics": ["accuracy"], **settings})
    return model


def one_and_two(strategy, make, **settings):
    """The same model on one device and on two."""
    models = []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        with scope:
            models.append(convolving(*([make()] if make else []), **settings))
    models[1].set_weights(models[0].get_weights())
    return models


@pytest.mark.parametrize("rows", [1, 3])
def test_the_last_batch_may_leave_a_replica_without_a_row(digits, strategy, rows):
    one, two = one_and_two(strategy, None)
    x, y = digits.x_test[: 4 + rows], digits.y_test[: 4 + rows]
    expected, found = (m.predict(x, batch_size=4, verbose=0) for m in (one, two))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    expected, found = (
        m.evaluate(x, y, batch_size=4, verbose=0, return_dict=True) for m in (one, two)
    )
    for name in ("accuracy", "classification", "labelled_kl_z", "unlabelled_kl_y"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name


@pytest.mark.parametrize("rows", [5, 7, 12])
def test_labels_may_be_shared_unevenly_too(digits, strategy, rows):
    one, two = one_and_two(strategy, None)
    x, y = digits.x_test[:rows], np.full(rows, -1)
    y[[0, 1, 4]] = digits.y_test[[0, 1, 4]]  # of four rows, one replica has two and one has none
    weights = np.linspace(0.5, 2.0, rows)
    expected, found = (
        m.evaluate(x, y, batch_size=4, sample_weight=weights, verbose=0, return_dict=True)
        for m in (one, two)
    )
    for name in ("accuracy", "classification", "labelled_kl_z", "unlabelled_kl_y"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name
    probs = one.predict(x, verbose=0)[[0, 1, 4], y[[0, 1, 4]]]
    by_hand = np.mean(-np.log(probs) * weights[[0, 1, 4]])
    assert found["classification"] == pytest.approx(by_hand, rel=1e-5)


def test_a_replica_without_a_row_adds_nothing_to_the_gradient(digits, strategy):
    one, two = one_and_two(strategy, None, optimizer=lambda: keras.optimizers.SGD(1e-3))
    before = two.get_weights()
    # As for any batch that is shared unevenly, each replica has the same part in the mean.
    one.optimizer.learning_rate = 0.5e-3
    for model in (one, two):
        model.fit(digits.x_test[:1], digits.y_test[:1], verbose=0)
    index = [v.path for v in two.weights].index(two.classifier.weights[-1].path)
    moved, expected = (m.get_weights()[index] - before[index] for m in (two, one))
    assert np.abs(expected).max() > 1e-5
    np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ["consistency", "interpolation", "random partners"])
def test_rows_that_are_compared_may_be_shared_unevenly(digits, strategy, name):
    one, two = one_and_two(strategy, COMPARING[name])
    x, y = digits.x_test[:13], digits.y_test[:13]
    expected, found = (m.evaluate(x, y, verbose=0, return_dict=True) for m in (one, two))
    for term in ("classification", "labelled_kl_z", "unlabelled_kl_y"):
        assert found[term] == pytest.approx(expected[term], rel=1e-5), term
    for term in one.regularizers[0].default_weights():  # mixed in proportions of its own
        assert 0 < found[term] < 2 * expected[term]


def test_each_replica_takes_its_own_of_uneven_rows(strategy):
    from tfssvae.replicas import of_all_replicas, of_this_replica

    batches = tf.data.Dataset.from_tensor_slices(np.arange(13)).batch(13)
    shared = next(iter(strategy.experimental_distribute_dataset(batches)))

    @tf.function
    def turned(rows):
        return of_this_replica(tf.roll(of_all_replicas(rows), -1, 0), tf.shape(rows)[0])

    found = strategy.run(turned, args=(shared,))
    parts = strategy.experimental_local_results(found)
    assert sorted(map(len, parts)) == [6, 7]
    assert np.concatenate(parts).tolist() == [*range(1, 13), 0]


@pytest.mark.parametrize("name", list(COMPARING))
@pytest.mark.parametrize("labelled", [False, True])
def test_data_may_lack_labels_or_unlabelled_rows(digits, strategy, name, labelled):
    y = digits.y_test[:40] if labelled else None
    data = tfssvae.data.from_arrays(digits.x_test[:40], y, num_classes=K)
    with strategy.scope():
        model = M2(SHAPE, K, 2, (8,), regularizers=[COMPARING[name]()])
        model.compile()
    history = train(model, data, 1, 20, 20, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][0] > 0


@pytest.mark.parametrize("settings", [{"steps_per_execution": 4}, {"jit_compile": True}])
def test_settings_with_which_keras_fails_are_refused(strategy, settings):
    with strategy.scope(), pytest.raises(tfssvae.InputError, match="one step a call, without XLA"):
        convolving(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": lambda: keras.optimizers.SGD()},
        {"metrics": lambda: [keras.metrics.SparseCategoricalAccuracy()]},
    ],
)
def test_what_was_made_outside_of_the_strategy_is_named(digits, strategy, settings):
    made = {name: make() for name, make in settings.items()}
    with strategy.scope():
        model = convolving()
        with pytest.raises(tfssvae.InputError, match="made outside of the model's strategy"):
            model.compile(**made)
    model.compile("sgd", metrics=["accuracy"])  # names are made where they belong
    train(model, digits, 1, 20, 446, verbose=0)


def test_a_model_that_was_made_outside_of_the_strategy_is_named(digits, strategy):
    model = convolving()
    message = "the model was made outside of this strategy"
    with strategy.scope():
        with pytest.raises(tfssvae.InputError, match=message):
            train(model, digits, 1, 20, 40, verbose=0)
        with pytest.raises(tfssvae.InputError, match=message):
            model.fit(digits.train(20, 40), verbose=0)
        with pytest.raises(tfssvae.InputError, match=message):
            model.compile("sgd")
