"""tensorflow-datasets, on real files that tfds itself writes here. Nothing needs a network."""

import shutil
import socket
import time

import numpy as np
import pytest

from tests.data.tfds_files import rows, store
from tfssvae.checks import InputError
from tfssvae.data import load, network, tfds

N = 2100  # more than two batches of the reader
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 4, 5, 1)).astype(np.uint8)
LABELS = np.arange(N) % 3


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    store(
        folder,
        "tiny_toys",
        lambda f: {
            "image": f.Image(shape=(4, 5, 1)),
            "label": f.ClassLabel(names=["a", "b", "c"]),
            "kind": f.Scalar(np.int64),
            "word": f.Text(),
        },
        train=rows(IMAGES, LABELS),
        test=rows(IMAGES[:7][::-1], LABELS[:7][::-1]),
    )
    return folder


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.delenv("TFSSVAE_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))

    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", refuse)


def test_images_labels_and_names_of_local_files(data_dir):
    data = load("tfds:tiny_toys", labels_per_class=2, data_dir=data_dir)
    np.testing.assert_array_equal(data.x_train, IMAGES)
    np.testing.assert_array_equal(data.hidden_labels, LABELS)
    np.testing.assert_array_equal(data.x_test, IMAGES[:7][::-1])
    np.testing.assert_array_equal(data.y_test, LABELS[:7][::-1])
    assert data.x_train.dtype == np.uint8
    assert (data.class_names, data.name) == (("a", "b", "c"), "tiny_toys")
    assert len(data.labelled_indices) == 6


def test_version_and_default_folder(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    assert len(load("tfds:tiny_toys:1.0.0").x_train) == N
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir / "none"))
    monkeypatch.setenv("TFSSVAE_DATA", str(data_dir))
    assert len(load("tfds:tiny_toys", data_dir=data_dir / "missing").x_train) == N


def test_label_key(data_dir):
    with pytest.raises(InputError, match=r"num_classes=5 and classes=\[2, 3, 4\]"):
        tfds.read_tfds("tiny_toys", [data_dir], label_key="kind")
    source = tfds.read_tfds("tiny_toys", [data_dir], label_key="kind", num_classes=5)
    np.testing.assert_array_equal(source.y_train, LABELS + 2)
    assert source.class_names == tuple("01234")
    with pytest.raises(InputError, match=r'has no "kinds": did you mean "kind"\?'):
        tfds.read_tfds("tiny_toys", [data_dir], label_key="kinds")
    with pytest.raises(InputError, match='feature "word" is not one integer per image'):
        tfds.read_tfds("tiny_toys", [data_dir], label_key="word")


def test_images_of_varying_size_without_labels_and_test_split(tmp_path):
    images = [np.full((4, 4, 3), 10, np.uint8), np.full((2, 6, 3), 200, np.uint8)]
    store(
        tmp_path,
        "ragged",
        lambda f: {"image": f.Image(shape=(None, None, 3))},
        train=[{"image": x} for x in images],
    )
    with pytest.raises(InputError, match=r'"tfds:ragged" has images of varying size.*image_size'):
        load("tfds:ragged", data_dir=tmp_path, num_classes=2)
    with pytest.raises(InputError, match=r"no label at all.* pass num_classes"):
        load("tfds:ragged", data_dir=tmp_path, image_size=(2, 2))
    data = load("tfds:ragged", data_dir=tmp_path, image_size=(2, 2), num_classes=2, grey=True)
    assert data.x_train.tolist() == [[[[10]] * 2] * 2, [[[200]] * 2] * 2]
    assert data.hidden_labels.tolist() == [-1, -1]
    assert data.x_test is None


def store_views(folder, views):
    """Write one row that has a dictionary of pictures under "image"."""
    import tensorflow as tf
    import tensorflow_datasets as library

    shapes = {"image": {key: tf.TensorSpec(x.shape, x.dtype) for key, x in views.items()}}
    image = {key: library.features.Image(shape=x.shape) for key, x in views.items()}
    library.dataset_builders.store_as_tfds_dataset(
        name="views",
        version="1.0.0",
        features=library.features.FeaturesDict({"image": image}),
        split_datasets={
            "train": tf.data.Dataset.from_generator(
                lambda: iter([{"image": views}]), output_signature=shapes
            )
        },
        data_dir=str(folder),
    )


def test_data_without_train_split_or_images(tmp_path):
    store(
        tmp_path,
        "eval_only",
        lambda f: {"image": f.Image(shape=(4, 5, 1))},
        extra=[{"image": IMAGES[0]}],
    )
    with pytest.raises(InputError, match='"tfds:eval_only" has no train split, only extra'):
        load("tfds:eval_only", data_dir=tmp_path)
    store(tmp_path, "words", lambda f: {"word": f.Text()}, train=[{"word": b"w"}])
    with pytest.raises(InputError, match='"tfds:words" has no "image", only word'):
        load("tfds:words", data_dir=tmp_path)
    views = {"left": np.zeros((4, 5, 1), np.uint8), "right": np.zeros((4, 5, 1), np.uint8)}
    store_views(tmp_path, views)
    with pytest.raises(InputError, match='has several arrays under "image"'):
        load("tfds:views", data_dir=tmp_path, num_classes=2)


def test_unknown_name_shows_the_nearest(tmp_path):
    with pytest.raises(InputError, match=r'"tfds:minst".*did you mean "mnist"\?.*kmnist'):
        load("tfds:minst", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["", "no name", "huggingface:mnist", "a/b/c", "mnist:3"])
def test_names_that_cannot_be_understood(name, tmp_path):
    with pytest.raises(InputError, match="is not understood: write tfds:NAME"):
        load(f"tfds:{name}", data_dir=tmp_path)


def test_unknown_configuration(tmp_path):
    with pytest.raises(InputError, match='"tfds:emnist/nothing"'):
        load("tfds:emnist/nothing", data_dir=tmp_path)


def test_unreachable_network_is_told_at_once(tmp_path, monkeypatch):
    import tensorflow_datasets as library  # its import is not what is timed

    started = time.monotonic()
    with pytest.raises(
        InputError, match=r"(?s)kmnist.* is not on this computer.*be reached"
    ) as caught:
        load("tfds:kmnist", data_dir=tmp_path)
    assert time.monotonic() - started < 5
    assert str(tmp_path) in str(caught.value)
    assert "TFDS_DATA_DIR" in str(caught.value)

    def fail(*_, **__):
        raise ConnectionError("broken pipe\nlong trace")

    monkeypatch.setattr(network, "is_reachable", lambda host: True)
    monkeypatch.setattr(library.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(InputError, match=r"downloading it failed: broken pipe\. Prepare it"):
        load("tfds:kmnist", data_dir=tmp_path)


def copied(data_dir, tmp_path):
    return shutil.copytree(data_dir, tmp_path / "copy"), "tiny_toys/1.0.0"


def test_data_that_ask_to_import_a_module_are_refused(data_dir, tmp_path, monkeypatch):
    # tfds imports the module of whatever class a feature says to be.
    sprung = tmp_path / "sprung"
    (tmp_path / "evil_module.py").write_text(f"open({str(sprung)!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    folder, version = copied(data_dir, tmp_path)
    features = folder / version / "features.json"
    text = features.read_text()
    key = '"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text"'
    assert key in text
    features.write_text(text.replace(key, '"pythonClassName": "evil_module.Text"'))
    with pytest.raises(InputError, match=r"features\.json asks to import 'evil_module\.Text'"):
        load("tfds:tiny_toys", data_dir=folder)
    assert not sprung.exists()
    import tensorflow_datasets as library

    with pytest.raises(Exception, match="evil_module"):
        library.builder("tiny_toys", data_dir=folder)
    assert sprung.exists(), "the trap would have caught a loader that trusts the file"


def test_damaged_records_are_named(data_dir, tmp_path):
    folder, version = copied(data_dir, tmp_path)
    (record,) = (folder / version).glob("*train*.tfrecord*")
    record.write_bytes(record.read_bytes()[:-1000] + bytes(1000))
    with pytest.raises(InputError, match=rf"{record.name} is damaged"):
        load("tfds:tiny_toys", data_dir=folder)
