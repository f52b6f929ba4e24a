"""Batches: which rows, in which order, with which labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.data.pipeline import binarize, training_order
from tfssvae.noise import Noise


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=3, seed=0)


def test_every_pass_visits_every_row_once_in_a_new_order(data):
    order = training_order(data, labelled=7, unlabelled=100)
    labelled, unlabelled = order.rows(0, 200)
    for rows, indices in ((labelled, data.labelled_indices), (unlabelled, data.unlabelled_indices)):
        size, stream = len(indices), rows.ravel()
        passes = [stream[i * size : (i + 1) * size] for i in range(3)]
        for visited in passes:
            np.testing.assert_array_equal(np.sort(visited), indices)
        assert (passes[0] != passes[1]).mean() > 0.5
        assert (passes[1] != passes[2]).mean() > 0.5


def test_rows_are_a_function_of_the_step_alone(data):
    order = training_order(data, labelled=7, unlabelled=100)
    whole = order.rows(0, 40)
    for part, rows in zip(order.rows(23, 9), whole, strict=True):
        np.testing.assert_array_equal(part, rows[23:32])
    other = training_order(data, labelled=7, unlabelled=100, seed=5).rows(0, 40)
    assert (other[1] != whole[1]).mean() > 0.9


def test_an_epoch_is_one_pass_over_the_unlabelled_rows(data):
    size = len(data.unlabelled_indices)
    assert training_order(data, 30, size).steps_per_epoch == 1
    assert training_order(data, 30, size - 1).steps_per_epoch == 2
    assert training_order(data, 7, 0).steps_per_epoch == 5  # 30 labelled rows


def test_batches_hold_the_rows_and_labels_of_the_order(data):
    batches = data.train(labelled=7, unlabelled=100)
    order = training_order(data, 7, 100)
    assert len(batches) == order.steps_per_epoch
    batches.position.assign(len(batches))  # the second epoch
    for step, (x, y) in enumerate(batches):
        labelled, unlabelled = (rows[0] for rows in order.rows(len(batches) + step, 1))
        assert x["labelled"].dtype == tf.uint8
        np.testing.assert_array_equal(x["labelled"], data.x_train[labelled])
        np.testing.assert_array_equal(x["unlabelled"], data.x_train[unlabelled])
        np.testing.assert_array_equal(y, data.hidden_labels[labelled])


def test_iterating_without_a_model_never_replays_an_order(data):
    batches = data.train(labelled=7, unlabelled=600)
    first, second = ([y.numpy() for _, y in batches] for _ in range(2))
    assert any((a != b).any() for a, b in zip(first, second, strict=True))


def test_a_plain_keras_model_trains_on_the_batches(data):
    inputs = {name: keras.Input((8, 8, 1), name=name) for name in ("labelled", "unlabelled")}
    features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs["labelled"]))
    model = keras.Model(inputs, keras.layers.Dense(10)(features))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(data.train(labelled=30, unlabelled=100), shuffle=False, verbose=0, epochs=3)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_labels_without_images_are_a_stream_of_their_own(data):
    labels = np.arange(7) % 10
    bare = tfssvae.data.load("digits", labels_per_class=3, seed=0, unfeatured=labels)
    order = training_order(bare, 7, 100, unfeatured=3)
    for ours, theirs in zip(order.rows(5, 9), training_order(data, 7, 100).rows(5, 9), strict=True):
        np.testing.assert_array_equal(ours, theirs)  # images come as they do without such labels
    whole = order.unfeatured_rows(0, 21)
    passes = whole.ravel().reshape(9, 7)
    np.testing.assert_array_equal(np.sort(passes), np.tile(np.arange(7), (9, 1)))
    assert len({tuple(visited) for visited in passes}) > 5
    np.testing.assert_array_equal(order.unfeatured_rows(13, 4), whole[13:17])
    more = training_order(bare, 7, 100, unfeatured=16).unfeatured_rows(0, 7)
    np.testing.assert_array_equal(np.bincount(more.ravel()), [16] * 7)
    assert training_order(data, 7, 100, unfeatured=16).unfeatured_rows(0, 7).shape == (7, 0)
    with pytest.raises(tfssvae.InputError, match="must be a whole number, 0 or more"):
        training_order(bare, 7, 100, unfeatured=-1)


@pytest.mark.parametrize("sizes", [(7, 600), (0, 600), (7, 0)])
def test_batches_hold_the_labels_without_images_of_the_order(sizes):
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(10), size=30).astype("float32")
    data = tfssvae.data.load("digits", labels_per_class=3, binarize="dynamic", unfeatured=rows)
    batches = data.train(*sizes, unfeatured=12)
    batches.position.assign(2)
    order = training_order(data, *sizes, unfeatured=12)
    for step, batch in enumerate(batches):
        found = batch[0]["unfeatured"]
        assert found.dtype == tf.float32
        np.testing.assert_array_equal(found, rows[order.unfeatured_rows(2 + step, 1)[0]])
    assert "unfeatured" not in next(iter(data.train(*sizes, unfeatured=0)))[0]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_dynamic_binarisation_draws_each_pixel_with_its_intensity(dtype):
    one = 255 if dtype == "uint8" else 1
    x = tf.cast(np.array([0.0, 0.2, 0.8, 1.0]) * one, dtype)[:, None]
    drawn = binarize(tf.tile(x, [1, 40_000]), Noise(0, 0)).numpy()
    assert drawn.dtype == dtype
    assert set(np.unique(drawn)) == {0, one}
    np.testing.assert_allclose((drawn / one).mean(1), [0, 0.2, 0.8, 1], atol=0.01)


def test_binarised_batches_differ_each_step_and_repeat_each_run():
    data = tfssvae.data.load("digits", labels_per_class=3, binarize="dynamic")

    def batches():
        stream = data.train(labelled=30, unlabelled=1400)
        stream.position.assign(0)
        return [x["labelled"].numpy()[np.argsort(y)] for x, y in stream]

    first, again = batches(), batches()
    np.testing.assert_array_equal(first, again)
    assert set(np.unique(first[0])) == {0, 255}
    test = np.concatenate([x for x, _ in data.test()])
    assert set(np.unique(test)) == {0, 255}
    np.testing.assert_array_equal(test, np.concatenate([x for x, _ in data.test()]))


def test_binarisation_is_the_same_in_both_drivers():
    data = tfssvae.data.load("digits", labels_per_class=3, binarize="dynamic")
    weights = []
    for driver in ("fit", "loop"):
        model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=2, hidden=(8, 8))
        model.compile(keras.optimizers.SGD(1e-2))
        if driver == "fit":
            model.fit(data.train(30, 700), epochs=1, verbose=0)
        else:
            tfssvae.training.train(model, data, 1, 30, 700, jit_compile=False, verbose=0)
        weights.append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
    np.testing.assert_array_equal(*weights)


def test_epochs_of_another_length_see_the_same_batches(data):
    def weights(*runs):
        model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=2, hidden=(4,), seed=0)
        model.compile("sgd")
        for options in runs:
            model.fit(data.train(30, 300), verbose=0, **options)
        return model.get_weights()

    steps = training_order(data, 30, 300).steps_per_epoch
    expected = weights({"epochs": 4})
    assert steps == 5
    in_two = {"epochs": 10, "steps_per_epoch": 2}
    for found in (
        weights(in_two),
        weights({**in_two, "epochs": 3}, {**in_two, "initial_epoch": 3}),
        weights({"epochs": 1, "steps_per_epoch": 20}),
    ):
        for one, two in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, two)
