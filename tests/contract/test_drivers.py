"""Every method: the drivers agree, runs repeat and resume, precision and devices are right."""

import contextlib

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf

import tfssvae
from tests.contract.conftest import (
    GENTLE,
    NOISELESS,
    flat_weights,
    is_labelled,
    main_term,
    make_model,
    small,
)
from tfssvae.training import Checkpoint, loop, restore_latest, train

BATCH = {"labelled": 50, "unlabelled": 446}  # three steps an epoch
STEPS = 3


def run_loop(model, data, epochs=2, **arguments):
    arguments = {"jit_compile": False, "verbose": 0, **BATCH, **arguments}
    return train(model, data, epochs, **arguments)


@pytest.fixture(scope="module")
def trained(name, data):
    """A model after two epochs of the compiled loop without XLA, and its history."""
    model = make_model(name, data)
    history = run_loop(model, data, validation_data=data.test(100))
    return model, history


def test_fit_equals_the_compiled_loop(name, data, trained):
    model = make_model(name, data)
    history = model.fit(data.train(**BATCH), epochs=2, verbose=0, validation_data=data.test(100))
    np.testing.assert_array_equal(flat_weights(model), flat_weights(trained[0]))
    assert set(history.history) == set(trained[1].history)
    for key, values in history.history.items():
        np.testing.assert_allclose(values, trained[1].history[key], rtol=1e-6, err_msg=key)


def test_data_that_does_not_fit_is_streamed_with_a_word(name, data, trained, monkeypatch, caplog):
    available = psutil.virtual_memory()._replace(available=data.x_train.nbytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    model = make_model(name, data)
    run_loop(model, data)
    assert "do not fit" in caplog.text
    np.testing.assert_array_equal(flat_weights(model), flat_weights(trained[0]))


def test_the_same_seed_is_the_same_run_and_another_is_not(name, data, trained):
    again = make_model(name, data)
    run_loop(again, data, steps_per_call=1)
    np.testing.assert_array_equal(flat_weights(again), flat_weights(trained[0]))
    other = make_model(name, data, seed=2)
    assert np.abs(flat_weights(other) - flat_weights(make_model(name, data))).max() > 1e-3


def test_a_run_trains_and_traces_once(name, data, trained):
    traces = []

    class Counting(tfssvae.METHODS[name]):
        def terms(self, batch, training):
            if training:
                traces.append(None)
            return super().terms(batch, training)

    model = Counting(data.input_shape, data.num_classes, **small(name), seed=1)
    model.compile(keras.optimizers.Adam(1e-3))
    history = run_loop(model, data, epochs=3, steps_per_call=2)
    assert len(traces) == 1
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    assert int(model.steps_done) == int(model.optimizer.iterations) == 3 * STEPS


@pytest.mark.parametrize("killed_at", [5, 3])  # in an epoch, and where one was just finished
def test_a_resumed_loop_ends_bit_equal(name, data, trained, tmp_path, killed_at):
    class Killed(Exception):
        pass

    class Killer(keras.callbacks.Callback):
        calls = 0

        def on_train_batch_end(self, batch, logs=None):
            self.calls += 1
            if self.calls == killed_at:
                raise Killed

    checkpoint = Checkpoint(tmp_path / "checkpoints", every_seconds=0, mid_epoch=True)
    killed = make_model(name, data)
    with pytest.raises(Killed):
        run_loop(killed, data, steps_per_call=1, callbacks=[checkpoint, Killer()])
    model = make_model(name, data)
    state = restore_latest(model, tmp_path / "checkpoints")
    assert (state["epoch"], state["step"]) == ((killed_at - 1) // STEPS, killed_at)
    history = run_loop(model, data, steps_per_call=1, initial_epoch=state["epoch"])
    np.testing.assert_array_equal(flat_weights(model), flat_weights(trained[0]))
    expected = trained[1].history["loss"][state["epoch"] :]
    assert history.history["loss"] == expected


def test_backup_and_restore_resumes_fit_bit_equal(name, data, trained, tmp_path):
    class Killer(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.steps_done) == STEPS + 1:
                raise KeyboardInterrupt

    backup = keras.callbacks.BackupAndRestore(tmp_path)
    killed = make_model(name, data)
    with pytest.raises(KeyboardInterrupt):
        killed.fit(data.train(**BATCH), epochs=2, verbose=0, callbacks=[backup, Killer()])
    model = make_model(name, data)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    model.fit(data.train(**BATCH), epochs=2, verbose=0, callbacks=[backup])
    np.testing.assert_array_equal(flat_weights(model), flat_weights(trained[0]))


def test_saving_and_loading_keeps_everything(name, data, trained, tmp_path):
    model = trained[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = data.x_test[:20]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    np.testing.assert_array_equal(loaded.encode(x), model.encode(x))
    np.testing.assert_array_equal(loaded.generate([1, 2], seed=3), model.generate([1, 2], seed=3))


def test_a_loaded_model_trains_on_as_the_saved_one(name, data, trained, tmp_path):
    trained[0].save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    run_loop(loaded, data, epochs=3, initial_epoch=2)
    longer = make_model(name, data)
    run_loop(longer, data, epochs=3)
    np.testing.assert_array_equal(flat_weights(loaded), flat_weights(longer))


def test_xla_agrees_with_the_plain_graph_on_equal_noise(name, data, monkeypatch):
    def still(self, sampler, shape):
        self._calls += 1
        return tf.fill(shape, 0.25 / self._calls)

    # XLA and the plain graph draw different bits: the comparison needs noise that is not drawn.
    monkeypatch.setattr("tfssvae.noise.Noise._draw", still)
    models = [make_model(name, data) for _ in range(2)]
    logs = [
        run_loop(model, data, epochs=1, jit_compile=jit).history["loss"][0]
        for model, jit in zip(models, (False, True), strict=True)
    ]
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)
    difference = np.abs(flat_weights(models[0]) - flat_weights(models[1]))
    # Adam turns round-off in tiny gradients into steps of up to its rate, for a few weights.
    assert np.quantile(difference, 0.99) < 1e-4
    assert difference.max() < 2 * STEPS * 1e-3


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_moves_like_float32(name, data, precision):
    optimizers = [keras.optimizers.SGD(1e-3) for _ in range(2)]
    if precision == "mixed_float16":
        # Keras's 2^15 may overflow in the first step, which is then left out by design.
        optimizers[1] = keras.optimizers.LossScaleOptimizer(optimizers[1], initial_scale=2.0**12)
    gentle = GENTLE.get(name, {})
    whole = make_model(name, data, optimizer=optimizers[0], **gentle)
    half = make_model(name, data, optimizer=optimizers[1], dtype=precision, **gentle)
    np.testing.assert_array_equal(flat_weights(whole), flat_weights(half))
    before = [v.numpy() for v in whole.trainable_variables]
    for model in (whole, half):
        run_loop(model, data, epochs=1)
    moved = [
        np.concatenate(
            [np.ravel(v - b) for v, b in zip(m.trainable_variables, before, strict=True)]
        )
        for m in (whole, half)
    ]
    assert np.linalg.norm(moved[0]) > 1e-3
    cosine = moved[0] @ moved[1] / np.linalg.norm(moved[0]) / np.linalg.norm(moved[1])
    assert cosine > 0.99
    assert np.linalg.norm(moved[1]) == pytest.approx(np.linalg.norm(moved[0]), rel=0.05)
    assert all(v.dtype == "float32" for v in half.trainable_variables)


def test_two_replicas_equal_one_device(name, data, strategy):
    rows = data.labelled_indices[:20], data.unlabelled_indices[:40]
    x = {
        "labelled": tf.constant(data.x_train[rows[0]]),
        "unlabelled": tf.constant(data.x_train[rows[1]]),
        "unfeatured": tf.range(30) % 10,
    }
    batches = tf.data.Dataset.from_tensors((x, data.y_train[rows[0]])).repeat(3)
    plain = {**NOISELESS.get(name, {}), **GENTLE.get(name, {})}
    one = make_model(name, data, optimizer=keras.optimizers.SGD(1e-3), **plain)
    expected = one.fit(batches, epochs=1, verbose=0)
    with strategy.scope():
        two = make_model(name, data, optimizer=keras.optimizers.SGD(1e-3), **plain)
    history = two.fit(batches, epochs=1, verbose=0)
    np.testing.assert_allclose(flat_weights(two), flat_weights(one), rtol=1e-4, atol=1e-5)
    assert history.history["loss"] == pytest.approx(expected.history["loss"], rel=1e-4)


def test_the_loop_runs_on_two_replicas_as_fit_does(name, data, strategy):
    plain = {**NOISELESS.get(name, {}), **GENTLE.get(name, {})}
    drivers = {}
    for driver in ("one device", "fit", "resident", "streamed"):
        with strategy.scope() if driver != "one device" else contextlib.nullcontext():
            model = make_model(name, data, optimizer=keras.optimizers.SGD(1e-3), **plain)
        if driver == "fit":
            history = model.fit(data.train(**BATCH), epochs=2, verbose=0)
        else:
            history = run_loop(model, data, epochs=2, resident=driver != "streamed")
        drivers[driver] = flat_weights(model), history.history
    for driver in ("resident", "streamed"):
        weights, logs = drivers[driver]
        np.testing.assert_allclose(weights, drivers["fit"][0], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(weights, drivers["one device"][0], rtol=1e-3, atol=1e-4)
        assert set(logs) == set(drivers["fit"][1]) == set(drivers["one device"][1])
        for key, values in logs.items():
            expected = drivers["one device"][1][key]
            assert values == pytest.approx(drivers["fit"][1][key], rel=1e-5, abs=1e-6), key
            assert values == pytest.approx(expected, rel=2e-3, abs=1e-3), key


def test_under_a_strategy_xla_is_neither_chosen_nor_taken(data, strategy, monkeypatch):
    monkeypatch.setattr(loop, "_XLA_PAYS_FROM_STEPS", 1)
    with strategy.scope():
        model = make_model("m2", data)
    run_loop(model, data, epochs=1, jit_compile="auto")
    with pytest.raises(tfssvae.InputError, match="XLA compiles the steps of one device"):
        run_loop(model, data, epochs=1, jit_compile=True)


def test_rows_that_replicas_cannot_share_are_refused(data, strategy):
    with strategy.scope():
        model = make_model("m2", data)
    with pytest.raises(tfssvae.InputError, match="2 replicas cannot share 21 labelled rows"):
        model.fit(data.train(labelled=21, unlabelled=40), verbose=0)
    with pytest.raises(tfssvae.InputError, match="2 replicas cannot share 41 unlabelled rows"):
        run_loop(model, data, labelled=20, unlabelled=41)


def test_data_without_any_label_trains_the_unlabelled_bound(name, data):
    unlabelled = tfssvae.data.from_arrays(data.x_train[:300], None, num_classes=10)
    model = make_model(name, data)
    history = run_loop(model, unlabelled, epochs=2, unlabelled=100).history
    for key in filter(is_labelled, model.TERMS):
        assert history[key] == [0.0, 0.0]
    assert history["loss"][1] < history["loss"][0]


def test_data_with_all_labels_trains_the_labelled_bound(name, data):
    labelled = tfssvae.data.from_arrays(data.x_train[:300], data.hidden_labels[:300])
    model = make_model(name, data)
    history = run_loop(model, labelled, epochs=2, labelled=100).history
    for key in model.TERMS:
        if key.startswith("unlabelled_"):
            assert history[key] == [0.0, 0.0]
    assert history["loss"][1] < history["loss"][0]


def test_a_ragged_last_batch_counts_by_its_rows(name, data, trained):
    model, x, y = trained[0], data.x_test[:25], data.y_test[:25]
    ragged = model.evaluate(x, y, batch_size=10, verbose=0, return_dict=True)
    parts = [
        model.evaluate(x[rows], y[rows], batch_size=10, verbose=0, return_dict=True)
        for rows in (slice(0, 10), slice(10, 20), slice(20, 25))
    ]
    for key in ("loss", "accuracy", main_term(model)):
        expected = np.average([part[key] for part in parts], weights=[10, 10, 5])
        assert ragged[key] == pytest.approx(expected, rel=1e-5)


def test_views_of_a_trained_model_have_the_documented_values(name, data, trained):
    model, x = trained[0], data.x_test[:7]
    probabilities = model.predict(x, verbose=0)
    assert probabilities.shape == (7, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        model.predict(x.astype("float32") / 255, verbose=0), probabilities, atol=1e-6
    )
    for images in (model.reconstruct(x), model.generate(np.arange(7), seed=1)):
        assert images.shape == x.shape
        assert images.dtype == np.float32
        assert 0 <= images.min() <= images.max() <= 1
    assert np.isfinite(model.encode(x)).all()
    np.testing.assert_array_equal(model.generate([3], seed=1), model.generate([3], seed=1))
    assert np.abs(model.generate([3], seed=1) - model.generate([3], seed=2)).max() > 0
    np.testing.assert_allclose(model.encode(x, batch_size=3), model.encode(x), atol=1e-5)


def test_the_likelihood_bound_rises_with_samples(name, data, trained):
    model, x = trained[0], data.x_test[:100]
    bounds = [model.log_likelihood(x, num_samples=n).mean() for n in (1, 10, 100)]
    assert bounds == sorted(bounds)
    assert np.isfinite(bounds).all()
    np.testing.assert_array_equal(
        model.log_likelihood(x[:5], num_samples=60), model.log_likelihood(x[:5], num_samples=60)
    )


def test_standard_callbacks_work_with_both_drivers(name, data, tmp_path):
    for driver in ("loop", "fit"):
        model = make_model(name, data)
        callbacks = [
            keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=1e9),
            keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9),
            keras.callbacks.CSVLogger(tmp_path / f"{driver}.csv"),
            keras.callbacks.ModelCheckpoint(tmp_path / f"{driver}.keras", save_best_only=True),
            keras.callbacks.TensorBoard(tmp_path / driver, write_graph=False),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        ]
        shared = {"epochs": 9, "callbacks": callbacks, "validation_data": data.test(359)}
        if driver == "loop":
            history = run_loop(model, data, **shared)
        else:
            history = model.fit(data.train(**BATCH), verbose=0, **shared)
        assert len(history.history["loss"]) == 2, "EarlyStopping stops after the second epoch"
        assert (tmp_path / f"{driver}.keras").exists()
        assert float(model.optimizer.learning_rate) == pytest.approx(1e-3 / 8)
    assert (tmp_path / "loop.csv").read_text() == (tmp_path / "fit.csv").read_text()


def test_bad_training_arguments_are_refused(name, data):
    model = make_model(name, data)
    with pytest.raises(tfssvae.InputError, match="100"):
        train(model, data, labelled=101)
    with pytest.raises(tfssvae.InputError, match="must be a whole number, 0 or more"):
        train(model, data, unlabelled=-1)
    with pytest.raises(tfssvae.InputError, match="both are 0"):
        train(model, data, labelled=0, unlabelled=0)
    plain = tfssvae.METHODS[name](data.input_shape, 10, **small(name))
    with pytest.raises(tfssvae.InputError, match="compile"):
        train(plain, data)


def test_a_strategy_of_one_replica_trains_like_none(data):
    expected = make_model("m2", data).fit(data.train(**BATCH), epochs=1, verbose=0)
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = make_model("m2", data)
    history = model.fit(data.train(**BATCH), epochs=1, verbose=0)
    assert history.history["loss"] == pytest.approx(expected.history["loss"], rel=1e-5)
