"""Every regularizer with every method, and what each promises beyond its equations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tests.contract.conftest import eager_model, flat_weights, make_model
from tfssvae import layers
from tfssvae.models.supervised import labels_alone
from tfssvae.regularizers import REGULARIZERS, MeanTeacher, Mixup, OptimalInterpolation
from tfssvae.training import Checkpoint, restore_latest, train

TERMS = {
    "mier": {"mier_information", "mier_entropy"},
    "interpolation": {"interpolation"},
    "consistency": {"labelled_consistency", "unlabelled_consistency"},
    "mixup": {"mixup"},
    "mean_teacher": {"mean_teacher"},
}
BATCH = {"labelled": 50, "unlabelled": 446}


def as_floats(logs):
    return {key: float(value) for key, value in logs.items()}


@pytest.fixture(params=sorted(REGULARIZERS))
def regularizer(request):
    """The name of every regularizer."""
    return request.param


def test_every_regularizer_adds_its_terms_to_any_method(name, regularizer, data, batch):
    model = eager_model(name, data, regularizers=[REGULARIZERS[regularizer]()])
    plain_model = eager_model(name, data, regularizers=[])
    logs = as_floats(model.test_on_batch(*batch, return_dict=True))
    plain = as_floats(plain_model.test_on_batch(*batch, return_dict=True))
    added = set(model.term_weights) - set(plain_model.term_weights)
    assert added == TERMS[regularizer]
    expected = plain["loss"] + sum(logs[term] for term in added)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    unlabelled = {"unlabelled": batch[0]["unlabelled"]}
    labelled = ({"labelled": batch[0]["labelled"]}, batch[1])
    for part in ((unlabelled,), labelled):
        assert np.isfinite(as_floats(model.train_on_batch(*part, return_dict=True))["loss"])


@pytest.mark.parametrize("each", [OptimalInterpolation(), Mixup(), MeanTeacher()])
def test_batches_of_any_size_may_lack_unlabelled_rows(each, data):
    shape = (8, 8, 1)
    model = tfssvae.models.ShotVAE(
        shape, 10, latent_dim=2, backbone="wide_resnet_10_1", regularizers=[each]
    )
    model.compile("sgd")
    images = tf.TensorSpec((None, *shape), tf.float32)
    spec = ({"labelled": images, "unlabelled": images}, tf.TensorSpec((None,), tf.int32))

    def batches():
        for rows in (3, 0, 5):
            x = {"labelled": np.ones((4, *shape)), "unlabelled": np.ones((rows, *shape))}
            yield x, np.arange(4)

    found = tf.data.Dataset.from_generator(batches, output_signature=spec)
    found = found.apply(tf.data.experimental.assert_cardinality(3))
    assert np.isfinite(model.fit(found, verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: OptimalInterpolation(maximum=np.nan),
        lambda: Mixup(gamma=np.nan),
        lambda: MeanTeacher(maximum=-1.0),
        lambda: Mixup(maximum="a"),
    ],
)
def test_weights_that_are_no_weights_are_refused(make):
    with pytest.raises(tfssvae.InputError, match="must be a number, 0 or more"):
        make()


@pytest.mark.parametrize("given", [OptimalInterpolation(), ["interpolation"], "mier"])
def test_regularizers_are_a_list(given):
    with pytest.raises(tfssvae.InputError, match="must be a list"):
        tfssvae.models.M2((8, 8, 1), 10, regularizers=given)


def test_augmentation_that_does_not_fit_is_refused_at_once():
    with pytest.raises(tfssvae.InputError, match="too much for images of 8 pixels"):
        tfssvae.models.M2((8, 8, 1), 10, augment=layers.RandomCrop(8))
    with pytest.raises(tfssvae.InputError, match="augment does not fit"):
        tfssvae.models.M2((64,), 10, augment=layers.RandomFlip())


@pytest.mark.parametrize("method", ["m2", pytest.param("shot_vae", marks=pytest.mark.slow)])
def test_a_model_with_a_regularizer_is_saved_and_resumes(method, regularizer, data, tmp_path):
    model = make_model(method, data, regularizers=[REGULARIZERS[regularizer]()])
    model.fit(data.train(**BATCH), epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert set(loaded.term_weights) == set(model.term_weights)
    for each in (model, loaded):
        each.fit(data.train(**BATCH), epochs=1, verbose=0)
    np.testing.assert_array_equal(flat_weights(model), flat_weights(loaded))


def with_teacher(data, **arguments):
    regularizers = [MeanTeacher(decay=0.7, augment=layers.RandomCrop(1))]
    return make_model(
        "shot_vae", data, regularizers=regularizers, augment=layers.RandomFlip(), **arguments
    )


def test_a_run_with_teacher_and_augmentation_resumes_bit_equal(data, tmp_path):
    whole = with_teacher(data)
    train(whole, data, 2, jit_compile=False, verbose=0, **BATCH)
    first = with_teacher(data)

    class Killed(Exception):
        pass

    class Killer(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.steps_done) == 2:
                raise Killed

    callbacks = [Checkpoint(tmp_path, every_seconds=0, mid_epoch=True), Killer()]
    options = {"jit_compile": False, "verbose": 0, **BATCH}
    with pytest.raises(Killed):
        train(first, data, 2, steps_per_call=1, callbacks=callbacks, **options)
    second = with_teacher(data)
    state = restore_latest(second, tmp_path)
    assert state["step"] == 2
    train(second, data, 2, initial_epoch=state["epoch"], **options)
    np.testing.assert_array_equal(flat_weights(second), flat_weights(whole))


def test_the_teacher_is_the_hand_computed_average(data, batch):
    model = eager_model(
        "shot_vae",
        data,
        regularizers=[MeanTeacher(decay=0.6)],
        encoder=keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(6),
                keras.layers.BatchNormalization(momentum=0.5),
            ]
        ),
    )
    teacher = model.regularizers[0].teacher
    watched = [(model.head_y.kernel, teacher.head_y.kernel)]
    for name in ("gamma", "moving_mean", "moving_variance"):
        norms = [getattr(part.encoder.layers[-1], name) for part in (model, teacher)]
        watched.append(tuple(norms))
    expected = [current.numpy() for current, _ in watched]
    for average, (_, found) in zip(expected, watched, strict=True):
        np.testing.assert_array_equal(found, average)
    for step in range(5):
        before = [current.numpy() for current, _ in watched]
        model.train_on_batch(*batch)
        # The statistics of a step are there before its gradients are.
        before[2:] = [current.numpy() for current, _ in watched[2:]]
        kept = min(0.6, 1 - 1 / (step + 1))
        expected = [
            kept * old + (1 - kept) * new for old, new in zip(expected, before, strict=True)
        ]
        for average, (_, found) in zip(expected, watched, strict=True):
            np.testing.assert_allclose(found, average, rtol=1e-5, atol=1e-6)
    assert not model.regularizers[0].trainable_variables
    probabilities = teacher.predict(data.x_test[:5], verbose=0)
    assert np.abs(probabilities - model.predict(data.x_test[:5], verbose=0)).max() > 1e-4


def test_no_gradient_reaches_the_teacher_and_the_term_is_the_squared_distance(data, batch):
    model = eager_model("m2", data, regularizers=[MeanTeacher()])
    teacher = model.regularizers[0].teacher
    for variable in teacher.classifier.weights:
        variable.assign(variable + 0.3)
    logs = as_floats(model.test_on_batch(*batch, return_dict=True))
    x = batch[0]["unlabelled"]
    gap = model.predict(x, verbose=0) - teacher.predict(x, verbose=0)
    expected = (gap.astype("float64") ** 2).sum(1).mean()
    assert logs["monitor/mean_teacher"] == pytest.approx(expected, rel=1e-4)
    assert expected > 1e-3


def test_teacher_and_interpolation_on_two_replicas_equal_one_device(data, strategy):
    rows = data.labelled_indices[:20], data.unlabelled_indices[:60]
    x = {
        "labelled": tf.constant(data.x_train[rows[0]]),
        "unlabelled": tf.constant(data.x_train[rows[1]]),
    }
    batches = tf.data.Dataset.from_tensors((x, data.y_train[rows[0]])).repeat(4)

    def make():
        regularizers = [MeanTeacher(decay=0.5), OptimalInterpolation(), Mixup()]
        return make_model(
            "shot_vae",
            data,
            regularizers=regularizers,
            augment=layers.RandomCrop(1),
            optimizer=keras.optimizers.SGD(1e-3),
        )

    one = make()
    one.fit(batches, epochs=1, verbose=0)
    with strategy.scope():
        two = make()
    two.fit(batches, epochs=1, verbose=0)
    np.testing.assert_allclose(flat_weights(two), flat_weights(one), rtol=1e-4, atol=1e-5)


def test_augmentation_changes_training_and_not_evaluation(name, data, batch):
    plain, changed = (
        eager_model(name, data, augment=augment, optimizer=keras.optimizers.SGD(0.0))
        for augment in (None, layers.RandomCrop(2))
    )
    losses = [
        as_floats(model.test_on_batch(*batch, return_dict=True))["loss"]
        for model in (plain, changed)
    ]
    assert losses[0] == losses[1]
    losses = [
        as_floats(model.train_on_batch(*batch, return_dict=True))["loss"]
        for model in (plain, changed)
    ]
    assert abs(losses[0] - losses[1]) > 1e-3
    copied = type(changed).from_config(changed.get_config())
    assert copied.augment.padding == 2


def test_regularizers_work_with_the_supervised_baseline(data, batch):
    model = labels_alone(make_model("m2", data))
    model.regularizers.append(Mixup())
    model.finish()
    model.compile("adam", run_eagerly=True)
    logs = as_floats(model.train_on_batch(*batch, return_dict=True))
    assert set(model.term_weights) == {"classification", "mixup"}
    assert np.isfinite(logs["loss"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeanTeacher(decay=1.0), "decay"),
        (lambda: Mixup(concentration=0), "positive"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make()
