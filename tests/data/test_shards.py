"""Data in TFRecord shards: the same rows as in memory, in any order, and what damage is named."""

import copy
import json
import logging
import pickle
import shutil

import numpy as np
import psutil
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.same_training import assert_same_training
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.data import load
from tfssvae.data.arrays import make_source
from tfssvae.data.convert import convert
from tfssvae.data.shards import ShardedImages, read_shards, write_shards
from tfssvae.training.loop import _resident_images

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (23, 4, 3, 1), dtype=np.uint8)
Y = np.arange(23) % 3


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The digits in memory and in shards of 20,000 bytes."""
    folder = tmp_path_factory.mktemp("shards") / "digits"
    convert("digits", folder, shard_bytes=20_000, say=lambda line: None)
    assert len(list(folder.glob("train-*.tfrecord"))) == 5
    return load("digits", labels_per_class=10), load(folder, labels_per_class=10)


def test_the_rows_are_those_in_memory(digits):
    plain, sharded = digits
    assert isinstance(sharded.x_train, ShardedImages)
    for rows in (
        3,
        -1,
        slice(300, 700),
        slice(None, None, -7),
        np.array([5, 1400, 5, 700]),
        sharded.validation_indices,
        plain.hidden_labels == 4,
        np.array([[1, 2], [-3, 4]], np.int32),
        [],
        (slice(2, 5), 0),
        (7, slice(1, 3), 2),
        (np.array([3, 1]), slice(None), slice(None), 0),
        (Ellipsis, 0),
    ):
        found = sharded.x_train[rows]
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, plain.x_train[rows])
    np.testing.assert_array_equal(np.asarray(sharded.x_train), plain.x_train)
    assert (len(sharded.x_train), sharded.x_train.nbytes) == (1438, plain.x_train.nbytes)
    np.testing.assert_array_equal(sharded.x_test, plain.x_test)
    np.testing.assert_array_equal(sharded.y_test, plain.y_test)
    np.testing.assert_array_equal(sharded.y_train, plain.y_train)
    assert repr(sharded) == repr(plain)
    assert sharded.summary() == plain.summary()
    for outside in (1438, -1439, [0, 1438]):
        with pytest.raises(IndexError, match="out of bounds for 1438 rows"):
            sharded.x_train[outside]
    with pytest.raises(IndexError, match="whole numbers"):
        sharded.x_train[1.5]
    with pytest.raises(ValueError, match="copying"):
        np.asarray(sharded.x_train, copy=False)


def test_a_pickled_data_set_holds_paths_and_no_images(digits):
    stored = pickle.dumps(digits[1].x_train)
    assert len(stored) < digits[0].x_train.nbytes / 4
    np.testing.assert_array_equal(pickle.loads(stored)[5], digits[0].x_train[5])


def test_a_file_that_goes_away_is_named(tmp_path):
    folder = write_shards(tmp_path / "small", make_source(X, Y, name="small"), shard_bytes=100)
    images = load(folder).x_train
    (folder / "train-00001-of-00003.tfrecord").unlink()
    np.testing.assert_array_equal(images[:5], X[:5])
    with pytest.raises(InputError, match=r"00001-of-00003\.tfrecord cannot be read: No such"):
        images[:]


def test_a_split_is_of_either(digits, tmp_path):
    plain, sharded = digits
    assert sharded.fingerprint == plain.fingerprint
    plain.save_split(tmp_path / "split.json")
    folder = tmp_path / "again"
    convert("digits", folder, say=lambda line: None)
    found = load(folder, split=tmp_path / "split.json")
    np.testing.assert_array_equal(found.labelled_indices, plain.labelled_indices)


def test_images_that_do_not_fit_stay_in_their_files(digits, monkeypatch):
    memory = psutil.virtual_memory()._replace(available=digits[1].x_train.nbytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    for devices in ([], ["GPU:0"]):
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind, found=devices: found)
        assert _resident_images(digits[1]) is None
    assert _resident_images(digits[0]) is not None, "in memory they are already"


@pytest.mark.parametrize("driver", ["loop", "streamed loop", "fit"])
def test_training_sees_the_same_batches(digits, driver):
    assert_same_training(digits, driver, resident=driver == "loop")


def test_batches_are_made_without_a_warning(digits):
    class Fresh(ShardedImages):  # AutoGraph warns once of each function
        def prepare(self, count):
            """Like that of the base class: AutoGraph cannot read a function without a statement."""

    images = copy.copy(digits[1].x_train)
    images.__class__ = Fresh
    data = type(digits[1])(**{**vars_of(digits[1]), "x_train": images})
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    tf.get_logger().addHandler(handler)
    try:
        next(iter(data.train(10, 20)))
    finally:
        tf.get_logger().removeHandler(handler)
    assert not logged


def test_dynamic_binarisation_is_the_same(digits):
    batches = []
    for data in digits:
        again = type(data)(**{**vars_of(data), "binarize": "dynamic"})
        batches.append(next(iter(again.train(5, 7)))[0]["unlabelled"])
    np.testing.assert_array_equal(*batches)


def vars_of(data):
    """The constructor's arguments of a data set."""
    return {name: getattr(data, name) for name in data.__dataclass_fields__}


def test_any_reader_of_tfrecord_reads_them(tmp_path):
    source = make_source(X, np.where(Y == 2, -1, Y), name="small", num_classes=2)
    write_shards(tmp_path / "small", source, shard_bytes=60)
    files = sorted(map(str, (tmp_path / "small").glob("train-*.tfrecord")))
    assert len(files) == 5
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    for row, record in enumerate(tf.data.TFRecordDataset(files)):
        found = tf.io.parse_single_example(record, features)
        image = tf.reshape(tf.io.decode_raw(found["image"], tf.uint8), X.shape[1:])
        np.testing.assert_array_equal(image, X[row])
        assert found["label"] == (-1 if Y[row] == 2 else Y[row])
    assert row == len(X) - 1


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("width", [1, 5])
def test_tables_and_labels_of_any_length(tmp_path, dtype, width):
    x = (RNG.integers(0, 2, (400, width)) * (255 if dtype == "uint8" else 1)).astype(dtype)
    y = np.concatenate([np.arange(300), np.full(100, -1)])  # of one, two and ten bytes
    source = make_source(x, y, x[:3], y[:3], name="table")
    write_shards(tmp_path / "table", source, shard_bytes=200)
    found = read_shards(tmp_path / "table")
    np.testing.assert_array_equal(np.asarray(found.x_train), x)
    np.testing.assert_array_equal(found.y_train, y)
    np.testing.assert_array_equal(found.x_test, x[:3])
    assert found.x_train.dtype == dtype
    assert found.class_names == source.class_names


def test_folders_of_images_pass_through_a_file(tmp_path):
    for row, image in enumerate(X[:12, ..., 0]):
        folder = tmp_path / "photos" / "train" / "ab"[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{row}.png")
    out = convert(tmp_path / "photos", tmp_path / "new" / "out", image_size=(2, 2))
    found, expected = load(out), load(tmp_path / "photos", image_size=(2, 2))
    np.testing.assert_array_equal(np.asarray(found.x_train), expected.x_train)
    assert found.class_names == ("a", "b")
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["out"], "nothing else is left"


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path, monkeypatch):
    source = make_source(X, Y, name="small")
    write_shards(tmp_path / "small", source)
    with pytest.raises(InputError, match="exists already"):
        write_shards(tmp_path / "small", source)
    with pytest.raises(InputError, match="exists already"):
        convert("digits", tmp_path / "small")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        write_shards(tmp_path / "other", source)
    assert [entry.name for entry in tmp_path.iterdir()] == ["small"]


def cut(folder):
    file = folder / "train-00001-of-00003.tfrecord"
    file.write_bytes(file.read_bytes()[:-40])
    return "train-00001-of-00003.tfrecord is missing or cut off"


def lose(name):
    def damage(folder):
        (folder / name).unlink()
        return f"{name} is missing"

    return damage


def replace(name, array, message):
    def damage(folder):
        np.save(folder / name, array)
        return message

    return damage


def change(message, **values):
    def damage(folder):
        path = folder / "tfssvae-shards.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
        return message

    return damage


def deep(folder):
    (folder / "tfssvae-shards.json").write_text("[" * 100_000)
    return "is damaged"


def not_json(folder):
    (folder / "tfssvae-shards.json").write_text("{")
    return "tfssvae-shards.json is damaged"


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        not_json,
        deep,
        lose("train-00000-of-00003.tfrecord"),
        lose("train-labels.npy"),
        replace("train-offsets.npy", np.full(23, -1), "tfssvae-shards.json is damaged"),
        replace("train-offsets.npy", np.full(23, 10**12), "cut off"),
        replace("train-offsets.npy", np.zeros(22, np.int64), "train-offsets.npy is damaged"),
        replace("train-labels.npy", np.full(23, 7, np.int32), "labels of more than 3 classes"),
        replace("train-labels.npy", np.array([{}] * 23), "train-labels.npy is missing or damaged"),
        change("format 9", format=9),
        change("tfssvae-shards.json is damaged", dtype="object"),
        change("tfssvae-shards.json is damaged", shape=[4, 3]),
        change("whole number", shape=[4, -3, 1]),
        change("cut off", shape=[2**32, 2**32, 1]),
        change("cut off", shape=[2**31, 2**31, 2]),
        change("class_names must be", class_names="abc"),
        change("must differ", class_names=["a", "a", "b"]),
        change("must be text", class_names=[1, 2, 3]),
        change("must be text", name={}),
        change("must be text", fingerprint=5),
        change("format True", format=True),
        change("tfssvae-shards.json is damaged", train=None),
        change("damaged: (23,) int64 for 25 rows", train=[9, 9, 7]),
    ],
)
def test_damage_is_named(tmp_path, damage):
    folder = write_shards(tmp_path / "small", make_source(X, Y, name="small"), shard_bytes=100)
    message = damage(folder)
    with pytest.raises(InputError) as refused:
        load(folder)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "arguments", [{"grey": True}, {"image_size": (2, 2)}, {"binarize": "round"}]
)
def test_images_in_files_are_not_changed_on_the_way(tmp_path, arguments):
    folder = tmp_path / "small"
    write_shards(folder, make_source(X, Y, name="small"))
    with pytest.raises(InputError, match="tfssvae convert"):
        load(folder, **arguments)


def test_the_command_line_converts_and_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "digits", "shards"]) == 0
    assert "1,797 rows" in capsys.readouterr().out
    sizes = ["--set", "latent_dim=2", "--set", "hidden=(8,)", "--epochs", "1", "--out", "run"]
    assert main(["train", "m2", "--data", "shards", "--labels-per-class", "5", *sizes]) == 0
    assert main(["evaluate", "run"]) == 0
    shutil.move("shards", "again")
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    assert main(["convert", "digits", "run"]) == 2
    assert main(["convert", "again", "third"]) == 2
    assert main(["convert", "digits", "more", "--shard-mb", "0"]) == 2
    complaints = capsys.readouterr().err
    assert complaints.count("\n") == 4
    assert "in shards already" in complaints
