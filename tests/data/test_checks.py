"""Every bad input is refused with a message that says what came and what to do."""

import subprocess
import sys

import numpy as np
import pytest

from tfssvae import checks
from tfssvae.checks import (
    InputError,
    check_count,
    check_images,
    check_labels,
    check_same_length,
    closest,
)


def test_checks_and_data_import_without_tensorflow():
    code = (
        "import sys, tfssvae.checks, tfssvae.data;"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'PIL', 'tensorflow_datasets'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_in_the_right_form_are_not_copied(dtype):
    x = np.ones((2, 3, 4, 1), dtype)
    assert check_images(x) is x
    table = np.ones((2, 3), dtype)
    assert check_images(table) is table
    grey = np.ones((2, 3, 4), dtype)
    assert check_images(grey).shape == (2, 3, 4, 1)
    assert np.shares_memory(check_images(grey), grey)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([[True, False]]), np.array([[255, 0]], np.uint8)),
        (np.array([[0, 7, 255]], np.int64), np.array([[0, 7, 255]], np.uint8)),
        (np.array([[0, 255]], np.uint16), np.array([[0, 255]], np.uint8)),
        (np.array([[0, 0.25, 1]], np.float64), np.array([[0, 0.25, 1]], np.float32)),
        (np.array([[-1e-7, 0.5, 1 + 2e-16]]), np.array([[0, 0.5, 1]], np.float32)),
        (np.array([[0.5, 1 + 2e-7]], np.float32), np.array([[0.5, 1]], np.float32)),
        (np.array([[0.5]], ">f4"), np.array([[0.5]], np.float32)),
        ([[0, 1], [2, 3]], np.array([[0, 1], [2, 3]], np.uint8)),
    ],
)
def test_pixels_keep_their_meaning(given, expected):
    got = check_images(given)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([[-1.0, 1.0]]), r"x has floats from -1 to 1, .* \(x \+ 1\) / 2"),
        (np.array([[0.0, 255.0]]), r"from 0 to 255, they must be in 0\.\.1: divide by 255"),
        (np.array([[0.0, 1000.0]]), r"use x / 1023, .* if 1023 is the largest possible value"),
        (np.array([[0.0, 1.1]]), r"from 0 to 1\.1, .* use x / 1\.1, .* the largest possible value"),
        (np.array([[0.0, 1.000002]]), r"from 0 to 1\.000002, "),
        (np.array([[-3.0, 2.5]]), r"from -3 to 2\.5, .* \(x - low\) / \(high - low\)"),
        (np.array([[0, 256]]), r"integers from 0 to 256, pixels must be in 0\.\.255"),
        (np.array([[-1, 5]], np.int8), r"integers from -1 to 5"),
        (np.zeros(4), r"got \(4,\)\. For one example pass x\[None\]"),
        (np.zeros((1, 1, 1, 1, 1)), r"must have shape .* got \(1, 1, 1, 1, 1\)"),
        (np.float32(1), r"got \(\)"),
        (np.zeros((0, 28, 28)), r"x is empty: its shape is \(0, 28, 28\)"),
        (np.zeros((3, 0)), r"x is empty"),
        (np.array([["a"]]), r"dtype <U1"),
        (np.array([[None]]), r"dtype object"),
        (np.array([[1j]]), r"dtype complex128"),
        ([[1, 2], [3]], r"cannot be read as an array"),
    ],
)
def test_bad_images_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        check_images(given)


def test_message_uses_the_name_of_the_array():
    with pytest.raises(InputError, match=r"photos has floats .* use \(photos \+ 1\) / 2"):
        check_images(np.array([[-1.0]]), name="photos")


@pytest.mark.parametrize("block_bytes", [1, 1 << 26])
def test_nan_and_infinity_are_counted_and_found_in_any_block(monkeypatch, block_bytes):
    monkeypatch.setattr(checks, "_BLOCK_BYTES", block_bytes)
    x = np.zeros((5, 2, 2, 1), np.float32)
    x[3, 1, 0, 0], x[4, 0, 0, 0], x[4, 1, 1, 0] = np.nan, np.inf, -np.inf
    with pytest.raises(InputError, match=r"3 NaN or infinite values, the first at x\[3, 1, 0, 0\]"):
        check_images(x)


def test_range_is_checked_in_every_block(monkeypatch):
    monkeypatch.setattr(checks, "_BLOCK_BYTES", 1)
    x = np.zeros((5, 2))
    x[1, 0], x[4, 1] = -1, 3
    with pytest.raises(InputError, match="floats from -1 to 3"):
        check_images(x)


def test_blocks_cover_every_row_once(monkeypatch):
    monkeypatch.setattr(checks, "_BLOCK_BYTES", 24)
    x = np.zeros((7, 3), np.float32)
    blocks = list(checks.row_blocks(x))
    assert blocks == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8)]
    assert list(checks.row_blocks(x, itemsize=8))[:2] == [slice(0, 1), slice(1, 2)]


def test_shape_of_one_example():
    grey = np.zeros((2, 28, 28), np.uint8)
    assert check_images(grey, shape=(28, 28)).shape == (2, 28, 28, 1)
    assert check_images(grey, shape=(28, 28, 1)).shape == (2, 28, 28, 1)
    assert check_images(grey[..., None], shape=(28, 28)).shape == (2, 28, 28, 1)
    with pytest.raises(InputError, match=r"must have shape \(n, 784\), got \(2, 28, 28\)"):
        check_images(grey, shape=(784,))
    with pytest.raises(InputError, match=r"got \(28, 28\)\. For one example pass x\[None\]"):
        check_images(grey[0], shape=(28, 28))


@pytest.mark.parametrize(
    ("given", "num_classes", "expected"),
    [
        ([0, 2, -1], 3, [0, 2, -1]),
        ([[0], [2]], 3, [0, 2]),
        (np.array([1.0, -1.0]), None, [1, -1]),
        (np.array([True, False]), 2, [1, 0]),
        (np.array([3, 250], np.uint8), None, [3, 250]),
        ([[0, 1, 0], [0, 0, 1]], 3, [1, 2]),
        ([[0.0, 1.0], [1.0, 0.0]], 2, [1, 0]),
    ],
)
def test_labels_become_int32(given, num_classes, expected):
    got = check_labels(given, num_classes)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("given", "num_classes", "message"),
    [
        ([0, 10, 12, 10], 10, r"labels 10, 12, first at y\[1\]: labels must be in -1\.\.9"),
        ([0, -2], None, r"labels -2, first at y\[1\]: labels must be -1 or more"),
        ([0, 2**40], None, r"labels 1099511627776"),
        (range(100, 110), 10, r"100, 101, 102, 103, 104, \.\.\.,"),
        ([0.0, 0.5], None, r"labels 0\.5, first at y\[1\]: labels must be whole"),
        ([0.0, np.nan], None, r"1 label that is missing .* first at y\[1\]: write -1 where"),
        ([np.inf, 0.0], None, r"labels inf"),
        ([], None, "y is empty"),
        (["cat", "dog"], None, r"labels that are text \('cat', 'dog'\).*names = sorted"),
        (np.array(["2024-01-01"], "M8[D]"), None, r"dtype datetime64\[D\]: labels are integers"),
        ([[0, 1], [1, 0]], None, r"got \(2, 2\) with num_classes=None"),
        ([[0, 1], [1, 0]], 3, r"got \(2, 2\) with num_classes=3"),
        ([[0, 1], [1, 1]], 2, r"one-hot .* row 1 is not"),
        ([[0, 1], [0, 2]], 2, r"row 1 is not"),
        ([[0.9, 0.1], [0, 1]], 2, r"row 0 is not"),
        (np.zeros((2, 2, 2)), 2, r"got \(2, 2, 2\)"),
        (0, 2, r"got \(\)"),
    ],
)
def test_bad_labels_are_refused(given, num_classes, message):
    with pytest.raises(InputError, match=message):
        check_labels(given, num_classes)


def test_unlabelled_can_be_forbidden():
    with pytest.raises(InputError, match=r"labels -1, first at y\[1\]: labels must be in 0\.\.1\."):
        check_labels([0, -1], 2, allow_unlabelled=False)


def test_same_length():
    check_same_length(np.zeros(3), np.zeros((3, 2)))
    with pytest.raises(InputError, match="a and b must have the same length, got 3 and 4"):
        check_same_length(np.zeros(3), np.zeros(4), ("a", "b"))


@pytest.mark.parametrize("bad", [-1, 1.0, True, "3", None])
def test_counts(bad):
    assert check_count(np.int64(3), "seed") == 3
    with pytest.raises(InputError, match="seed must be a whole number"):
        check_count(bad, "seed")


def test_closest_names():
    known = ["mnist", "Digits"]
    assert closest("mnits", known) == 'did you mean "mnist"? Known: Digits, mnist'
    assert closest("digit", known) == 'did you mean "Digits"? Known: Digits, mnist'
    assert closest("MNIST", known) == 'did you mean "mnist"? Known: Digits, mnist'
    assert closest("zzz", known) == "known: Digits, mnist"
    two_forms = closest("caf\u00e9", ["cafe\u0301", "tea"])
    assert two_forms.startswith(r"did you mean 'cafe\u0301', got 'caf\xe9'?"), two_forms
    many = closest("name77", [f"name{i}" for i in range(100)])
    assert many.startswith('did you mean "name77"?')
    assert many.endswith("(100 in all)")
    assert many.count(",") == 19


@pytest.mark.parametrize("shape", [(5, 3, 32, 32), (5, 1, 28, 28), (2, 4, 8, 6)])
def test_channels_first_are_refused(shape):
    images = np.zeros(shape, np.uint8)
    line = r"channels first, .* numpy\.moveaxis\(x, 1, -1\)"
    with pytest.raises(InputError, match=line):
        check_images(images)
    with pytest.raises(InputError, match=line):
        check_images(images, shape=(shape[2], shape[3], shape[1]))
    assert check_images(np.moveaxis(images, 1, -1)).shape == (shape[0], *shape[2:], shape[1])


@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (5, 3, 32, 1), (5, 4, 4, 3), (5, 1, 30, 3)])
def test_small_images_are_no_channels(shape):
    assert check_images(np.zeros(shape, np.uint8)).shape == shape


def test_rows_of_zeros_have_no_label():
    np.testing.assert_array_equal(check_labels([[0, 1], [0, 0], [1, 0]], 2), [1, -1, 0])
    with pytest.raises(InputError, match=r"labels -1, first at y\[1\]: labels must be in 0\.\.1"):
        check_labels([[0, 1], [0, 0]], 2, allow_unlabelled=False)
