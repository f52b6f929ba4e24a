"""Training on labels without images: their order, resumption, drivers, what they do."""

import keras
import numpy as np
import pytest

import tfssvae
from tfssvae.data.pipeline import training_order
from tfssvae.models import Untapped
from tfssvae.training import Checkpoint, restore_latest, train

SIZES = {"labelled": 30, "unlabelled": 704, "unfeatured": 16}  # two steps an epoch
STEPS = 2


@pytest.fixture(scope="module")
def digits():
    return tfssvae.data.load("digits", labels_per_class=3, unfeatured="classes")


def digits_model():
    model = Untapped((8, 8, 1), 10, hidden=(16,), seed=1)
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def flat_weights(model):
    return np.concatenate([np.ravel(value) for value in model.get_weights()])


def run_loop(model, data, epochs=2, **arguments):
    return train(model, data, epochs, jit_compile=False, verbose=0, **SIZES, **arguments)


@pytest.fixture(scope="module")
def trained(digits):
    model = digits_model()
    history = run_loop(model, digits).history
    assert history["unfeatured_label"][0] > 0
    return model, history


def test_both_drivers_and_streaming_see_the_same_labels(digits, trained):
    fitted, streamed = digits_model(), digits_model()
    history = fitted.fit(digits.train(**SIZES), epochs=2, verbose=0).history
    run_loop(streamed, digits, resident=False)
    for model in (fitted, streamed):
        np.testing.assert_array_equal(flat_weights(model), flat_weights(trained[0]))
    for name, values in history.items():
        np.testing.assert_allclose(values, trained[1][name], rtol=1e-6)
    without = digits_model()
    train(without, digits, 2, 30, 704, jit_compile=False, verbose=0, unfeatured=0)
    assert np.abs(flat_weights(without) - flat_weights(trained[0])).max() > 1e-4


def test_a_resumed_run_sees_the_labels_of_the_interrupted_one(digits, trained, tmp_path):
    class Killer(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.steps_done) == STEPS + 1:
                raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path, every_seconds=0, mid_epoch=True)
    with pytest.raises(KeyboardInterrupt):
        run_loop(digits_model(), digits, steps_per_call=1, callbacks=[checkpoint, Killer()])
    model = digits_model()
    state = restore_latest(model, tmp_path)
    assert state["step"] == STEPS + 1
    run_loop(model, digits, steps_per_call=1, initial_epoch=state["epoch"])
    np.testing.assert_array_equal(flat_weights(model), flat_weights(trained[0]))


def test_a_step_takes_the_labels_of_the_order(digits):
    order = training_order(digits, 30, 704, unfeatured=16)
    seen = []

    class Watching(Untapped):
        def terms(self, batch, training):
            if training:
                seen.append(batch.unfeatured.numpy())
            return super().terms(batch, training)

    model = Watching((8, 8, 1), 10, hidden=(16,))
    model.compile("adam", run_eagerly=True)
    model.fit(digits.train(**SIZES), epochs=2, verbose=0)
    for step, rows in enumerate(seen):
        np.testing.assert_array_equal(rows, np.eye(10)[order.unfeatured_rows(step, 1)[0]])
    assert len(seen) == 2 * STEPS


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_training_on_labels_without_images_raises_their_bound(digits, precision):
    bounds = []
    for weight in (0.0, 1.0):
        weights = {"unfeatured_*": weight}
        model = Untapped((8, 8, 1), 10, hidden=(32,), seed=0, dtype=precision, weights=weights)
        model.compile(keras.optimizers.Adam(1e-2))
        history = run_loop(model, digits, epochs=15).history
        assert np.isfinite(history["loss"]).all()
        bounds.append(history["monitor/unfeatured_bound"][-1])
    assert bounds[1] > bounds[0] + 1


def test_xla_draws_and_learns_alike(digits):
    model = digits_model()
    history = train(model, digits, 2, jit_compile=True, verbose=0, **SIZES).history
    assert np.isfinite(history["loss"]).all()
    assert history["unfeatured_label"][0] > 0
