"""Damaged files and descriptions of tfds are named, in memory and streamed."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.data.tfds_files import SHARDS, N
from tfssvae.checks import InputError
from tfssvae.data import load

pytestmark = pytest.mark.xdist_group("streamed tfds")


@pytest.fixture
def copied(tfds_dir, tmp_path):
    """A copy of the data, and one of its files."""
    folder = shutil.copytree(tfds_dir, tmp_path / "copy")
    return folder, folder / "pngs" / "1.0.0" / "pngs-train.tfrecord-00013-of-00020"


def cut(file):
    file.write_bytes(file.read_bytes()[:-3])
    return "is damaged or cut off: its record 49"


def claim(file):
    file.write_bytes((2**62).to_bytes(8, "little") + file.read_bytes()[8:])
    return "its record 0 claims 4,611,686,018,427,387,904 bytes"


def claim_a_little(file):
    file.write_bytes((9).to_bytes(8, "little") + file.read_bytes()[8:])
    return "is damaged"


def repeat(file):
    file.write_bytes(file.read_bytes() * 2)
    return "it should have 50 records and has more"


def shorten(file):
    content = file.read_bytes()
    file.write_bytes(content[16 + int.from_bytes(content[:8], "little") :])
    return "it should have 50 records and has 49"


def flip(file):
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    return "is damaged"


def lose(file):
    file.unlink()
    return "There is no file"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("damage", [cut, claim, claim_a_little, repeat, shorten, flip, lose])
def test_damage_is_named(copied, damage, stream):
    folder, file = copied
    message = damage(file)
    with pytest.raises(InputError) as refused:
        load("tfds:pngs", data_dir=folder, stream=stream)
    assert message in str(refused.value)
    assert file.name in str(refused.value)


def described(folder, **changes):
    """Change what the description of the data says of them, and of their first split."""
    path = folder / "pngs" / "1.0.0" / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0] |= changes.pop("split", {})
    path.write_text(json.dumps({**info, **changes}))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"shardLengths": ["many"]}}, "cannot be opened: .*many"),
        ({"split": {"filepathTemplate": "{OTHER}"}}, "is damaged: .*OTHER"),
        ({"split": {"shardLengths": []}}, "has no rows in its"),
        ({"fileFormat": "array_record"}, "array_record.*tfrecord"),
    ],
)
def test_descriptions_that_cannot_be_are_refused(copied, changes, message, stream):
    folder, _ = copied
    described(folder, **changes)
    with pytest.raises(InputError, match=message):
        load("tfds:pngs", data_dir=folder, stream=stream)


def written(file, image):
    """Replace the file by whole records of another image, which no checksum tells."""
    with tf.io.TFRecordWriter(str(file)) as writer:
        for _ in range(N // SHARDS):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[1])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


@pytest.mark.parametrize(
    "image",
    [b"no image", tf.io.encode_png(np.zeros((5, 4, 1), np.uint8)).numpy()],
    ids=["no image", "another shape"],
)
def test_images_that_cannot_be_are_named(copied, image):
    folder, file = copied
    written(file, image)
    data = load("tfds:pngs", data_dir=folder, stream=True)
    with pytest.raises(InputError, match=rf"{file.name} is damaged: the record at byte \d+ holds"):
        data.fingerprint  # noqa: B018
    assert data.x_train[data.x_train._file_of != 13].shape == (N - N // SHARDS, 4, 5, 1)


def halve(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return "has been cut off"


def blank(file):
    file.write_bytes(b"\xff" * file.stat().st_size)
    return "is damaged: the record at byte"


def remove(file):
    file.unlink()
    return "cannot be read: No such file"


@pytest.mark.parametrize("damage", [remove, halve, blank])
def test_damage_after_loading_is_named(copied, damage):
    folder, file = copied
    data = load("tfds:pngs", data_dir=folder, stream=True)
    batches = data.train(20, 0)
    message = damage(file)
    for read in (lambda: data.x_train[:], lambda: list(batches)):
        with pytest.raises((InputError, tf.errors.OpError)) as refused:
            read()
        assert f"{file.name} {message}" in str(refused.value)
