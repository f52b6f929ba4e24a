"""Splits of tensorflow-datasets beside train and test: without labels, or left out."""

import logging

import numpy as np
import psutil
import pytest

from tests.data.tfds_files import IMAGES, LABELS, features, rows, store
from tfssvae.data import load
from tfssvae.data.convert import convert
from tfssvae.data.tfds_records import TfdsImages

pytestmark = pytest.mark.xdist_group("streamed tfds")

TRAIN, FURTHER = 60, 130


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data like stl10, but for labels in the split that is said to have none."""
    folder = tmp_path_factory.mktemp("splits")
    rest = slice(TRAIN, TRAIN + FURTHER)
    store(
        folder,
        "some_labels",
        features({"shape": (4, 5, 1)}),
        shards=3,
        shuffled=True,
        train=rows(IMAGES[:TRAIN], LABELS[:TRAIN]),
        unlabelled=rows(IMAGES[rest], LABELS[rest]),
        test=rows(IMAGES[:7], LABELS[:7]),
        extra=rows(IMAGES[:9], LABELS[:9]),
        validation=rows(IMAGES[:8], LABELS[:8]),
    )
    return folder


def as_sets(images):
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("stream", [False, True])
def test_rows_of_an_unlabelled_split_follow_without_labels(folder, stream, caplog):
    with caplog.at_level(logging.INFO, "tfssvae"):
        data = load("tfds:some_labels", labels_per_class=4, data_dir=folder, stream=stream)
    assert isinstance(data.x_train, TfdsImages) == stream
    assert len(data.x_train) == TRAIN + FURTHER
    assert as_sets(data.x_train[:TRAIN]) == as_sets(IMAGES[:TRAIN])
    assert as_sets(data.x_train[TRAIN:]) == as_sets(IMAGES[TRAIN : TRAIN + FURTHER])
    by_image = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    expected = [by_image[image.tobytes()] for image in data.x_train[:TRAIN]]
    assert data.hidden_labels.tolist() == [*expected, *[-1] * FURTHER]
    assert (len(data.labelled_indices), len(data.unlabelled_indices)) == (12, 178)
    assert len(data.x_test) == 7
    assert '"unlabelled" (130 rows) comes after "train", without labels' in caplog.text
    assert '"extra" (9 rows) and "validation" (8 rows) is left out; to use it' in caplog.text
    assert "from_arrays" in caplog.text


def test_both_ways_are_the_same_data(folder, tmp_path):
    plain, streamed = (
        load("tfds:some_labels", labels_per_class=4, data_dir=folder, stream=stream)
        for stream in (False, True)
    )
    assert plain.fingerprint == streamed.fingerprint
    np.testing.assert_array_equal(np.asarray(streamed.x_train), plain.x_train)
    np.testing.assert_array_equal(streamed.y_train, plain.y_train)
    plain.save_split(tmp_path / "split.json")
    found = load("tfds:some_labels", data_dir=folder, split=tmp_path / "split.json", stream=True)
    np.testing.assert_array_equal(found.labelled_indices, plain.labelled_indices)
    convert("tfds:some_labels", tmp_path / "shards", data_dir=folder, say=lambda line: None)
    assert load(tmp_path / "shards").fingerprint == plain.fingerprint


def test_rows_without_labels_count_for_memory(folder, monkeypatch):
    size = IMAGES[: TRAIN + FURTHER].nbytes

    def loaded(available):
        memory = psutil.virtual_memory()._replace(available=available)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        return load("tfds:some_labels", data_dir=folder)

    assert isinstance(loaded(2 * size).x_train, np.ndarray)
    assert isinstance(loaded(2 * size - 1).x_train, TfdsImages)


def test_images_of_varying_size_too(tmp_path):
    def images(value, count):
        return [np.full((2 + k, 3, 1), value, np.uint8) for k in range(count)]

    store(
        tmp_path,
        "ragged",
        features({"shape": (None, None, 1)}),
        train=rows(images(10, 4), [0, 1, 2, 0]),
        unsupervised=rows(images(200, 3), [0, 1, 2]),
    )
    data = load("tfds:ragged", data_dir=tmp_path, image_size=(2, 2))
    assert data.x_train[:, 0, 0, 0].tolist() == [10] * 4 + [200] * 3
    assert data.hidden_labels.tolist() == [0, 1, 2, 0, -1, -1, -1]


def test_nothing_is_said_where_nothing_is_left_out(tfds_dir, caplog):
    load("tfds:pngs", data_dir=tfds_dir)
    assert "left out" not in caplog.text
    assert "without labels" not in caplog.text
