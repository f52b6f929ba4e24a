"""Every method: terms, weights, gradients and odd batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tests.contract.conftest import eager_model, is_labelled, main_term
from tfssvae.batch import make_batch
from tfssvae.core import FIXED_STEP
from tfssvae.noise import Noise
from tfssvae.regularizers import MIER, Regularizer
from tfssvae.training import exponential_ramp, linear_ramp


@pytest.fixture(scope="module")
def model(name, data):
    return eager_model(name, data)


def terms_of(model, batch):
    typed = make_batch(batch, model.example_shape, model.num_classes, Noise(0, 0))
    return model.terms(typed, training=False)


def as_floats(logs):
    return {key: float(value) for key, value in logs.items()}


def test_terms_are_declared_finite_and_one_per_example(model, batch):
    found = terms_of(model, batch).values
    assert set(found) == set(model.TERMS)
    for key, value in found.items():
        assert value.dtype == tf.float32, key
        assert np.isfinite(value).all(), key
        rows = {"unlabelled": 30, "unfeatured": 15}.get(key.split("_")[0], 50)
        assert value.shape == (20 if is_labelled(key) else rows,), key


def test_logged_terms_add_up_to_the_loss(model, batch):
    logs = as_floats(model.test_on_batch(*batch, return_dict=True))
    assert logs["loss"] == pytest.approx(sum(logs[key] for key in model.term_weights), rel=1e-5)
    means = {key: float(np.mean(value)) for key, value in terms_of(model, batch).values.items()}
    assert set(means) <= set(logs)


def test_weights_scale_their_terms_and_raw_values_stay_visible(name, data, batch):
    plain_model = eager_model(name, data)
    plain = as_floats(plain_model.test_on_batch(*batch, return_dict=True))
    term = main_term(plain_model)
    weighted_model = eager_model(name, data, weights={term: 0.25, "*kl_z*": linear_ramp(1.0, 10)})
    weighted = as_floats(weighted_model.test_on_batch(*batch, return_dict=True))
    assert weighted[term] == pytest.approx(0.25 * plain[term], rel=1e-5)
    assert weighted[f"monitor/{term}"] == pytest.approx(plain[term], rel=1e-5)
    raw = {key: plain.get(f"monitor/{key}", plain.get(key)) for key in weighted_model.TERMS}
    divergences = [key for key in weighted_model.TERMS if "kl_z" in key]
    assert divergences
    for key in divergences:
        assert weighted[key] == 0
        assert weighted[f"monitor/{key}"] == pytest.approx(raw[key], rel=1e-5)
    assert weighted["loss"] == pytest.approx(
        sum(weighted[key] for key in weighted_model.term_weights)
    )


def test_a_schedule_follows_the_optimizers_iterations(name, data, batch):
    class One(Regularizer):
        def terms(self, model, batch, terms, training):
            return {"one": tf.ones([1])}

    model = eager_model(
        name,
        data,
        weights={"one": exponential_ramp(2.0, steps=3)},
        regularizers=[One()],
        optimizer=keras.optimizers.SGD(0.0),
    )
    for step in range(5):
        logs = as_floats(model.train_on_batch(*batch, return_dict=True))
        model.reset_metrics()
        assert logs["monitor/one"] == 1
        expected = 2.0 * np.exp(-5 * (1 - min(1, step / 3)) ** 2)
        assert logs["one"] == pytest.approx(expected, rel=1e-4)


def test_a_gradient_reaches_every_variable(model, batch):
    typed = make_batch(batch, model.example_shape, model.num_classes, Noise(0, 0))
    with tf.GradientTape() as tape:
        found = model.terms(typed, training=True)
        loss = tf.add_n([tf.reduce_sum(value) for value in found.values.values()])
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path
        assert np.isfinite(gradient).all(), variable.path


def test_a_batch_without_labels_has_no_labelled_terms(model, batch):
    logs = as_floats(model.test_on_batch({"unlabelled": batch[0]["unlabelled"]}, return_dict=True))
    whole = as_floats(model.test_on_batch(*batch, return_dict=True))
    for key in model.TERMS:
        if is_labelled(key):
            assert logs[key] == 0
        assert np.isfinite(logs[key])
    assert logs[main_term(model)] != 0
    assert whole["loss"] != logs["loss"]


def test_a_batch_without_unlabelled_rows_has_no_unlabelled_terms(model, batch):
    x, y = {"labelled": batch[0]["labelled"]}, batch[1]
    logs = as_floats(model.test_on_batch(x, y, return_dict=True))
    whole = as_floats(model.test_on_batch(*batch, return_dict=True))
    for key in model.TERMS:
        if key.startswith("unlabelled_"):
            assert logs[key] == 0
        if key == "labelled_prior_y":
            assert logs[key] == pytest.approx(whole[key], rel=1e-5)
    assert np.isfinite(logs["loss"])


def test_a_plain_batch_plays_both_roles(model, batch):
    x, y = batch[0]["labelled"], batch[1]
    plain = as_floats(model.test_on_batch(x, y, return_dict=True))
    both = as_floats(model.test_on_batch({"labelled": x, "unlabelled": x}, y, return_dict=True))
    assert plain == both


def test_unlabelled_rows_of_a_plain_batch_have_no_labelled_loss(model, batch):
    x, y = batch[0]["labelled"], batch[1].copy()
    y[::2] = -1
    logs = as_floats(model.test_on_batch(x, y, return_dict=True))
    known = y >= 0
    found = model.terms(
        make_batch((x, y), model.example_shape, model.num_classes, Noise(model.seed, FIXED_STEP)),
        training=False,
    )
    for key in filter(is_labelled, model.TERMS):
        expected = model.term_weights[key] * found.values[key].numpy()[known].mean()
        assert logs[key] == pytest.approx(expected, rel=1e-4), key
    accuracy = (found.logits.numpy()[:20][known].argmax(1) == y[known]).mean()
    assert logs["accuracy"] == pytest.approx(accuracy)


def test_sample_weights_act_on_the_labelled_terms_only(model, batch):
    (x, y), zeros = batch, np.zeros(20, "float32")
    whole = as_floats(model.test_on_batch(x, y, return_dict=True))
    logs = as_floats(model.test_on_batch(x, y, sample_weight=zeros, return_dict=True))
    doubled = as_floats(model.test_on_batch(x, y, sample_weight=zeros + 2, return_dict=True))
    for key in model.TERMS:
        if is_labelled(key):
            assert logs[key] == 0
            assert doubled[key] == pytest.approx(2 * whole[key], rel=1e-5)
        else:
            assert logs[key] == whole[key] == doubled[key]


def test_class_weights_reach_the_labelled_terms(name, data, batch):
    heavy = dict.fromkeys(range(10), 3.0)
    logs = []
    for class_weight in (None, heavy):
        model = eager_model(name, data, optimizer=keras.optimizers.SGD(0.0))
        batches = tf.data.Dataset.from_tensors(batch)
        history = model.fit(batches, epochs=1, verbose=0, class_weight=class_weight)
        logs.append(history.history)
    for key in model.TERMS:
        factor = 3 if is_labelled(key) else 1
        assert logs[1][key][0] == pytest.approx(factor * logs[0][key][0], rel=1e-5)


def test_one_hot_labels_equal_integer_labels(model, batch):
    x, y = batch
    one_hot = np.eye(10, dtype="float32")[y]
    assert as_floats(model.test_on_batch(x, y, return_dict=True)) == as_floats(
        model.test_on_batch(x, one_hot, return_dict=True)
    )


def test_a_class_prior_estimated_from_labels_is_their_frequency(name, data, batch):
    model = eager_model(name, data, class_prior="labels")
    for _ in range(2):
        model.train_on_batch(*batch)
    counts = 2 * np.bincount(batch[1], minlength=10) + 1
    np.testing.assert_allclose(np.exp(model.log_class_prior()), counts / counts.sum(), rtol=1e-5)


def test_a_regularizer_adds_its_terms(name, data, batch):
    class Confidence(Regularizer):
        def terms(self, model, batch, terms, training):
            return {"confidence": tfssvae.losses.entropy(terms.logits)}

    model = eager_model(name, data, regularizers=[Confidence()], weights={"confidence": 3.0})
    logs = as_floats(model.test_on_batch(*batch, return_dict=True))
    plain_model = eager_model(name, data, regularizers=[])
    plain = as_floats(plain_model.test_on_batch(*batch, return_dict=True))
    assert logs["loss"] == pytest.approx(plain["loss"] + logs["confidence"], rel=1e-5)
    assert logs["confidence"] == pytest.approx(3 * logs["monitor/confidence"], rel=1e-5)


def test_mier_takes_any_method_and_without_weight_changes_nothing(name, data, batch):
    plain_model = eager_model(name, data, regularizers=[])
    plain = as_floats(plain_model.test_on_batch(*batch, return_dict=True))
    off = eager_model(name, data, regularizers=[MIER(beta=0.0, gamma=0.0)])
    on = eager_model(name, data, regularizers=[MIER(beta=5.0, gamma=2.0, momentum=0.9)])
    logs_off = as_floats(off.test_on_batch(*batch, return_dict=True))
    logs_on = as_floats(on.test_on_batch(*batch, return_dict=True))
    assert logs_off["loss"] == pytest.approx(plain["loss"], rel=1e-6)
    added = logs_on["mier_entropy"] + logs_on["mier_information"]
    assert logs_on["loss"] == pytest.approx(plain["loss"] + added, rel=1e-5)
    found = terms_of(on, batch)
    entropy = tfssvae.losses.entropy(found.logits[20:])
    noisy = name in ("adgm", "sdgm", "cagem")  # the noise of another step
    tolerance = 0.5 if noisy else 1e-5
    assert logs_on["mier_entropy"] == pytest.approx(5 * np.mean(entropy), rel=tolerance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": {"unlabelled_reconstructoin": 1.0}}, "did you mean"),
        ({"weights": {"*reconstruction": "big"}}, "finite number or a Keras schedule"),
        ({"weights": {"*reconstruction": float("nan")}}, "finite number"),
        ({"class_prior": [0.5, 0.5]}, "10 positive"),
        ({"class_prior": [0.0] + [1 / 9] * 9}, "positive"),
        ({"likelihood": "poisson"}, "unknown likelihood"),
    ],
)
def test_bad_arguments_are_refused(name, data, arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        eager_model(name, data, **arguments)


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [((8, 8), 10, "height, width, channels"), ((8, 0, 1), 10, "positive"), ((64,), 1, ">= 2")],
)
def test_bad_shapes_are_refused(name, shape, classes, message):
    with pytest.raises(tfssvae.InputError, match=message):
        tfssvae.METHODS[name](shape, classes)


def test_bad_batches_are_refused(model, batch):
    x, y = batch
    with pytest.raises(tfssvae.InputError, match="labeled"):
        model.test_step(({"labeled": x["labelled"]}, y))
    with pytest.raises(tfssvae.InputError, match="or neither"):
        model.test_step(({"labelled": x["labelled"]},))
    with pytest.raises(tfssvae.InputError, match="8, 8, 1"):
        model.test_step(({"unlabelled": np.zeros((3, 9, 8, 1), "uint8")},))
    with pytest.raises(tfssvae.InputError, match="one-hot"):
        model.test_step((x["labelled"], np.zeros((20, 4))))


def test_bad_arrays_are_refused_before_any_work(model, data):
    x = data.x_train[:10]
    with pytest.raises(tfssvae.InputError, match="255"):
        model.fit(x.astype("float32"), data.y_train[:10])
    with pytest.raises(tfssvae.InputError):
        model.predict(np.full((2, 8, 8, 1), np.nan, "float32"))
    with pytest.raises(tfssvae.InputError):
        model.evaluate(x, np.full(10, 10))
    with pytest.raises(tfssvae.InputError):
        model.generate([10])
    with pytest.raises(tfssvae.InputError, match="num_samples"):
        model.log_likelihood(x, num_samples=0)
    with pytest.raises(tfssvae.InputError, match="brings its own loss"):
        model.compile(loss="mse")
