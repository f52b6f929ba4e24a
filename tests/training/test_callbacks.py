"""What the callback writes for TensorBoard, read back with TensorBoard's own readers."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from tfssvae import checks, data, evaluation, models, training
from tfssvae.models.supervised import labels_alone
from tfssvae.training.callbacks import TensorBoardImages
from tfssvae.training.projector import write_projector

IMAGES = {"images/reconstruction", "images/generation", "images/confusion"}
HISTOGRAMS = {"confidence/all", "confidence/correct", "confidence/wrong"}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", labels_per_class=10)


def new_model(digits):
    model = models.METHODS["m2"](digits.input_shape, 10, latent_dim=3, hidden=(16,))
    model.compile(keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def model(digits):
    return new_model(digits)


@pytest.fixture(scope="module", params=["fit", "train"])
def run(request, digits, tmp_path_factory):
    """Two epochs watched by Keras's callback and ours: (folder, model, history)."""
    folder = tmp_path_factory.mktemp(request.param)
    model = new_model(digits)
    images = TensorBoardImages(folder, digits.x_test, digits.y_test, digits.class_names, seed=3)
    callbacks = [keras.callbacks.TensorBoard(folder), images]
    options = {"epochs": 2, "validation_data": digits.test(), "callbacks": callbacks, "verbose": 0}
    if request.param == "fit":
        history = model.fit(digits.train(100, 600), **options)
    else:
        history = training.train(model, digits, labelled=100, unlabelled=600, **options)
    return folder, model, history


def events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return {
        tag: {event.step: tf.make_ndarray(event.tensor_proto) for event in accumulator.Tensors(tag)}
        for tag in accumulator.Tags()["tensors"]
    }


def pixels(summary):
    """Decode the first image of an image summary, [width, height, PNG, ...]."""
    return tf.io.decode_png(summary[2]).numpy()


def test_every_epoch_has_its_images_and_histograms(run):
    found = events(run[0] / "images")
    assert set(found) == IMAGES | HISTOGRAMS
    assert all(list(steps) == [0, 1] for steps in found.values())


def test_terms_and_monitors_are_scalars_of_the_same_log_folder(run):
    folder, _, history = run
    for part, prefix in (("train", ""), ("validation", "val_")):
        found = events(folder / part)
        for name, values in history.history.items():
            if name.startswith("val_") == bool(prefix):
                steps = found[f"epoch_{name.removeprefix('val_')}"]
                np.testing.assert_allclose(list(steps.values()), values, rtol=1e-6)


def test_images_are_the_figures_of_the_model_after_the_last_epoch(run, digits):
    folder, model, _ = run
    found = events(folder / "images")
    figure = evaluation.class_samples_figure(model, digits.class_names, seed=3)
    drawn = evaluation.figure_pixels(figure)
    np.testing.assert_array_equal(pixels(found["images/generation"][1]), drawn)
    assert (pixels(found["images/generation"][0]) != drawn).any()
    probs = model.predict(digits.x_test, verbose=0)
    matrix = evaluation.confusion_matrix(digits.y_test, probs, 10)  # all 359 rows are watched
    drawn = evaluation.figure_pixels(evaluation.confusion_figure(matrix, digits.class_names))
    np.testing.assert_array_equal(pixels(found["images/confusion"][1]), drawn)


def test_histograms_count_every_row_once(run, digits):
    found = events(run[0] / "images")
    probs = run[1].predict(digits.x_test, verbose=0)
    right = int((probs.argmax(1) == digits.y_test).sum())
    counts = {
        name: found[f"confidence/{name}"][1][:, 2].sum() for name in ("all", "correct", "wrong")
    }
    assert counts == {"all": 359, "correct": right, "wrong": 359 - right}
    low, high = found["confidence/all"][1][0, 0], found["confidence/all"][1][-1, 1]
    np.testing.assert_allclose([low, high], [probs.max(1).min(), probs.max(1).max()], rtol=1e-5)


def test_projector_has_codes_classes_and_thumbnails(run, digits):
    folder, model, _ = run
    folder = folder / "images"
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    codes = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    rows = [
        line.split("\t") for line in (folder / embedding.metadata_path).read_text().splitlines()
    ]
    assert rows[0] == ["class", "prediction", "confidence"]
    width, height = embedding.sprite.single_image_dim
    sprite = np.asarray(Image.open(folder / embedding.sprite.image_path))
    assert (width, height, sprite.shape) == (8, 8, (19 * 8, 19 * 8))  # 359 in 19 rows of 19

    order = np.random.default_rng(3).permutation(359)
    np.testing.assert_allclose(codes, model.encode(digits.x_test[order]), atol=1e-5)
    assert [row[0] for row in rows[1:]] == [digits.class_names[k] for k in digits.y_test[order]]
    probs = model.predict(digits.x_test[order], verbose=0)
    assert [row[1] for row in rows[1:]] == [digits.class_names[k] for k in probs.argmax(1)]
    np.testing.assert_allclose([float(row[2]) for row in rows[1:]], probs.max(1), atol=1e-3)
    np.testing.assert_array_equal(sprite[8:16, 16:24], digits.x_test[order[19 + 2], ..., 0])


def test_watching_does_not_change_training(run, digits):
    if run[0].name.startswith("train"):
        pytest.skip("one driver is enough: the callback is the same")
    alone = new_model(digits)
    alone.fit(digits.train(100, 600), epochs=2, verbose=0, validation_data=digits.test())
    for watched, unwatched in zip(run[1].get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(watched, unwatched)


def drive(callback, model, epochs=1):
    """Go through the callback's hooks as a training of `model` would."""
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in range(epochs):
        callback.on_epoch_end(epoch)
    callback.on_train_end()


def test_rows_are_bounded_in_number_and_bytes(model, tmp_path):
    many = np.zeros((5000, 8, 8, 1), "uint8")
    many[:, 0, 0, 0] = np.arange(5000) % 251
    callback = TensorBoardImages(tmp_path, many, np.arange(5000) % 10)
    drive(callback, model)
    assert len((tmp_path / "images" / "latent_mean.tsv").read_text().splitlines()) == 2000
    large = np.broadcast_to(np.uint8(0), (2000, 512, 512, 3))
    assert TensorBoardImages(tmp_path, large)._x.nbytes <= (1 << 26) / 4


def test_large_images_become_thumbnails_of_64_pixels(tmp_path):
    images = np.zeros((3, 160, 80, 3), "uint8")
    images[1] = (255, 0, 128)
    write_projector(str(tmp_path), "codes", np.eye(3), {"class": ["a\tb", "c\nd", "e"]}, images)
    sprite = np.asarray(Image.open(tmp_path / "codes_sprite.png"))
    assert sprite.shape == (128, 64, 3)
    assert (sprite[:64, 32:] == (255, 0, 128)).all()
    assert not sprite[:64, :32].any()
    assert (tmp_path / "codes_metadata.tsv").read_text() == "a b\nc d\ne\n"  # one column: no head
    text = (tmp_path / "projector_config.pbtxt").read_text()
    sizes = text_format.Parse(text, ProjectorConfig()).embeddings[0].sprite.single_image_dim
    assert list(sizes) == [32, 64]  # width, height


def test_without_labels_there_is_no_confusion(model, digits, tmp_path):
    drive(TensorBoardImages(tmp_path / "none", digits.x_test), model)
    unlabelled = np.full(len(digits.x_test), -1)
    drive(TensorBoardImages(tmp_path / "minus_one", digits.x_test, unlabelled), model)
    for name in ("none", "minus_one"):
        found = events(tmp_path / name / "images")
        assert set(found) == IMAGES - {"images/confusion"} | {"confidence/all"}
        metadata = (tmp_path / name / "images" / "latent_mean_metadata.tsv").read_text()
        assert metadata.startswith("prediction\tconfidence\n")


def test_some_rows_without_labels(model, digits, tmp_path):
    labels = np.where(np.arange(359) < 100, digits.y_test, -1)
    drive(TensorBoardImages(tmp_path, digits.x_test, labels, digits.class_names), model)
    found = events(tmp_path / "images")
    counts = {name: values[0][:, 2].sum() for name, values in found.items() if name in HISTOGRAMS}
    assert counts["confidence/all"] == 359
    assert counts["confidence/correct"] + counts["confidence/wrong"] == 100
    metadata = (tmp_path / "images" / "latent_mean_metadata.tsv").read_text()
    assert metadata.count("(unlabelled)\t") == 259


def test_every_second_epoch(model, digits, tmp_path):
    drive(TensorBoardImages(tmp_path, digits.x_test[:20], every=2), model, epochs=5)
    assert list(events(tmp_path / "images")["confidence/all"]) == [1, 3]


def test_another_writers_condition_does_not_hide_images(model, digits, tmp_path):
    with tf.summary.record_if(False):  # as Keras's callback does between two of its steps
        drive(TensorBoardImages(tmp_path, digits.x_test[:20]), model)
    assert "images/reconstruction" in events(tmp_path / "images")


def test_a_classifier_is_watched_as_far_as_it_goes(model, digits, tmp_path):
    drive(TensorBoardImages(tmp_path, digits.x_test, digits.y_test), labels_alone(model))
    assert set(events(tmp_path / "images")) == {"images/confusion"} | HISTOGRAMS
    assert not (tmp_path / "images" / "projector_config.pbtxt").exists()


def test_a_disk_that_fails_is_reported_once_and_training_goes_on(digits, tmp_path, caplog):
    folder = tmp_path / "run"
    folder.write_text("a file where the folder should be: nothing can be written")
    model = new_model(digits)
    callback = TensorBoardImages(folder, digits.x_test, digits.y_test)

    class Mend(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                folder.unlink()

    with caplog.at_level(logging.WARNING, logger="tfssvae"):
        model.fit(digits.train(100, 600), epochs=3, verbose=0, callbacks=[Mend(), callback])
    assert int(model.steps_done) == 3 * digits.train(100, 600).cardinality()
    (record,) = [record for record in caplog.records if record.name == "tfssvae"]
    assert "does not get the images of epoch 1" in record.getMessage()
    assert "training goes on" in record.getMessage()
    assert {tuple(steps) for steps in events(folder / "images").values()} == {(2,)}
    assert (folder / "images" / "projector_config.pbtxt").exists()


def test_a_writer_that_failed_is_replaced(model, digits, tmp_path, monkeypatch):
    write = tf.summary.image

    def full_at_epoch_1(name, pixels):
        if tf.summary.experimental.get_step() == 1:
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")
        return write(name, pixels)

    monkeypatch.setattr(tf.summary, "image", full_at_epoch_1)
    drive(TensorBoardImages(tmp_path, digits.x_test[:20]), model, epochs=3)
    # What the first writer still held would grow without end: a second file says it is gone.
    assert len(list((tmp_path / "images").glob("events*"))) == 2
    assert list(events(tmp_path / "images")["images/generation"]) == [0, 2]


def test_diverged_weights_are_reported_and_training_goes_on(digits, tmp_path, caplog):
    model = new_model(digits)
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, np.nan))
    with caplog.at_level(logging.WARNING, logger="tfssvae"):
        drive(TensorBoardImages(tmp_path, digits.x_test, digits.y_test), model)
    (record,) = [record for record in caplog.records if record.name == "tfssvae"]
    assert "NaN" in record.getMessage()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "every must be at least 1 epoch, got 0"),
        ({"x": np.zeros(4)}, r"x must be \(n, d\), .*got \(4,\)"),
        ({"x": np.zeros((0, 8, 8, 1))}, "empty"),
        ({"y": [0, 1]}, "same length, got 4 and 2"),
        ({"y": [0, 1, -2, 0]}, "labels -2"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments, message, tmp_path):
    arguments = {"x": np.zeros((4, 8, 8, 1)), **arguments}
    with pytest.raises(checks.InputError, match=message):
        TensorBoardImages(tmp_path, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros((4, 8, 7, 1))}, r"must have shape \(n, 8, 8, 1\)"),
        ({"y": [0, 1, 2, 10]}, r"must be in -1\.\.9"),
        ({"class_names": ["a", "b"]}, "class_names must be 10 names"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_training(
    model, arguments, message, tmp_path
):
    callback = TensorBoardImages(tmp_path, **{"x": np.zeros((4, 8, 8, 1)), **arguments})
    callback.set_model(model)
    with pytest.raises(checks.InputError, match=message):
        callback.on_train_begin()
