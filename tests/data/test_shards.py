"""Data in TFRecord shards: the same rows as in memory, in any order, and what damage is named."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfssvae
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.data import load
from tfssvae.data.arrays import make_source
from tfssvae.data.convert import convert
from tfssvae.data.shards import ShardedImages, read_shards, write_shards
from tfssvae.training import train

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
    with pytest.raises(IndexError):
        sharded.x_train[1438]


def test_a_split_is_of_either(digits, tmp_path):
    plain, sharded = digits
    assert sharded.fingerprint == plain.fingerprint
    plain.save_split(tmp_path / "split.json")
    folder = tmp_path / "again"
    convert("digits", folder, say=lambda line: None)
    found = load(folder, split=tmp_path / "split.json")
    np.testing.assert_array_equal(found.labelled_indices, plain.labelled_indices)


@pytest.mark.parametrize("driver", ["loop", "streamed loop", "fit"])
def test_training_sees_the_same_batches(digits, driver):
    weights = []
    for data in digits:
        model = tfssvae.models.M2(data.input_shape, 10, 2, (8,), seed=1)
        model.compile(keras.optimizers.Adam(1e-3))
        if driver == "fit":
            model.fit(data.train(20, 100), epochs=1, verbose=0)
        else:
            resident = driver == "loop" or None
            resident = False if driver == "streamed loop" else resident
            train(model, data, 1, 20, 100, resident=resident, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


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
    x = RNG.integers(0, 2, (400, width)).astype(dtype)
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
        path = folder / "dataset.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
        return message

    return damage


def not_json(folder):
    (folder / "dataset.json").write_text("{")
    return "dataset.json is damaged"


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        not_json,
        lose("train-00000-of-00003.tfrecord"),
        lose("train-labels.npy"),
        replace("train-offsets.npy", np.zeros(23, np.int64), "dataset.json is damaged"),
        replace("train-offsets.npy", np.full(23, 10**12), "cut off"),
        replace("train-offsets.npy", np.zeros(22, np.int64), "train-offsets.npy is damaged"),
        replace("train-labels.npy", np.full(23, 7, np.int32), "labels of more than 3 classes"),
        replace("train-labels.npy", np.array([{}] * 23), "train-labels.npy is missing or damaged"),
        change("format 9", format=9),
        change("dataset.json is damaged", dtype="object"),
        change("dataset.json is damaged", shape=[4, 3]),
        change("whole number", shape=[4, -3, 1]),
        change("dataset.json is damaged", train=None),
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
    shutil.rmtree("shards")
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    assert main(["convert", "digits", "run"]) == 2
    assert main(["convert", "digits", "more", "--shard-mb", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 3
