"""Whatever the bytes of data files are: they load, or one sentence says why not."""

import io
import json
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from tests.fuzz.mutations import NUMBERS, TEXTS, changed_bytes, found_or_refused, json_bytes
from tfssvae import data
from tfssvae.data.arrays import Source
from tfssvae.data.shards import MANIFEST, write_shards
from tfssvae.data.tfds_records import TfdsImages, find_records

X = (255 - np.arange(6 * 4 * 4)).astype(np.uint8).reshape(6, 4, 4)
Y = np.array([0, 1, 2, -1, 1, 0])
EXAMPLES = {"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2]}


def loads_or_refuses(name, **options):
    """Load data; return them, or None where they are refused with one printable sentence."""
    found = found_or_refused(lambda: data.load(name, **options))
    if found is None:
        return None
    assert len(found.x_train) == len(found.hidden_labels)
    assert 2 <= found.num_classes <= 1000
    return found


def npz(**members) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(array, **changes) -> bytes:
    """Return an array as a file of numpy, with other claims in its header."""
    array = np.asarray(array)
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape, **changes}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


def packed(save=np.savez, **arrays) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_changed_bytes(save, tmp_path):
    file = tmp_path / "data.npz"

    @given(changed_bytes(packed(save, **EXAMPLES, class_names=["a", "b", "c"])))
    def search(content):
        file.write_bytes(content)
        loads_or_refuses(str(file))

    search()


DTYPES = st.sampled_from(
    [
        *("u1", "<u2", ">u4", ">i8", "<f2", ">f4", "<f8", "<c8", "b1", "O", "f,i4"),
        *("U0", "U3", "U999999999", "S0", "S2", "V0", "V4", "M8[s]", "m8[D]"),
    ]
)
SIDES = st.one_of(
    st.integers(0, 7), st.sampled_from([-1, 10**6, 2**31, 2**40, 2**62, 2**63, 10**30])
)
ARRAYS = st.builds(
    npy,
    st.sampled_from([X, Y, X / 255.0, Y * 1.0, Y * np.nan, np.array(["a", "b"]), np.array(3)]),
    descr=DTYPES,
    fortran_order=st.booleans(),
    shape=st.lists(SIDES, max_size=5).map(tuple),
)


def test_npz_with_arrays_of_any_kind(tmp_path):
    file = tmp_path / "data.npz"
    keys = st.sampled_from(["x_train", "y_train", "x_test", "y_test", "class_names", "other"])

    @given(st.dictionaries(keys, ARRAYS, max_size=4), st.sets(keys, max_size=2))
    def search(changed, left_out):
        members = {key: npy(array) for key, array in EXAMPLES.items()} | changed
        file.write_bytes(npz(**{k: v for k, v in members.items() if k not in left_out}))
        loads_or_refuses(str(file))

    search()


def test_npz_with_labels_of_any_value(tmp_path):
    file = tmp_path / "data.npz"

    @given(st.lists(NUMBERS, min_size=6, max_size=6), TEXTS, TEXTS)
    def search(labels, one, other):
        try:
            y = np.array(labels)
        except OverflowError:
            return
        if y.dtype != object:
            file.write_bytes(packed(x_train=X, y_train=y, class_names=np.array([one, other, "c"])))
            loads_or_refuses(str(file))

    search()


@pytest.fixture(scope="module")
def whole_split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    file = folder / "data.npz"
    file.write_bytes(packed(**EXAMPLES))
    data.load(file, labels_per_class=1, validation=1).save_split(folder / "split.json")
    return file, json.loads((folder / "split.json").read_text())


def test_splits(whole_split, tmp_path):
    file, split = whole_split

    @given(json_bytes(split))
    def search(content):
        (tmp_path / "split.json").write_bytes(content)
        loads_or_refuses(str(file), split=tmp_path / "split.json")

    search()


def picture(kind, pixels, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


GREY = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
COLOUR = np.stack([GREY, GREY + 1, GREY + 2], axis=2)
ORIENTATION = Image.Exif()
ORIENTATION[0x0112] = 6
PICTURES = {
    "png": picture("PNG", COLOUR),
    "sixteen-bits": picture("PNG", GREY.astype(np.uint16) * 200),
    "jpeg": picture("JPEG", COLOUR),
    "gif": picture("GIF", GREY, save_all=True, append_images=[Image.fromarray(GREY + 1)]),
    "bmp": picture("BMP", COLOUR),
    "webp": picture("WEBP", COLOUR),
    "palette": picture("GIF", GREY),
    "tiff": picture("TIFF", COLOUR),
    "tiff-lzw": picture("TIFF", GREY.astype(np.uint16) * 200, compression="tiff_lzw"),
    "tiff-deflate": picture("TIFF", COLOUR, compression="tiff_adobe_deflate"),
    "ppm": picture("PPM", COLOUR),
    "transparent": picture("PNG", np.dstack([COLOUR, GREY * 3])),
    "transparent-grey": picture("PNG", GREY, transparency=7),
    "orientation": picture("JPEG", COLOUR, exif=ORIENTATION),
}
if features.check("avif"):
    PICTURES["avif"] = picture("AVIF", COLOUR)


@pytest.mark.parametrize("kind", PICTURES)
def test_images(kind, tmp_path):
    for name in ("train/a/0.png", "train/b/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(PICTURES["png"])

    @given(changed_bytes(PICTURES[kind]), st.booleans())
    def search(content, resized):
        (tmp_path / "train/a/9.png").write_bytes(content)
        loads_or_refuses(str(tmp_path), image_size=(4, 4) if resized else None)

    search()


def test_shards(tmp_path):
    source = Source(X[..., None], Y.astype(np.int32), X[:2, ..., None], Y[:2], ("a", "b", "c"), "s")
    whole = write_shards(tmp_path / "whole", source, shard_bytes=48)
    contents = {path.name: path.read_bytes() for path in whole.iterdir()}
    manifest = json.loads(contents[MANIFEST])

    @given(
        st.sampled_from(sorted(contents)).flatmap(
            lambda name: st.tuples(
                st.just(name),
                json_bytes(manifest) if name == MANIFEST else changed_bytes(contents[name]),
            )
        )
    )
    def search(change):
        name, content = change
        (whole / name).write_bytes(content)
        try:
            found = loads_or_refuses(str(whole))
            if found is not None:
                found_or_refused(lambda: found.x_train[:])
        finally:
            (whole / name).write_bytes(contents[name])

    search()


def test_records_of_tfds(tmp_path):
    file = tmp_path / "train.tfrecord"
    with tf.io.TFRecordWriter(str(file)) as writer:
        for pixels in X[:3, ..., None]:
            image = tf.io.encode_png(pixels).numpy()
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
            features = tf.train.Features(feature={"image": feature})
            writer.write(tf.train.Example(features=features).SerializeToString())

    def read():
        return TfdsImages(find_records([file], [3]), np.arange(3), (4, 4, 1))[:]

    np.testing.assert_array_equal(read(), X[:3, ..., None])

    @given(changed_bytes(file.read_bytes()))
    def search(content):
        file.write_bytes(content)
        found = found_or_refused(read)
        assert found is None or found.shape == (3, 4, 4, 1)

    search()
