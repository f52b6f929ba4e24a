"""npz files: what they give, and that damaged or dangerous ones are refused by name."""

import zipfile

import numpy as np
import pytest

from tfssvae.checks import InputError
from tfssvae.data import npz

X = (255 - np.arange(6 * 2 * 3)).astype(np.uint8).reshape(6, 2, 3)
Y = np.array([0, 1, 2, -1, 1, 0])


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "toys.npz"


def test_arrays_and_class_names(file):
    write(file, x_train=X, y_train=Y, x_test=X[:2], y_test=[2, 1], class_names=["a", "b", "c"])
    source = npz.read_npz(file)
    np.testing.assert_array_equal(source.x_train, X[..., None])
    np.testing.assert_array_equal(source.y_train, Y)
    np.testing.assert_array_equal(source.x_test, X[:2, ..., None])
    np.testing.assert_array_equal(source.y_test, [2, 1])
    assert source.y_train.dtype == source.y_test.dtype == np.int32
    assert (source.class_names, source.name) == (("a", "b", "c"), "toys")


def test_label_names_as_bytes_and_no_test_data(file):
    write(file, x_train=X, y_train=Y[:, None], label_names=np.array([b"a", b"b", b"\xc3\xa9"]))
    source = npz.read_npz(file)
    assert source.class_names == ("a", "b", "é")
    assert source.x_test is None
    assert source.y_test is None


def test_numbers_name_the_classes_where_nothing_else_does(file):
    write(file, x_train=X, y_train=Y)
    assert npz.read_npz(file).class_names == ("0", "1", "2")
    assert npz.read_npz(file, class_names=["a", "b", "c", "d"]).class_names == ("a", "b", "c", "d")
    assert npz.read_npz(file, class_names=["a", "b"]).class_names == ("0", "1", "2")
    assert npz.read_npz(file, num_classes=5).class_names == tuple("01234")


def test_label_key(file):
    write(
        file,
        x_train=X,
        y_train=Y,
        y_kind_train=Y[::-1] * 0 + [3, 2, 1, 0, 1, 2],
        x_test=X,
        y_test=Y,
        y_kind_test=[1, 1, 1, 1, 1, 4],
        class_names=["a", "b", "c"],
    )
    source = npz.read_npz(file, label_key="y_kind")
    assert source.y_train.tolist() == [3, 2, 1, 0, 1, 2]
    assert source.y_test.tolist() == [1, 1, 1, 1, 1, 4]
    assert source.class_names == tuple("01234")
    with pytest.raises(InputError, match="lacks other_train: expected x_train, other_train"):
        npz.read_npz(file, label_key="other")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_train": Y}, "lacks x_train: expected x_train, y_train and perhaps x_test, y_test"),
        ({"images": X, "labels": Y}, "lacks x_train and y_train.*found images, labels"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "x_test and y_test in .* go together"),
        ({"x_train": X, "y_train": Y[:5]}, "x_train and y_train in .* same length, got 6 and 5"),
        ({"x_train": X, "y_train": Y - 1}, r"y_train in .* labels -2, first at"),
        ({"x_train": X, "y_train": Y + 0.5}, "y_train in .* whole numbers"),
        (
            {"x_train": X / 1.0, "y_train": Y},
            r"x_train in .*floats from 220 to 255.*pixel_range=\(0, 255\)",
        ),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train in .* is empty"),
        ({"x_train": X, "y_train": ["a"] * 6}, "y_train in .* text"),
        ({"x_train": X, "y_train": Y * 0}, r"one class only \(every label is 0\)"),
        ({"x_train": X, "y_train": Y * 0 - 1}, "no label at all.* pass num_classes"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y},
            r"x_test in .* must have shape \(n, 2, 3, 1\), got \(6, 1, 3\)",
        ),
        (
            {"x_train": X, "y_train": Y, "class_names": ["a", "b"]},
            r"y_train in .* labels 2, first at .*\[2\]: labels must be in -1\.\.1",
        ),
        ({"x_train": X, "y_train": Y, "class_names": ["a", "b", "a"]}, "must differ"),
    ],
)
def test_bad_content_is_refused_by_file_name(file, arrays, message):
    write(file, **arrays)
    with pytest.raises(InputError, match=rf"(?s)(?=.*{message}).*toys") as caught:
        npz.read_npz(file, class_names=["a", "b", "c"] if "labels" in arrays else None)
    assert "\n" not in str(caught.value)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("key", ["x_train", "y_train", "class_names"])
def test_pickles_are_refused_and_not_executed(file, tmp_path, key):
    sprung = str(tmp_path / "sprung")
    arrays = {"x_train": X, "y_train": Y, key: np.array([Trap(sprung)], object)}
    write(file, **arrays)
    with pytest.raises(InputError, match=rf"{key} in .*toys\.npz holds pickled .* never loaded"):
        npz.read_npz(file)
    assert not (tmp_path / "sprung").exists()


def test_pickle_file_with_the_name_of_an_npz(file, tmp_path):
    import pickle

    file.write_bytes(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    with pytest.raises(InputError, match=r"toys\.npz is not an npz file"):
        npz.read_npz(file)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("part", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_truncated_files(file, part, save):
    save(file, x_train=np.tile(X, (50, 1, 1)), y_train=np.tile(Y, 50))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError, match=r"toys\.npz is not an npz file, or it is damaged"):
        npz.read_npz(file)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_member(file, save):
    noise = np.random.default_rng(0).integers(0, 256, (300, 8, 8)).astype(np.uint8)
    save(file, x_train=noise, y_train=np.arange(300) % 3)
    content = bytearray(file.read_bytes())
    content[3000:3100] = bytes(100)
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"x_train in .*toys\.npz cannot be read, .* damaged"):
        npz.read_npz(file)


@pytest.mark.parametrize(
    ("offset", "value"), [(8, 1), (10, 99), (10, 14)], ids=["encrypted", "compression", "lzma"]
)
def test_damaged_directory_of_the_archive(file, offset, value):
    write(file, x_train=X, y_train=Y)
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] = value
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"x_train in .*toys\.npz cannot be read, .* damaged"):
        npz.read_npz(file)


def test_files_that_are_no_npz(file):
    with pytest.raises(InputError, match=r"There is no file .*toys\.npz"):
        npz.read_npz(file)
    file.write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match=r"toys\.npz is not an npz file"):
        npz.read_npz(file)
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"toys\.npz is not an npz file"):
        npz.read_npz(file)
    with open(file, "wb") as stream:
        np.save(stream, X)
    with pytest.raises(InputError, match=r"toys\.npz is not .* single array"):
        npz.read_npz(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x_train.npy", "no array")
        archive.writestr("y_train.npy", "no array")
    with pytest.raises(InputError, match=r"toys\.npz"):
        npz.read_npz(file)
    file.unlink()
    file.mkdir()
    with pytest.raises(InputError, match=r"toys\.npz cannot be read: Is a directory"):
        npz.read_npz(file)
