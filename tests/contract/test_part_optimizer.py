"""An optimizer for each part of a model, in both drivers, saved, resumed and on two replicas."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract.conftest import eager_model, flat_weights, make_model
from tfssvae import InputError
from tfssvae.runs import measures
from tfssvae.training import Checkpoint, PartOptimizer, ramp_down, restore_latest, train

BATCH = {"labelled": 50, "unlabelled": 446}  # three steps an epoch
DECAY = 0.2


def rate():
    return ramp_down(2e-3, begin=1, steps=4)


def two_adams():
    classifier = keras.optimizers.Adam(rate(), weight_decay=DECAY)
    return PartOptimizer(keras.optimizers.Adam(1e-3), {"classifier": classifier})


def make(data, **arguments):
    return make_model("m2", data, optimizer=two_adams(), **arguments)


def run_loop(model, data, epochs=2, **arguments):
    return train(model, data, epochs, **{"jit_compile": False, "verbose": 0, **BATCH, **arguments})


@pytest.fixture(scope="module")
def trained(data):
    model = make(data)
    run_loop(model, data)
    return model


def adam(value, gradients, rates, decay):
    """AdamW (Loshchilov and Hutter, 2019) in float64, with epsilon where Keras has it."""
    m, v = np.zeros_like(value), np.zeros_like(value)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        change = m / (np.sqrt(v) + 1e-7) * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        value = value - rate * change - rate * decay * value
    return value


@pytest.mark.parametrize("xla", [False, True])
def test_every_part_follows_its_own_rate_and_decay(data, xla):
    model = make(data)
    variables, rng = model.trainable_variables, np.random.default_rng(0)
    before = [variable.numpy().astype("float64") for variable in variables]
    gradients = [[rng.normal(size=v.shape) * 2.0**-step for v in variables] for step in range(4)]
    model.optimizer.build(variables)
    apply = tf.function(lambda *of_step: model.optimizer.apply(of_step, variables), jit_compile=xla)
    for of_step in gradients:
        apply(*[tf.constant(gradient, tf.float32) for gradient in of_step])
    classifier = {id(variable) for variable in model.classifier.trainable_variables}
    assert 0 < len(classifier) < len(variables)
    schedule = rate()
    for row, variable in enumerate(variables):
        its = [of_step[row] for of_step in gradients]
        rates, decay = [1e-3] * 4, 0.0
        if id(variable) in classifier:
            rates, decay = [float(schedule(step)) for step in range(4)], DECAY
        expected = adam(before[row], its, rates, decay)
        np.testing.assert_allclose(variable, expected, rtol=1e-4, atol=1e-6)


def test_one_optimizer_in_parts_is_that_optimizer(data, batch):
    whole = eager_model("m2", data)
    adams = [keras.optimizers.Adam(1e-3) for _ in range(3)]
    parts = PartOptimizer(adams[0], {"encoder": adams[1], "head_z": adams[2]})
    apart = eager_model("m2", data, optimizer=parts)
    for model in (whole, apart):
        for _ in range(3):
            model.train_on_batch(*batch)
    np.testing.assert_array_equal(flat_weights(apart), flat_weights(whole))
    assert int(parts.iterations) == int(whole.optimizer.iterations) == 3


def test_a_part_may_be_a_list_of_layers_and_may_stand_still(data, batch):
    parts = PartOptimizer("adam", {"heads_q": keras.optimizers.SGD(0.0)})
    model = eager_model("lvae", data, optimizer=parts)
    still = [head.dense.kernel.numpy() for head in model.heads_q]
    before = flat_weights(model)
    model.train_on_batch(*batch)
    for head, kernel in zip(model.heads_q, still, strict=True):
        np.testing.assert_array_equal(head.dense.kernel, kernel)
    assert np.abs(flat_weights(model) - before).max() > 0


def test_fit_equals_the_compiled_loop(data, trained):
    model = make(data)
    model.fit(data.train(**BATCH), epochs=2, verbose=0)
    np.testing.assert_array_equal(flat_weights(model), flat_weights(trained))


def test_a_killed_run_resumes_bit_equal(data, trained, tmp_path):
    class Killed(Exception):
        pass

    class Killer(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.steps_done) == 4:
                raise Killed

    callbacks = [Checkpoint(tmp_path, every_seconds=0, mid_epoch=True), Killer()]
    with pytest.raises(Killed):
        run_loop(make(data), data, steps_per_call=1, callbacks=callbacks)
    model = make(data)
    state = restore_latest(model, tmp_path)
    assert state["step"] == int(model.optimizer.of("classifier").iterations) == 4
    assert int(model.optimizer.iterations) == 4
    run_loop(model, data, initial_epoch=state["epoch"])
    np.testing.assert_array_equal(flat_weights(model), flat_weights(trained))


def test_a_saved_model_goes_on_bit_equal(data, batch, tmp_path):
    model = eager_model("m2", data, optimizer=two_adams())
    model.train_on_batch(*batch)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        each.train_on_batch(*batch)
    assert loaded.optimizer.of("classifier").weight_decay == DECAY
    assert int(loaded.optimizer.of("classifier").iterations) == 2
    np.testing.assert_array_equal(flat_weights(loaded), flat_weights(model))


def test_reviving_leaves_the_configuration_as_it_was():
    serialized = keras.saving.serialize_keras_object(two_adams())
    text = json.dumps(serialized)
    revived = keras.saving.deserialize_keras_object(serialized)
    assert json.dumps(serialized) == text
    assert float(revived.of("classifier")._learning_rate(3)) == float(rate()(3))


def test_half_precision_scales_the_loss_around_the_parts(data, batch):
    def sgd():
        return PartOptimizer(keras.optimizers.SGD(1e-3), {"encoder": keras.optimizers.SGD(1e-4)})

    whole = eager_model("m2", data, optimizer=sgd())
    half = eager_model("m2", data, optimizer=sgd(), dtype="mixed_float16")
    before = flat_weights(whole)
    for model in (whole, half):
        model.train_on_batch(*batch)
    assert isinstance(half.optimizer, keras.optimizers.LossScaleOptimizer)
    moved = [flat_weights(model) - before for model in (whole, half)]
    assert np.linalg.norm(moved[0] - moved[1]) < 0.05 * np.linalg.norm(moved[0])
    assert float(half.optimizer.learning_rate) == pytest.approx(1e-3)


def test_two_replicas_equal_one_device(data, strategy):
    x = {
        "labelled": tf.constant(data.x_train[data.labelled_indices[:20]]),
        "unlabelled": tf.constant(data.x_train[data.unlabelled_indices[:40]]),
    }
    y = data.y_train[data.labelled_indices[:20]]
    batches = tf.data.Dataset.from_tensors((x, y)).repeat(3)

    def sgd():
        decaying = keras.optimizers.SGD(5e-3, weight_decay=DECAY)
        return PartOptimizer(keras.optimizers.SGD(1e-3), {"classifier": decaying})

    one = make_model("m2", data, optimizer=sgd())
    before = flat_weights(one)
    one.fit(batches, epochs=1, verbose=0)
    with strategy.scope():
        two = make_model("m2", data, optimizer=sgd())
    two.fit(batches, epochs=1, verbose=0)
    np.testing.assert_allclose(flat_weights(two), flat_weights(one), rtol=1e-4, atol=1e-5)
    assert np.abs(flat_weights(one) - before).max() > 1e-3


def test_the_baseline_of_a_run_learns_as_the_classifier_does(data, monkeypatch):
    compiled = []
    monkeypatch.setattr(
        measures, "train", lambda baseline, *rest, **more: compiled.append(baseline)
    )
    optimizer = keras.saving.serialize_keras_object(two_adams())
    measures.baseline(make(data), data, {"optimizer": optimizer, "labelled": 50})
    assert compiled[0].optimizer.weight_decay == DECAY


def test_what_does_not_fit_is_refused(data):
    sgd = keras.optimizers.SGD
    model = eager_model("m2", data)
    with pytest.raises(InputError, match='did you mean "classifier"'):
        model.compile(PartOptimizer("adam", {"clasifier": sgd()}))
    with pytest.raises(InputError, match="no part 'likelihood'"):  # it has no weights
        model.compile(PartOptimizer("adam", {"likelihood": sgd()}))
    shared = eager_model("shot_vae", data)
    with pytest.raises(InputError, match="share a variable"):
        shared.compile(PartOptimizer("adam", {"encoder": sgd(), "classifier": sgd()}))
    one = sgd()
    with pytest.raises(InputError, match="of its own"):
        PartOptimizer(one, {"encoder": one})
    with pytest.raises(InputError, match="around the PartOptimizer"):
        PartOptimizer("adam", {"encoder": keras.optimizers.LossScaleOptimizer(sgd())})
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    plain.compile(PartOptimizer("adam", {}), loss="mse", run_eagerly=True)
    with pytest.raises(InputError, match=r"model\.compile"):
        plain.train_on_batch(np.zeros((1, 3)), np.zeros((1, 2)))


def test_a_model_with_a_frozen_part_is_loaded(data, tmp_path):
    parts = {"classifier": keras.optimizers.Adam(1e-4)}
    model = make_model("m2", data)
    model.classifier.trainable = False
    model.compile(PartOptimizer(keras.optimizers.Adam(), parts))
    model.prepare()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.optimizer.of("classifier").learning_rate) == pytest.approx(1e-4)


def test_schedules_count_the_steps_that_change_weights():
    def sgd(steps):
        return keras.optimizers.SGD(1e-3, gradient_accumulation_steps=steps)

    optimizer = PartOptimizer(sgd(3), {"classifier": sgd(3)})
    optimizer._iterations.assign(12)
    assert int(optimizer.iterations) == 4
    with pytest.raises(InputError, match="the same gradient_accumulation_steps"):
        PartOptimizer(sgd(3), {"classifier": sgd(2)})
