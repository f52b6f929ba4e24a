"""Methods that are exact over y: classes in blocks are the same sum in less memory."""

import functools
import subprocess
import sys
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tests.contract.conftest import flat_weights, make_model
from tfssvae import layers
from tfssvae.batch import make_batch
from tfssvae.models import M2
from tfssvae.noise import Noise
from tfssvae.training import train

EXACT = ("adgm", "cagem", "lvae", "m1m2", "m2", "sdgm", "untapped")
SLOW = pytest.mark.slow
K = 10


def make(name, data, class_block, **arguments):
    """Return a small model; ADGM with batch normalisation, which LVAE and CaGeM have anyway."""
    given = {"untapped": {"sampling": "exact"}, "adgm": {"batch_norm": True}}.get(name, {})
    sgd = keras.optimizers.SGD(1e-3)
    return make_model(name, data, sgd, class_block=class_block, **{**given, **arguments})


class Found(NamedTuple):
    """What a pass gives: terms, monitors and codes; gradients; and the state that it leaves."""

    values: dict
    gradients: dict
    state: dict


def objective(model, batch, jit_compile=False) -> Found:
    """Take one pass in training, and its gradients: each row of each value weighs differently."""
    variables = [variable.value for variable in model.trainable_variables]

    @tf.function(jit_compile=jit_compile, autograph=False)
    def run(x, y):
        typed = make_batch((x, y), model.example_shape, K, Noise(0, 0))
        with tf.GradientTape() as tape:
            found = model.terms(typed, training=True)
            values = {**found.values, **found.monitors}
            for key, code in found.latents.items():
                values |= {f"{key} mean": code.mean(), f"{key} variance": code.variance()}
            rng = np.random.default_rng(1)
            draws = [rng.normal(size=value.shape).astype("float32") for value in values.values()]
            weighted = zip(values.values(), draws, strict=True)
            loss = tf.add_n([tf.reduce_sum(value * weight) for value, weight in weighted])
        return values, tape.gradient(loss, variables)

    values, gradients = run(*tf.nest.map_structure(tf.constant, batch))
    names = [f"{i} {variable.path}" for i, variable in enumerate(model.trainable_variables)]
    state = {f"{i} {v.path}": v.numpy() for i, v in enumerate(model.non_trainable_variables)}
    return Found(values, dict(zip(names, gradients, strict=True)), state)


def assert_same(found: Found, expected: Found, tolerance=2e-5):
    for one, two in zip(found, expected, strict=True):
        for (key, value), wanted in zip(one.items(), two.values(), strict=True):
            scale = np.abs(wanted).max(initial=1e-3)
            np.testing.assert_allclose(value, wanted, atol=tolerance * scale, err_msg=key)


@functools.cache
def at_once(name, jit_compile=False):
    """Return a model without blocks, its weights, and what a pass then gives."""
    data = tfssvae.data.load("digits", labels_per_class=10, seed=0)
    model = make(name, data, None)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:  # no two classes are to be alike
        variable.assign_add(rng.normal(size=variable.shape) * 0.1)
    weights = model.get_weights()
    found = objective(model, batch_of(data), jit_compile)
    model.set_weights(weights)
    return model, weights, found


def batch_of(data):
    x = {
        "labelled": data.x_train[data.labelled_indices[:20]],
        "unlabelled": data.x_train[data.unlabelled_indices[:30]],
    }
    return x, data.y_train[data.labelled_indices[:20]]


def blocks(quick):
    """Methods with block sizes; 3 cuts 10 classes into 3 + 3 + 3 + 1, which takes weights."""
    return [
        pytest.param(name, size, marks=[] if size in quick.get(name, ()) else SLOW)
        for name in EXACT
        for size in (1, 3, 5)
    ]


# A normalisation takes a loop of its own, which takes its time to trace: CaGeM has eight.
@pytest.mark.parametrize(
    ("name", "class_block"), blocks({"m2": (1, 3), "sdgm": (3,), "untapped": (5,), "lvae": (3,)})
)
def test_terms_gradients_and_state_are_those_of_all_classes_at_once(name, class_block, data):
    _, weights, expected = at_once(name)
    model = make(name, data, class_block)
    model.set_weights(weights)
    assert_same(objective(model, batch_of(data)), expected)


@pytest.mark.parametrize("name", ["m2", pytest.param("lvae", marks=SLOW)])
def test_xla_agrees(name, data):
    _, weights, expected = at_once(name, jit_compile=True)
    model = make(name, data, 3)
    model.set_weights(weights)
    assert_same(objective(model, batch_of(data), jit_compile=True), expected)


@pytest.mark.parametrize("name", ["m2", "lvae", pytest.param("cagem", marks=SLOW)])
def test_evaluation_is_that_of_all_classes_at_once(name, data):
    whole, weights, _ = at_once(name)
    model = make(name, data, 3)
    model.set_weights(weights)
    expected = whole.evaluate(data.test(200), return_dict=True, verbose=0)
    found = model.evaluate(data.test(200), return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["m2", pytest.param("lvae", marks=SLOW)])
@pytest.mark.parametrize(
    "driver", ["fit", "loop", "two replicas", pytest.param("eager", marks=SLOW)]
)
def test_every_driver_ends_with_the_same_weights(name, data, strategy, driver):
    ended = []
    for class_block in (None, 3):
        if driver == "two replicas":
            with strategy.scope():
                model = make(name, data, class_block)
        else:
            model = make(name, data, class_block, run_eagerly=driver == "eager")
        before = flat_weights(model)
        if driver == "loop":
            train(model, data, 1, 50, 446, jit_compile=False, verbose=0)
        else:
            model.fit(data.train(50, 446), epochs=1, verbose=0)
        ended.append(flat_weights(model))
    moved = np.abs(ended[0] - before).max()
    np.testing.assert_allclose(ended[1], ended[0], rtol=1e-5, atol=1e-4 * min(moved, 1e-2))


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_as_close_to_float32_as_without_blocks(data, precision):
    gradients = []
    _, weights, expected = at_once("m2")
    for class_block in (None, 5):
        model = make("m2", data, class_block, dtype=precision)
        model.set_weights(weights)
        found = objective(model, batch_of(data)).gradients
        away = [f - e for f, e in zip(found.values(), expected.gradients.values(), strict=True)]
        gradients.append(np.linalg.norm(np.concatenate([np.ravel(value) for value in away])))
    size = np.linalg.norm(np.concatenate([np.ravel(v) for v in expected.gradients.values()]))
    assert 0 < gradients[0] < 0.05 * size
    assert gradients[1] < 1.2 * gradients[0]


@pytest.mark.parametrize("present", ["labelled", "unlabelled"])
def test_a_batch_may_lack_a_part(data, present):
    x, y = batch_of(data)
    whole, weights, _ = at_once("m2")
    model = make("m2", data, 3)
    model.set_weights(weights)
    given = ({present: x[present]}, y) if present == "labelled" else ({present: x[present]},)
    expected = whole.test_on_batch(*given, return_dict=True)
    assert model.test_on_batch(*given, return_dict=True) == pytest.approx(expected, rel=1e-5)


# Memory ----------------------------------------------------------------------------------------


def test_no_more_pairs_than_those_of_a_block_are_ever_held(data, monkeypatch):
    rows, decode = [], M2.decode

    def seen(self, z, y, training=False):
        rows.append(z.shape[0])
        return decode(self, z, y, training)

    monkeypatch.setattr(M2, "decode", seen)
    model = make("m2", data, 2)
    x, y = tf.nest.map_structure(tf.constant, batch_of(data))
    rows.clear()
    step = tf.function(model.train_step, autograph=False)
    model.prepare()
    graph = step.get_concrete_function((x, y)).graph
    assert sorted(rows) == [20, 60, 60]  # labelled; a block, and once more going backwards
    # What TensorFlow keeps for its own gradient of a loop, a value for every turn.
    assert not [op for op in graph.get_operations() if op.type == "EmptyTensorList"]
    kept = [op for op in graph.get_operations() if op.type in ("TensorListStack", "While")]
    assert {op.type for op in kept} == {"TensorListStack", "While"}
    sizes = [o.shape.num_elements() for op in kept for o in op.outputs if o.dtype == tf.float32]
    assert max(sizes) <= x["labelled"].shape[0] * 64 + x["unlabelled"].shape[0] * 64
    assert max(sizes) < 30 * K * min(model.hidden)


PEAK = """
import re, sys
import keras, numpy as np, psutil
import tfssvae
block = int(sys.argv[1]) or None
x = np.zeros((250, 32, 32, 3), "uint8")
y = np.r_[np.arange(50), np.full(200, -1)]
data = tfssvae.data.from_arrays(x, y, class_names=[str(k) for k in range(50)])
model = tfssvae.models.M2((32, 32, 3), 50, hidden=(100,), class_block=block)
model.compile(keras.optimizers.SGD(1e-6))
start = psutil.Process().memory_info().rss
tfssvae.training.train(model, data, 2, 50, 200, jit_compile=False, verbose=0)
# Not resource's peak, which begins with that of the process that started this one.
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
print("PEAK", peak * 1024 - start)
"""


@pytest.mark.slow
def test_memory_is_that_of_a_block():
    peaks = []
    for block in (0, 5):
        run = subprocess.run(
            [sys.executable, "-c", PEAK, str(block)], capture_output=True, text=True, check=True
        )
        peaks.append(int(run.stdout.split("PEAK")[1]))
    assert peaks[1] < 0.4 * peaks[0]


# Networks of the user, arguments, saving -------------------------------------------------------


def own_encoder(*last):
    """A network that knows nothing of pairs."""
    x, y = keras.Input((8, 8, 1)), keras.Input((K,))
    h = keras.layers.Concatenate()([keras.layers.Flatten()(x), y])
    h = keras.layers.Dense(8, activation="tanh")(h)
    for layer in last:
        h = layer(h)
    return keras.Model([x, y], h, name="own")


@keras.saving.register_keras_serializable("tests")
class Called(keras.layers.Layer):
    """What stands in a function, in a branch of it and in a turn of a loop."""

    def __init__(self, noisy):
        super().__init__()
        self.noisy = noisy

    def call(self, h):
        return tf.ensure_shape(self.called(h), h.shape)

    @tf.function(autograph=False)
    def called(self, h):
        def turn(i, h):
            return i + 1, tf.tanh(h + tf.random.normal(tf.shape(h)) if self.noisy else h)

        def loop():
            return tf.while_loop(lambda i, _: i < 2, turn, (0, h))[1]

        return tf.cond(tf.reduce_sum(h) < 1e9, loop, lambda: h)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Called(noisy=True), "while_body.*random_normal.* changes a state or draws random numbers"),
        (keras.layers.Dropout(0.5), "dropout.* changes a state or draws random numbers"),
        (layers.ChannelDropout(0.5), "channel_dropout.* changes a state"),
        (keras.layers.BatchNormalization(), "use tfssvae.layers.BatchNormalization"),
        (layers.BatchNormalization(renorm=True), "renormalises"),
        (keras.layers.ActivityRegularization(1e-3), "penalties on activities"),
    ],
)
def test_networks_that_cannot_pass_twice_are_refused_at_once(data, layer, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make("m2", data, 5, encoder=own_encoder(layer))
    make("m2", data, 10, encoder=own_encoder(layer))


def test_networks_may_call_branch_and_loop(data):
    encoders = [own_encoder(Called(noisy=False)) for _ in range(2)]
    encoders[1].set_weights(encoders[0].get_weights())
    found = [
        objective(make("m2", data, class_block, encoder=encoder), batch_of(data))
        for class_block, encoder in zip((None, 3), encoders, strict=True)
    ]
    assert_same(found[1], found[0])


def test_networks_of_the_image_alone_may_drop_out(data):
    classifier = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(K),
        ]
    )
    model = make("m2", data, 5, classifier=classifier)
    assert np.isfinite(model.train_on_batch(*batch_of(data), return_dict=True)["loss"])


@pytest.mark.parametrize("axis", [-1, pytest.param(1, marks=SLOW)])
def test_normalised_images_of_pairs_and_of_examples(data, axis):
    """Images are normalised before the class comes in, once, and pairs after it has."""

    def encoder():
        keras.utils.set_random_seed(0)
        seen = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(3, 3, use_bias=False),
                layers.BatchNormalization(0.9, axis=axis),
                keras.layers.Flatten(),
            ]
        )
        body = keras.Sequential(
            [
                keras.Input((32,)),
                keras.layers.Reshape((4, 4, 2)),
                layers.BatchNormalization(0.9, axis=axis),
                keras.layers.Flatten(),
            ]
        )
        merge = layers.MergedDense(32, seed=0)
        return tfssvae.networks.ConditionalNetwork([seen, None], merge, body, [(8, 8, 1), (K,)])

    found = [
        objective(make("m2", data, class_block, encoder=encoder()), batch_of(data))
        for class_block in (None, 3)
    ]
    assert_same(found[1], found[0])


@pytest.mark.parametrize("class_block", [0, -1, 2.0, True, "5"])
def test_bad_sizes_are_refused(data, class_block):
    with pytest.raises(tfssvae.InputError, match="class_block must be a whole number and at least"):
        make("m2", data, class_block)


def test_drawn_classes_have_no_blocks(data):
    with pytest.raises(tfssvae.InputError, match='sampling="exact"'):
        make("untapped", data, 5, sampling="gumbel_max")


@pytest.mark.parametrize("name", EXACT)
def test_the_argument_is_kept(name, data):
    model = make(name, data, K + 5)
    assert type(model).from_config(model.get_config()).class_block == K + 5


def test_a_saved_model_goes_on_with_its_blocks(data, tmp_path):
    model = make("m2", data, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    logs = [m.train_on_batch(*batch_of(data), return_dict=True) for m in (model, loaded)]
    assert loaded.class_block == 3
    assert logs[0] == logs[1]


def test_the_estimator_and_the_command_line_take_it(data, tmp_path):
    x, y = data.x_train[:60].reshape(60, -1) / 255, data.y_train[:60]
    y = np.where(y < 0, np.arange(60) % K, y)
    y[30:] = -1
    classifier = tfssvae.SSVAEClassifier(
        epochs=1, hidden=(8,), method_args={"class_block": 2}, random_state=0
    )
    assert classifier.fit(x, y).model_.class_block == 2
    from tfssvae.cli import main

    run = tmp_path / "run"
    words = "train m2 --data digits --labels-per-class 10 --epochs 1 --set class_block=5"
    assert main([*words.split(), "--set", "hidden=(8,)", "--out", str(run)]) == 0
    assert keras.saving.load_model(run / "model.keras").class_block == 5
