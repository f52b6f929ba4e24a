"""The compiled loop's own choices, and what it leaves to Keras."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.models import M2
from tfssvae.training import Checkpoint, loop, restore_latest

SHAPE, K = (8, 8, 1), 10


BATCH = {"labelled": 10, "unlabelled": 20}
STEPS = 67  # an epoch of the 1338 unlabelled digits


@pytest.fixture(scope="module")
def digits():
    return tfssvae.data.load("digits", labels_per_class=10)


class Ends(keras.callbacks.Callback):
    """Notes the last batch of each call, and stops the run after a number of calls."""

    def __init__(self, most=None):
        super().__init__()
        self.most, self.batches = most, []

    def on_train_batch_end(self, batch, logs=None):
        """Note, and perhaps stop."""
        self.batches.append(batch)
        if len(self.batches) == self.most:
            raise KeyboardInterrupt


def small_m2():
    model = M2(SHAPE, K, 2, (4,), seed=3)
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def run(model, data, steps_per_call, callbacks, epochs=2, **options):
    """Train without XLA; return the history as it is logged."""
    options = {"jit_compile": False, "verbose": 0, **BATCH, **options}
    options["steps_per_call"] = steps_per_call
    return loop.train(model, data, epochs, callbacks=callbacks, **options).history


@pytest.fixture(scope="module")
def step_by_step(digits):
    """A model of two epochs whose every step is a call, and its history."""
    model = small_m2()
    return model, run(model, digits, 1, [])


@pytest.mark.parametrize(
    ("steps_per_call", "resident", "ends"),
    [
        (None, True, [33, 66]),
        ("epoch", True, [66]),
        ("epoch", False, [66]),
        (30, True, [29, 59, 66]),
        (np.int64(1000), True, [66]),
    ],
)
def test_the_steps_of_a_call_change_nothing_but_the_calls(
    digits, step_by_step, steps_per_call, resident, ends
):
    model, seen = small_m2(), Ends()
    history = run(model, digits, steps_per_call, [seen], resident=resident)
    assert seen.batches == 2 * ends
    np.testing.assert_array_equal(flat(model.get_weights()), flat(step_by_step[0].get_weights()))
    assert history == step_by_step[1]


def test_an_epoch_that_was_begun_is_ended_in_one_call(digits, step_by_step, tmp_path):
    killed = small_m2()
    checkpoint = Checkpoint(tmp_path, every_seconds=0, mid_epoch=True)
    with pytest.raises(KeyboardInterrupt):
        run(killed, digits, 20, [checkpoint, Ends(most=2)])
    model, seen = small_m2(), Ends()
    state = restore_latest(model, tmp_path)
    assert (state["epoch"], state["step"]) == (0, 40)
    history = run(model, digits, "epoch", [seen], initial_epoch=0)
    assert seen.batches == [66, 66]
    np.testing.assert_array_equal(flat(model.get_weights()), flat(step_by_step[0].get_weights()))
    assert history == step_by_step[1]


@pytest.mark.parametrize("steps_per_call", [0, -1, True, 2.5, "all"])
def test_what_is_no_number_of_steps_is_refused(digits, steps_per_call):
    with pytest.raises(tfssvae.InputError, match='None nor "epoch", must be a whole number and'):
        run(small_m2(), digits, steps_per_call, [])


def convolving():
    """An M2 whose classifier has a convolution."""
    layers = [keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(K)]
    classifier = keras.Sequential([keras.Input(SHAPE), *layers])
    return M2(SHAPE, K, 2, (4,), classifier=classifier)


@pytest.mark.parametrize("gpu", [False, True])
def test_xla_is_used_where_it_pays(monkeypatch, gpu):
    models = M2(SHAPE, K, 2, (4,)), M2(SHAPE, K, 2, (4,), dtype="mixed_bfloat16"), convolving()
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU"] * gpu)
    assert [loop._xla_pays(model, 2000) for model in models] == [True, gpu, gpu]
    assert not any(loop._xla_pays(model, 1999) for model in models)


TRAINS_IN_CALLS_OF_TWO_LENGTHS = """
import keras, tfssvae
data = tfssvae.data.load("digits", labels_per_class=10)
model = tfssvae.models.M2(data.input_shape, data.num_classes, 2, (4,))
model.compile(keras.optimizers.Adam(1e-2))
history = tfssvae.training.train(
    model, data, 2, labelled=10, unlabelled=20, steps_per_call=50, jit_compile=True, verbose=0
)
assert int(model.steps_done.numpy()) == 134, model.steps_done
"""


@pytest.mark.slow
def test_xla_compiles_calls_of_several_lengths_once(tmp_path):
    env = {**os.environ, "XLA_FLAGS": f"--xla_dump_to={tmp_path}"}
    subprocess.run([sys.executable, "-c", TRAINS_IN_CALLS_OF_TWO_LENGTHS], env=env, check=True)
    programs = {path.name.split(".")[0] for path in tmp_path.glob("module_*_steps_*")}
    assert len(programs) == 1, programs


@pytest.mark.slow
def test_many_models_may_train_in_a_process_without_a_warning(digits, caplog):
    for _ in range(6):
        tfssvae.training.train(small_m2(), digits, 1, **BATCH, steps_per_call="epoch", verbose=0)
    assert "retracing" not in caplog.text


def flat(values):
    return np.concatenate([np.ravel(value) for value in values])


def test_gradients_of_several_steps_make_one(digits):
    model, still = M2(SHAPE, K, 2, (8,)), M2(SHAPE, K, 2, (8,))
    model.compile(keras.optimizers.SGD(1e-3, gradient_accumulation_steps=2))
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", batch == 1)
    )
    options = {"callbacks": [stop], "steps_per_call": 1, "jit_compile": False, "verbose": 0}
    loop.train(model, digits, 1, 10, 30, **options)

    found = []

    class Kept(keras.optimizers.SGD):
        """Keeps the gradients, and leaves the weights as they are."""

        def apply(self, grads, trainable_variables=None):
            found.append(flat(grads))

    still.compile(Kept())
    for batch in digits.train(10, 30).from_step(0).take(2):
        still.train_step(batch)
    moved = flat(model.trainable_variables) - flat(still.trainable_variables)
    np.testing.assert_allclose(moved, -1e-3 * np.mean(found, axis=0), rtol=1e-3, atol=1e-7)
    assert np.abs(moved).max() > 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 2.5}, "epochs must be a whole number"),
        ({"initial_epoch": -1}, "initial_epoch must be a whole number"),
        ({"labelled": "10"}, "labelled rows per batch must be a whole number"),
        ({"jit_compile": "no"}, "jit_compile must be one of True, False, 'auto', got 'no'"),
        ({"resident": "no"}, "resident must be one of"),
        ({"verbose": "quiet"}, "verbose must be one of"),
        ({"data": np.zeros((9, 8, 8))}, "fit batches and arrays: got ndarray"),
        ({"model": keras.Sequential()}, "train takes the models of tfssvae"),
    ],
)
def test_what_train_does_not_take_is_named(digits, arguments, message):
    given = {"model": small_m2(), "data": digits, **BATCH, **arguments}
    with pytest.raises(tfssvae.InputError, match=message):
        loop.train(**given)


def test_a_data_set_is_no_validation_data(digits):
    with pytest.raises(tfssvae.InputError, match="give data"):
        run(small_m2(), digits, 50, [], validation_data=digits)


@pytest.mark.parametrize("driver", ["fit", "loop"])
@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [((4, 4, 1), 10, r"have shape \(8, 8, 1\)"), (SHAPE, 5, "labels of 10 classes")],
)
def test_data_of_another_shape_or_more_classes_are_refused(digits, driver, shape, classes, message):
    model = M2(shape, classes, 2, (4,))
    model.compile()
    fit = {"fit": lambda: model.fit(digits.train(**BATCH), verbose=0)}
    with pytest.raises(tfssvae.InputError, match=message):
        fit.get(driver, lambda: run(model, digits, 50, []))()


def test_arrays_validate_and_one_callback_is_enough_as_in_fit(digits):
    arrays = digits.x_test[:50], digits.y_test[:50], np.linspace(0, 1, 50, dtype="float32")
    seen = Ends()
    history = run(small_m2(), digits, 50, seen, epochs=1, validation_data=arrays)
    assert seen.batches
    fitted = small_m2()
    expected = fitted.fit(digits.train(**BATCH), verbose=0, validation_data=arrays).history
    for name in ("val_loss", "val_classification"):
        assert history[name] == pytest.approx(expected[name], rel=1e-5)
