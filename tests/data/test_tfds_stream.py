"""tensorflow-datasets whose images stay in the files of tfds: the same rows as in memory."""

import numpy as np
import pytest

from tests.data.same_training import assert_same_training
from tests.data.tfds_files import IMAGES, LABELS, SHARDS, store
from tfssvae.checks import InputError
from tfssvae.data import load
from tfssvae.data.arrays import make_source
from tfssvae.data.shards import ShardedImages, write_shards
from tfssvae.data.tfds_records import TfdsImages

pytestmark = pytest.mark.xdist_group("streamed tfds")


@pytest.fixture(scope="module", params=["pngs", "jpegs"])
def both(request, tfds_dir):
    """The same data in memory and streamed."""
    return [
        load(f"tfds:{request.param}", labels_per_class=5, data_dir=tfds_dir, stream=stream)
        for stream in (False, True)
    ]


def test_rows_and_labels_are_those_in_memory(both):
    plain, streamed = both
    assert isinstance(plain.x_train, np.ndarray)
    assert isinstance(streamed.x_train, TfdsImages)
    np.testing.assert_array_equal(np.asarray(streamed.x_train), plain.x_train)
    for part in ("hidden_labels", "y_train", "labelled_indices", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(streamed, part), getattr(plain, part))
    assert repr(streamed) == repr(plain)
    for key in (3, -1, slice(30, 5, -4), [5, 39, 5], [[1, 2], [-3, 4]], [], (slice(2, 5), 0)):
        found = streamed.x_train[key]
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, plain.x_train[key])
    assert (streamed.x_train.nbytes, streamed.x_train.shape) == (
        plain.x_train.nbytes,
        plain.x_train.shape,
    )


def test_the_order_is_one_of_many_files_by_turns(pngs):
    places = pngs[1].x_train._file_of
    assert sorted(set(places)) == list(range(SHARDS))
    assert (np.diff(places) < 0).any(), "else the order would not have been put to the test"


def test_data_without_labels(tfds_dir, tmp_path):
    store(
        tmp_path,
        "bare",
        lambda f: {"image": f.Image(shape=(4, 5, 1))},
        shards=3,
        shuffled=True,
        train=[{"image": x} for x in IMAGES[:90]],
    )
    plain, streamed = (
        load("tfds:bare", data_dir=tmp_path, num_classes=2, stream=stream)
        for stream in (False, True)
    )
    np.testing.assert_array_equal(np.asarray(streamed.x_train), plain.x_train)
    assert (streamed.hidden_labels == -1).all()
    with pytest.raises(InputError, match='feature "word" is not one integer per image'):
        load("tfds:pngs", data_dir=tfds_dir, label_key="word", stream=True)


def test_images_of_some_classes_stay_in_their_files(tfds_dir, tmp_path):
    chosen = {"classes": ["c", "a"], "labels_per_class": 5}
    plain, streamed = (
        load("tfds:pngs", data_dir=tfds_dir, stream=stream, **chosen) for stream in (False, True)
    )
    assert isinstance(streamed.x_train, TfdsImages)
    assert streamed.fingerprint == plain.fingerprint
    np.testing.assert_array_equal(np.asarray(streamed.x_train), plain.x_train)
    np.testing.assert_array_equal(streamed.y_train, plain.y_train)
    sharded = load(
        write_shards(tmp_path / "shards", make_source(IMAGES, LABELS, name="small")),
        classes=[2, 0],
    ).x_train
    assert isinstance(sharded, ShardedImages)
    np.testing.assert_array_equal(np.asarray(sharded), IMAGES[LABELS != 1])


@pytest.mark.parametrize("one", [0, 1])
def test_a_split_is_of_either(pngs, tfds_dir, tmp_path, one, monkeypatch):
    assert pngs[one].fingerprint == pngs[1 - one].fingerprint
    pngs[one].save_split(tmp_path / "split.json")
    split = tmp_path / "split.json"
    found = load("tfds:pngs", data_dir=tfds_dir, split=split, stream=not one)
    np.testing.assert_array_equal(found.labelled_indices, pngs[one].labelled_indices)
    monkeypatch.setattr(TfdsImages, "_read", None)
    assert found.fingerprint == pngs[one].fingerprint, "images are read once for it"


@pytest.mark.parametrize("driver", ["loop", "streamed loop", "fit"])
def test_training_sees_the_same_batches(pngs, driver):
    assert_same_training(pngs, driver, resident=None if driver == "loop" else False)
