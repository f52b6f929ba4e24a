"""What reaches a model in batches is refused in one sentence, and no weight has changed by then."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.batch_checks import checked_batch, checked_images, checked_labels, input_errors
from tfssvae.checks import InputError
from tfssvae.models import M2

SHAPE, K = (4, 4, 1), 3
RANDOM = np.random.default_rng(0)
X = RANDOM.random((12, *SHAPE), "float32")
Y = np.arange(12) % K


def with_value(values, value, row=7):
    """Values in which one has been replaced."""
    changed = np.array(values, "float64")
    changed.reshape(12, -1)[row, 0] = value
    return changed


BAD = {
    "eight bits as floats": (X * 255, Y, None, r"x has floats from .* to 25\d.*: divide by 255"),
    "beyond 1": (with_value(X, 1.5), Y, None, r"to 1\.5, they must be in 0\.\.1"),
    "below 0": (with_value(X, -0.25), Y, None, r"from -0\.25 to"),
    "NaN": (with_value(X, np.nan), Y, None, "x has NaN or infinite values"),
    "infinite": (with_value(X, np.inf), Y, None, "x has NaN or infinite values"),
    "int64": ((X * 255).astype("int64"), Y, None, r"got int64: make 8-bit images uint8"),
    "uint16": ((X * 255).astype("uint16"), Y, None, r"got uint16: make 8-bit images uint8"),
    "text": (X.astype(str), Y, None, "got string"),
    "channels first": (X.reshape(12, 1, 4, 4), Y, None, "channels first: move them to the end"),
    "another shape": (X[:, :3], Y, None, r"expected images of shape \(batch, 4, 4, 1\)"),
    "a label too many": (X, Y + 1, None, r"whole numbers in 0\.\.2, or -1 .* found 1 to 3$"),
    "label -2": (X, with_value(Y, -2), None, "found -2"),
    "label 255": (X, with_value(Y, 255).astype("uint8"), None, "found 255"),
    "label 2.7": (X, with_value(Y, 1.7), None, r"found 1\.7"),
    "label NaN": (X, with_value(Y, np.nan), None, "found nan"),
    "label text": (X, Y.astype(str), None, "type string: give each class a number"),
    "soft labels": (X, np.full((12, K), 1 / K), None, "one row for each class, with its prob"),
    "two classes a row": (X, np.eye(K)[Y] + np.eye(K)[(Y + 1) % K], None, "must be one-hot"),
    "columns": (X, np.zeros((12, 5)), None, r"one-hot \(batch, 3\), got \(\S+, 5\)"),
    "negative weight": (X, Y, with_value(np.ones(12), -1), "0 or more; found values from -1 to 1"),
    "NaN weight": (X, Y, with_value(np.ones(12), np.nan), "finite numbers"),
    "weight text": (X, Y, Y.astype(str), "sample weights must be numbers"),
    "weights in columns": (X, Y, np.ones((12, 2)), r"expected sample weights of shape \(batch,\)"),
}


def make_model(**settings):
    """A tiny M2."""
    model = M2(SHAPE, K, latent_dim=2, hidden=(4,))
    model.compile(keras.optimizers.SGD(0.1), **settings)
    return model


@pytest.fixture(scope="module", params=["graph", "XLA"])
def model(request):
    """A model whose steps are traced, and one whose steps XLA compiles."""
    return make_model(jit_compile=request.param == "XLA")


@pytest.fixture(scope="module")
def eager():
    return make_model(run_eagerly=True)


def pipeline(*parts, batch=4):
    return tf.data.Dataset.from_tensor_slices(tuple(parts)).batch(batch)


KINDS = ("beyond 1", "NaN", "int64", "label 2.7", "soft labels", "negative weight")
"""One of each check, for graphs, which take longer to make."""


@pytest.mark.parametrize("kind", sorted(BAD))
def test_a_pipeline_is_refused(eager, kind):
    check_refusals(eager, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_refuses_before_anything_changes(model, kind):
    # A model that has seen labels of one rank traces those of another with an unknown one.
    model.train_function = model.test_function = None
    check_refusals(model, kind)


def check_refusals(model, kind):
    """Training and evaluation refuse a bad batch in one line, and change nothing."""
    x, y, weights, message = BAD[kind]
    bad = pipeline(x[4:8], y[4:8], *([] if weights is None else [weights[4:8]]))
    before = model.get_weights()
    for method in (model.fit, model.evaluate):
        with pytest.raises(tfssvae.InputError, match=message) as refused:
            method(bad, verbose=0)
        assert "\n" not in str(refused.value)
        assert "\\" not in str(refused.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", ["beyond 1", "int64"])
def test_what_is_predicted_is_checked(model, kind):
    x, _, _, message = BAD[kind]
    model.predict_function = None
    with pytest.raises(tfssvae.InputError, match=message):
        model.predict(pipeline(x).map(lambda x: x), verbose=0)
    with pytest.raises(tfssvae.InputError, match=message):
        model(tf.constant(x))


def test_good_batches_of_every_form_have_one_loss(model):
    integers = tf.data.Dataset.from_tensor_slices(((X * 255).astype("uint8"), Y))
    floats = tf.data.Dataset.from_tensor_slices(((X * 255).astype("uint8") / 255.0, Y * 1.0))
    one_hot = floats.map(lambda x, y: (x, tf.one_hot(tf.cast(y, tf.int32), K)))
    weighted = floats.map(lambda x, y: (x, y, 1.0))
    found = []
    for data in (integers, floats, one_hot, weighted):
        model.test_function = None
        found.append(model.evaluate(data.batch(12), verbose=0, return_dict=True)["loss"])
    np.testing.assert_allclose(found, found[0], rtol=1e-6)


def test_rows_of_zeros_are_unlabelled(eager):
    y = np.where(Y == 1, -1, Y)
    rows = np.eye(K)[Y] * (Y != 1)[:, None]
    found = [eager.evaluate(pipeline(X, labels, batch=12), verbose=0) for labels in (y, rows)]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_soft_labels_are_an_expectation_over_weighted_rows(eager):
    """What the refusal advises has the expected loss."""
    probabilities = RANDOM.dirichlet(np.ones(K), 12)
    rows = {"labelled": np.repeat(X, K, axis=0)}
    labels = np.tile(np.arange(K), 12)
    weights = probabilities.ravel()
    found = eager.test_on_batch(rows, labels, weights, return_dict=True)
    each = [
        eager.test_on_batch({"labelled": X}, np.full(12, k), probabilities[:, k], return_dict=True)
        for k in range(K)
    ]
    expected = sum(part["classification"] for part in each) / K
    assert found["classification"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rows", [3, 5])
def test_rows_must_agree(model, rows):
    x = tf.data.Dataset.from_tensor_slices(X).batch(4)
    y = tf.data.Dataset.from_tensor_slices(Y).batch(rows)
    with pytest.raises(tfssvae.InputError, match=f"found {rows} labels for 4 images"):
        model.fit(tf.data.Dataset.zip(x, y), verbose=0)


def test_one_weight_is_not_spread_over_rows(eager):
    with pytest.raises(tfssvae.InputError, match=r"x has 12 rows.*sample_weight has 1 rows"):
        eager.fit(X, Y, sample_weight=[2.0], verbose=0)
    batches = tf.data.Dataset.from_tensors((X, Y, np.ones(1)))
    with pytest.raises(tfssvae.InputError, match="found 1 sample weights for 12 labels"):
        eager.fit(batches, verbose=0)
    with pytest.raises(tfssvae.InputError, match="the batch has no labels"):
        eager.fit(tf.data.Dataset.from_tensors(({"unlabelled": X}, None, np.ones(12))), verbose=0)


@pytest.mark.parametrize("weight", [1e39, np.inf, np.nan, -1.0])
def test_weights_that_float32_does_not_hold_are_refused(eager, weight):
    with pytest.raises(tfssvae.InputError, match=r"sample_weight\[7\] is"):
        eager.fit(X, Y, sample_weight=with_value(np.ones(12), weight), verbose=0)


def test_zipped_pairs_are_told_the_right_structure(eager):
    labelled, unlabelled = pipeline(X, Y), tf.data.Dataset.from_tensor_slices(X).batch(4)
    for batches in (
        tf.data.Dataset.zip(labelled, unlabelled),
        tf.data.Dataset.zip(unlabelled, labelled),
        tf.data.Dataset.zip(labelled, unlabelled, unlabelled, labelled),
    ):
        with pytest.raises(tfssvae.InputError, match=r'map what you zip to .*"labelled": x'):
            eager.fit(batches, verbose=0)

    def typed(pair, more):
        return {"labelled": pair[0], "unlabelled": more}, pair[1]

    eager.fit(tf.data.Dataset.zip(labelled, unlabelled).map(typed), verbose=0)


def test_generators_and_keras_data_sets_are_checked(eager):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X * 255, Y

    def generator():
        yield X * 255, Y

    for batches in (Batches(), generator()):
        with pytest.raises(tfssvae.InputError, match="divide by 255"):
            eager.fit(batches, verbose=0, shuffle=False)


@pytest.mark.parametrize("name", ["labelled", "unlabelled"])
def test_each_part_of_a_batch_is_checked(eager, name):
    x = {"labelled": X, "unlabelled": X, name: X * 255}
    with pytest.raises(tfssvae.InputError, match="divide by 255"):
        eager.train_on_batch({**x, "labelled": tf.constant(x["labelled"])}, Y)
    with pytest.raises(tfssvae.InputError, match="divide by 255"):
        eager.fit(tf.data.Dataset.from_tensors((x, Y)), verbose=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], r"classes in 0\.\.2; found from 0 to 3"),
        ([-1, 0], "found from -1 to 0"),
        ([[0.5, 0.2, 0.2]], "sum to 1; found values from 0.2"),
        ([[1.5, -0.5, 0.0]], "0 or more"),
        ([[0.5, 0.5]], r"\(rows, 3\), got \(1, 2\)"),
        ([0.0, 1.0], r"got \(2,\) float"),
    ],
)
def test_labels_without_images_are_checked(labels, message):
    with pytest.raises(tfssvae.InputError, match=message), input_errors():
        checked_batch({"unfeatured": tf.constant(labels)}, K)


def test_a_batch_may_have_no_rows():
    x, y, weights = checked_batch((tf.zeros((0, *SHAPE)), tf.zeros(0), tf.zeros(0)), K)
    assert [len(part) for part in (x, y, weights)] == [0, 0, 0]
    assert len(checked_batch({"unfeatured": tf.zeros((0, K))}, K)[0]["unfeatured"]) == 0


def test_rounding_errors_are_no_reason_to_stop():
    x = tf.constant([[-9e-7, 1 + 9e-7]])
    np.testing.assert_array_equal(checked_images(x), x)
    with pytest.raises(tfssvae.InputError), input_errors():
        checked_images(tf.constant([[0.0, 1.00001]]))


def test_what_xla_compiles_as_a_whole_gives_no_plausible_number():
    """TensorFlow leaves assertions out under XLA: a bad value becomes NaN."""
    model = make_model()
    compiled = tf.function(model, jit_compile=True)
    assert np.isfinite(compiled(tf.constant(X))).all()
    assert np.isnan(compiled(tf.constant(X * 255))).all()
    labels = tf.function(lambda y: checked_labels(y, K), jit_compile=True)
    assert np.isnan(labels(tf.constant([0.0, 3.0]))).all()


def test_the_compiled_loop_checks_its_data_before_it_begins():
    data = tfssvae.data.from_arrays(X, Y)
    model = make_model()
    before = model.get_weights()
    for wrong in ({"x_train": X * 255}, {"x_train": np.where(X > 0.5, np.nan, X)}):
        with pytest.raises(tfssvae.InputError, match=r"0\.\.1|NaN"):
            tfssvae.training.train(
                model, dataclasses.replace(data, **wrong), labelled=4, unlabelled=4, verbose=0
            )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_replicas_check_their_own_rows(strategy):
    with strategy.scope():
        model = make_model()
    for x, y, message in ((with_value(X, 2.0), Y, "to 2"), (X, with_value(Y, 3), "found 3")):
        with pytest.raises(tfssvae.InputError, match=message):
            model.fit(pipeline(x, y, batch=12), verbose=0)


def test_a_guard_never_sees_the_loss_of_a_misread_image(tmp_path):
    """`image_dataset_from_directory` gives floats of 0..255."""
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(2):
            pixels = RANDOM.integers(0, 256, (4, 4, 1))
            keras.utils.save_img(tmp_path / name / f"{number}.png", pixels, scale=False)
    images = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(4, 4), color_mode="grayscale", batch_size=4, verbose=False
    )
    model = M2(SHAPE, 2, latent_dim=2, hidden=(4,))
    model.compile("adam")
    with pytest.raises(tfssvae.InputError, match="divide by 255"):
        model.fit(images, verbose=0)
    scaled = images.map(lambda x, y: (x / 255.0, y))
    assert np.isfinite(model.fit(scaled, verbose=0).history["loss"]).all()


def test_class_weights_are_weights_of_labelled_rows(eager):
    y = np.where(np.arange(12) % 4 == 0, -1, Y)
    weights = {0: 1.0, 1: 3.0, 2: 0.5}
    rows = np.array([1.0 if label < 0 else weights[label] for label in y], "float32")
    start = eager.get_weights()
    found = []
    for given in (
        {"x": X, "y": y, "class_weight": weights},
        {"x": X, "y": y, "sample_weight": rows},
        {"x": pipeline(X, y, batch=12), "class_weight": weights},
    ):
        eager.set_weights(start)
        history = eager.fit(**given, batch_size=None if "y" not in given else 12, verbose=0)
        found.append(history.history["classification"][0])
    np.testing.assert_allclose(found, found[0], rtol=1e-5)
    eager.set_weights(start)
    logs = eager.train_on_batch(X, y, class_weight=weights, return_dict=True)
    assert logs["classification"] == pytest.approx(found[0], rel=1e-5)
    for wrong, message in (({0: 1.0, 1: 2.0}, "no weight for 2"), ({-1: 0.0}, "weight for -1")):
        with pytest.raises(tfssvae.InputError, match=message):
            eager.fit(X, y, class_weight=wrong, verbose=0)
        with pytest.raises(tfssvae.InputError, match=message):
            eager.fit(pipeline(X, y), class_weight=wrong, verbose=0)
    with pytest.raises(tfssvae.InputError, match="give each its sample weights"):
        eager.fit(((X, y) for _ in range(1)), class_weight=weights, verbose=0, shuffle=False)


def test_single_numbers_are_no_batch_of_images():
    with pytest.raises(InputError, match=r"must be batches, \(batch, \.\.\.\)"):
        checked_batch((tf.constant(0.5), tf.constant([0])), K)
