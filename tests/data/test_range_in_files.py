"""Pixels out of range in files: refused before anything changes them, wherever they are read."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tests.data.tfds_files import store
from tfssvae.checks import InputError
from tfssvae.cli import main
from tfssvae.data import load
from tfssvae.data.arrays import make_source
from tfssvae.data.shards import write_shards
from tfssvae.training import train

pytestmark = pytest.mark.xdist_group("streamed tfds")

# tfds ---------------------------------------------------------------------------------------------


def pictures(folder, dtype, images, shape):
    """Write images as tfds data called `pictures`, without labels."""
    store(
        folder,
        "pictures",
        lambda f: {"image": f.Image(shape=shape, dtype=dtype)},
        train=[{"image": np.asarray(image, dtype)} for image in images],
    )


RAMP = np.linspace(0, 65535, 12).reshape(3, 4, 1)


@pytest.mark.parametrize("shape", [(None, None, 1), (3, 4, 1)])
def test_pictures_of_16_bits_are_refused(shape, tmp_path, capsys):
    pictures(tmp_path, np.uint16, [RAMP, RAMP / 400], shape)
    message = r'"tfds:pictures" has images of uint16, .*pass pixel_range=\(low, high\)'
    for size in (None, (2, 2)):
        with pytest.raises(InputError, match=message):
            load("tfds:pictures", data_dir=tmp_path, image_size=size, num_classes=2)
    given = ["convert", "tfds:pictures", str(tmp_path / "shards"), "--data-dir", str(tmp_path)]
    assert main([*given, "--image-size", "2", "2", "--num-classes", "2"]) == 2
    assert "images of uint16" in capsys.readouterr().err
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (RAMP / 257, "has floats from 0 to 255, they must be in 0..1: pass pixel_range=(0, 255)"),
        (RAMP / 65535 * 2 - 1, "has floats from -1 to 1, they must be in 0..1"),
        (np.full((2, 2, 1), np.nan), "NaN or infinite value"),
    ],
    ids=["0..255", "-1..1", "NaN"],
)
@pytest.mark.parametrize("grey", [False, True])
def test_floats_of_varying_size_are_checked_before_they_are_resized(bad, said, grey, tmp_path):
    fine = np.full((5, 5, 1), 0.25)
    pictures(tmp_path, np.float32, [fine, bad], (None, None, 1))
    with pytest.raises(InputError) as refused:
        load("tfds:pictures", data_dir=tmp_path, image_size=(2, 2), num_classes=2, grey=grey)
    assert "image[1] in the train split of tfds:pictures" in str(refused.value)
    assert said in str(refused.value)


def test_a_stated_range_maps_images_of_varying_size_before_they_are_resized(tmp_path):
    twelve_bits = (RAMP // 16).astype("uint16")
    black = np.zeros((5, 5, 1), "uint16")  # a single dark image is no reason for a doubt
    pictures(tmp_path, np.uint16, [black, twelve_bits], (None, None, 1))
    arguments = {"data_dir": tmp_path, "image_size": RAMP.shape[:2], "num_classes": 2}
    data = load("tfds:pictures", pixel_range=(0, 4095), **arguments)
    assert data.x_train.dtype == np.float32
    found = data.x_train[int(data.x_train[1].max() > 0)]
    np.testing.assert_allclose(found, twelve_bits / 4095, atol=1e-6)
    with pytest.raises(InputError, match=r"not all in pixel_range=\(0, 255\)"):
        load("tfds:pictures", pixel_range=(0, 255), **arguments)


def test_floats_of_varying_size_in_range_are_read(tmp_path):
    pictures(tmp_path, np.float32, [np.full((5, 5, 1), 0.25), RAMP / 65535], (None, None, 1))
    x = load("tfds:pictures", data_dir=tmp_path, image_size=(3, 4), num_classes=2).x_train
    np.testing.assert_allclose(x[0], 0.25, rtol=1e-6)
    np.testing.assert_allclose(x[1], RAMP / 65535, atol=1e-6)


# Shards -------------------------------------------------------------------------------------------

X = np.random.default_rng(0).random((40, 4, 4, 3), dtype=np.float32)
Y = np.arange(40) % 3
BAD = 17


@pytest.fixture
def shards(tmp_path):
    """Shards of float images, and a function that spoils the first pixel of a row of a part."""
    folder = write_shards(
        tmp_path / "shards", make_source(X, Y, X[:5], Y[:5], name="floats"), shard_bytes=4000
    )

    def spoil(part, row, value):
        files = sorted(folder.glob(f"{part}-*.tfrecord"))
        per_file = 4000 // X[0].nbytes
        file, offsets = files[row // per_file], np.load(folder / f"{part}-offsets.npy")
        with open(file, "r+b") as stream:
            stream.seek(offsets[row])
            stream.write(np.float32(value).tobytes())
        return file

    return folder, spoil


@pytest.mark.parametrize(
    ("value", "said"),
    [(300, "has floats from "), (-0.5, "has floats from -0.5 to"), (np.nan, "has NaN")],
)
def test_rows_of_shards_are_checked_as_they_are_read(shards, value, said):
    folder, spoil = shards
    data = load(folder, labels_per_class=2)
    file = spoil("train", BAD, value)
    others = np.delete(np.arange(len(X)), BAD)
    np.testing.assert_array_equal(data.x_train[others], X[others])
    for rows in (BAD, [3, BAD, 20], slice(None), [[BAD]]):
        with pytest.raises(InputError) as refused:
            data.x_train[rows]
        assert f"{file} is damaged: row {BAD}, which begins at byte" in str(refused.value)
        assert said in str(refused.value)


@pytest.mark.parametrize("changed", [{}, {"grey": True}, {"image_size": (2, 2)}])
def test_shards_in_memory_are_checked_before_they_are_changed(shards, changed):
    folder, spoil = shards
    spoil("train", BAD, 300)
    with pytest.raises(InputError, match=f"row {BAD}, .*pixels must be in 0..1"):
        load(folder, stream=False, **changed)


def test_test_data_of_shards_are_checked(shards):
    folder, spoil = shards
    spoil("test", 2, 300)
    with pytest.raises(InputError, match=r"row 2, .*pixels must be in 0..1"):
        load(folder)


def test_training_ends_with_the_sentence(shards):
    folder, spoil = shards
    data = load(folder, labels_per_class=2)
    file = spoil("train", BAD, 300)
    model = tfssvae.models.M2(data.input_shape, 3, 2, (8,))
    model.compile(keras.optimizers.Adam())
    with pytest.raises(InputError) as refused:
        train(model, data, 1, 3, 34, resident=False, verbose=0)
    assert str(refused.value).startswith(f"{file} is damaged: row {BAD}")
    assert str(refused.value).endswith("convert the data again")
    with pytest.raises((InputError, tf.errors.OpError), match=f"row {BAD}"):
        list(data.train(3, 34))


@pytest.mark.parametrize("driver", ["loop", "fit"])
def test_the_command_says_one_sentence(shards, driver, tmp_path, capsys, monkeypatch):
    folder, spoil = shards
    spoil("train", BAD, 300)
    monkeypatch.setattr("tfssvae.training.loop._resident_images", lambda data: None)
    known = load(folder).x_train.fingerprint
    monkeypatch.setattr("tfssvae.data.splits.fingerprint", lambda x, y: known)
    out = ["--out", str(tmp_path / "run"), "--driver", driver, "--epochs", "1"]
    batches = ["--labelled", "3", "--unlabelled", "34", "--labels-per-class", "2"]
    assert main(["train", "m2", "--data", str(folder), *batches, *out]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("tfssvae: ")
    assert f"is damaged: row {BAD}" in said
    assert "Traceback" not in said
