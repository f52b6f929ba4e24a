"""The guard names the step and the term that broke first, and keeps the batch."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.data.pipeline import training_order
from tfssvae.regularizers import Regularizer
from tfssvae.trackers import NamedMeans
from tfssvae.training import Checkpoint, DivergenceGuard, restore_latest, train

SIZES = {"labelled": 25, "unlabelled": 200}  # seven steps an epoch
BROKEN = 10


class Breaks(Regularizer):
    """A term that is not finite from a step on, in training or in validation."""

    def __init__(self, at=BROKEN, value=np.nan, when_training=True, **kwargs):
        super().__init__(**kwargs)
        self.at, self.value, self.when_training = at, value, when_training

    def terms(self, model, batch, terms, training):
        broken = (model.steps_done >= self.at) & (bool(training) == self.when_training)
        return {"sabotage": tf.reduce_mean(terms.logits, -1) * tf.where(broken, self.value, 1.0)}


class HasNoGradient(Regularizer):
    """A term that is 0, and has a gradient that is no number."""

    def terms(self, model, batch, terms, training):
        return {"sabotage": tf.sqrt(tf.reduce_mean(terms.logits, -1) * 0.0)}


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=5, validation=50)


def new_model(*regularizers, optimizer=None):
    model = tfssvae.models.M2(
        (8, 8, 1), 10, latent_dim=2, hidden=(8, 8), regularizers=list(regularizers), seed=0
    )
    model.compile(optimizer or keras.optimizers.SGD(1e-3), jit_compile=False)
    return model


def run(model, data, driver, callbacks, epochs=3, validation=False, **options):
    shared = {"epochs": epochs, "callbacks": callbacks, "verbose": 0}
    if validation:
        shared["validation_data"] = data.validation(25)
    if driver == "loop":
        train(model, data, **SIZES, jit_compile=False, **shared, **options)
    else:
        model.fit(data.train(**SIZES), **shared)


@pytest.mark.parametrize("driver", ["loop", "fit"])
def test_the_first_broken_term_is_named_and_its_batch_kept(driver, data, tmp_path):
    guard = DivergenceGuard(tmp_path / "diverged", data, **SIZES)
    with pytest.raises(tfssvae.DivergenceError) as refused:
        run(new_model(Breaks()), data, driver, [guard])
    path = tmp_path / "diverged" / f"step-{BROKEN:09d}.npz"
    assert f"in step {BROKEN}: sabotage ceased" in str(refused.value)
    assert str(path) in str(refused.value)
    labelled, unlabelled = (rows[0] for rows in training_order(data, **SIZES).rows(BROKEN, 1))
    with np.load(path) as kept:
        np.testing.assert_array_equal(kept["labelled"], data.x_train[labelled])
        np.testing.assert_array_equal(kept["labels"], data.y_train[labelled])
        np.testing.assert_array_equal(kept["unlabelled"], data.x_train[unlabelled])
        np.testing.assert_array_equal(kept["unlabelled_rows"], unlabelled)
    assert {p.name for p in path.parent.iterdir()} == {path.name, f"step-{BROKEN - 1:09d}.npz"}


def test_weights_that_the_gradient_broke_are_told_from_a_term_that_broke(data):
    with pytest.raises(tfssvae.DivergenceError, match="most terms broke together") as refused:
        run(new_model(optimizer=keras.optimizers.SGD(1e30)), data, "loop", [DivergenceGuard()])
    assert "in step 1:" in str(refused.value)
    assert "npz" not in str(refused.value)


@pytest.mark.parametrize("driver", ["loop", "fit"])
def test_validation_that_breaks_is_no_silent_nan(driver, data):
    model = new_model(Breaks(at=7, value=np.inf, when_training=False))
    with pytest.raises(tfssvae.DivergenceError, match="after step 7 broke: sabotage"):
        run(model, data, driver, [DivergenceGuard()], validation=True)


def test_what_is_finite_stops_nothing(data):
    model = new_model(Breaks(at=999))
    run(model, data, "loop", [DivergenceGuard()], validation=True)
    assert int(model.steps_done) == 21


def test_an_overflow_that_half_precision_recovers_from_is_a_warning(data, caplog):
    # float16's optimizer skips steps whose gradients are not finite, and halves its scale.
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-3), 2.0**120)
    model = new_model(Breaks(at=20), optimizer=optimizer)
    with caplog.at_level(logging.WARNING, "tfssvae"):
        run(model, data, "loop", [DivergenceGuard()], steps_per_call=1)
    assert [r.message for r in caplog.records if "overflowed" in r.message] == [
        "step 20: sabotage overflowed in half precision, and the step was skipped"
    ]


@pytest.mark.parametrize("broken", ["scale", "weights"])
def test_half_precision_that_does_not_recover_diverges(broken, data):
    scale = 2.0**3 if broken == "scale" else 2.0**100
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-3), scale)
    model = new_model(Breaks(at=0), optimizer=optimizer)
    if broken == "weights":
        model.trainable_variables[0].assign(model.trainable_variables[0] * np.nan)
    with pytest.raises(tfssvae.DivergenceError, match="in step 0"):
        run(model, data, "loop", [DivergenceGuard()], epochs=1)


@pytest.mark.parametrize("driver", ["loop", "fit"])
def test_weights_that_the_last_step_broke_are_refused(driver, data, tmp_path):
    sizes = {"labelled": 50, "unlabelled": 1338}  # one step
    model = new_model(HasNoGradient())
    guard = DivergenceGuard(tmp_path, data, **sizes)

    def one_epoch():
        if driver == "loop":
            train(model, data, 1, **sizes, jit_compile=False, callbacks=[guard], verbose=0)
        else:
            model.fit(data.train(**sizes), callbacks=[guard], verbose=0)

    with pytest.raises(tfssvae.DivergenceError, match=r"step 0: its gradient left.*npz"):
        one_epoch()


def test_replicas_agree_on_the_step(data, strategy):
    with strategy.scope():
        model = new_model(Breaks())
    with pytest.raises(tfssvae.DivergenceError, match=f"in step {BROKEN}: sabotage"):
        train(model, data, 3, 20, 200, callbacks=[DivergenceGuard()], verbose=0)


def test_the_step_is_right_in_an_epoch_that_is_resumed_in_its_midst(data, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = int(self.model.steps_done) == 9

    model = new_model(Breaks())
    saving = Checkpoint(tmp_path, mid_epoch=True, every_seconds=0)
    run(model, data, "loop", [saving, Stop()], steps_per_call=1)
    (tmp_path / "step-000000009").rename(tmp_path / "kept")
    for path in tmp_path.glob("step-*"):
        path.rename(tmp_path / f"older-{path.name}")
    (tmp_path / "kept").rename(tmp_path / "step-000000009")
    model = new_model(Breaks())
    state = restore_latest(model, tmp_path)
    guard = DivergenceGuard()
    with pytest.raises(tfssvae.DivergenceError, match=f"in step {BROKEN}: sabotage"):
        run(model, data, "loop", [guard], initial_epoch=state["epoch"], steps_per_call=1)


def test_a_checkpoint_never_keeps_what_the_guard_refuses(data, tmp_path):
    callbacks = [DivergenceGuard(), Checkpoint(tmp_path, mid_epoch=True, every_seconds=0)]
    with pytest.raises(tfssvae.DivergenceError):
        run(new_model(Breaks()), data, "loop", callbacks, steps_per_call=1)
    model = new_model(Breaks())
    assert restore_latest(model, tmp_path)["step"] == BROKEN
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_a_batch_that_cannot_be_kept_does_not_hide_the_divergence(data, tmp_path):
    (tmp_path / "file").touch()
    guard = DivergenceGuard(tmp_path / "file", data, **SIZES)
    with pytest.raises(tfssvae.DivergenceError, match=r"sabotage.*could not be kept"):
        run(new_model(Breaks()), data, "loop", [guard])


def test_steps_are_counted_until_a_name_is_first_not_finite():
    means = NamedMeans(["a", "b", "c"])
    for step in range(4):
        a, b = (np.inf, 1.0) if step == 1 else (1.0, np.nan if step > 1 else 2.0)
        means.update_state({"a": a, "b": b, "c": 3.0}, dict.fromkeys("abc", 2.0))
    np.testing.assert_array_equal(means.finite_steps, [1.0, 2.0, 4.0])
    means.reset_state()
    np.testing.assert_array_equal(means.finite_steps, np.zeros(3))
