"""Values whose black and white are not those of their dtype: refused, or mapped as is said."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.data.tfds_files import features, rows, store
from tfssvae import value_range
from tfssvae.checks import InputError, check_images
from tfssvae.data import from_arrays, load
from tfssvae.data.arrays import of_classes
from tfssvae.data.convert import convert
from tfssvae.data.pixel_range import check_pixel_range, from_pixel_range
from tfssvae.data.shards import MANIFEST
from tfssvae.data.sources import load_source

RNG = np.random.default_rng(0)
DIGITS, DIGIT_LABELS = load_digits(return_X_y=True)
MASKS = RNG.integers(0, 2, (24, 3, 4))
TWELVE_BITS = (np.arange(24 * 12).reshape(24, 3, 4) * 14).astype(np.uint16)  # 0, 14, .. 4018
BRIGHT = RNG.integers(0, 256, (24, 3, 4)).astype(np.uint8)
LABELS = np.arange(24) % 2


def write_npz(path, x=MASKS, **more):
    np.savez(path, x_train=x, y_train=np.arange(len(x)) % 2, **more)
    return path


def write_folder(path, images, part="train"):
    for row, image in enumerate(images):
        folder = path / part / "ab"[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{row:03d}.png")
    return path


# What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16])
@pytest.mark.parametrize(
    ("x", "labels", "largest"), [(MASKS, LABELS, 1), (DIGITS, DIGIT_LABELS, 16)]
)
def test_whole_numbers_far_below_255_are_in_doubt(x, labels, largest, dtype):
    with pytest.raises(InputError, match=rf"pixel_range=\(0, {largest}\) .*\(0, 255\)") as caught:
        from_arrays(x.astype(dtype), labels)
    assert f"x_train has whole numbers of at most {largest}, which are nearly" in str(caught.value)


@pytest.mark.parametrize("largest", [64, 255])
def test_a_single_value_of_a_quarter_is_enough(largest):
    x = np.zeros((4000, 30), np.int64)
    x[3999, 29] = largest
    assert from_arrays(x, np.arange(4000) % 2).x_train.max() == largest
    x[3999, 29] = 63
    with pytest.raises(InputError, match="at most 63"):
        from_arrays(x, np.arange(4000) % 2)


def test_the_last_block_counts(monkeypatch):
    monkeypatch.setattr("tfssvae.checks._BLOCK_BYTES", 40)
    x = np.ones((50, 4), np.uint8)
    x[49] = 200
    assert from_arrays(x, np.arange(50) % 2).x_train[49, 0] == 200


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, bool])
def test_what_is_all_black_is_no_doubt(dtype):
    assert not from_arrays(np.zeros((4, 2, 2), dtype), [0, 1, 0, 1]).x_train.any()


def test_floats_divided_twice_are_in_doubt():
    twice = BRIGHT / 255.0 / 255.0
    with pytest.raises(InputError, match=r"divided by 255 twice: use x_train \* 255.*\(0, 1\)"):
        from_arrays(twice, LABELS)
    np.testing.assert_allclose(
        from_arrays(twice, LABELS, pixel_range=(0, 0.003921569)).x_train[..., 0],
        BRIGHT / 255.0,
        atol=2e-6,
    )
    dark = from_arrays(twice, LABELS, pixel_range=(0, 1)).x_train[..., 0]
    np.testing.assert_array_equal(dark, twice.astype(np.float32))
    assert from_arrays(BRIGHT / 255.0 / 60, LABELS).x_train.max() > 1 / 64


def test_what_is_predicted_is_no_doubt_and_what_is_learnt_from_is():
    one = np.full((1, 2, 2), 3, np.uint8)
    assert check_images(one) is not None
    with pytest.raises(InputError, match="x has whole numbers of at most 3"):
        check_images(one, training=True)


def test_test_data_of_another_range_than_the_training_data():
    with pytest.raises(InputError, match="x_test has whole numbers of at most 1"):
        from_arrays(BRIGHT, LABELS, MASKS, LABELS)
    with pytest.raises(InputError, match="x_test has floats of at most"):
        from_arrays(BRIGHT, LABELS, BRIGHT / 255 / 255, LABELS)
    kept = from_arrays(BRIGHT, LABELS, BRIGHT[:5] / 255.0, LABELS[:5])
    np.testing.assert_allclose(kept.x_test, BRIGHT[:5, ..., None] / 255.0, atol=1e-7)
    dark = from_arrays(BRIGHT, LABELS, MASKS, LABELS, pixel_range=(0, 255))
    np.testing.assert_array_equal(dark.x_test[..., 0], MASKS)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[0.0, 16.0]]), r"use x / 16, or pixel_range=\(0, 16\) .* if 16 is the largest"),
        (
            np.array([[0.0, 255.0]]),
            r"divide by 255 .* if they are 8-bit pictures, else pixel_range",
        ),
        (np.array([[0.0, 100.0]]), r"use x / 127, or pixel_range=\(0, 127\)"),
        (np.array([[-1.0, 1.0]]), r"use \(x \+ 1\) / 2, or pixel_range=\(-1, 1\)"),
        (np.array([[0, 4000]], np.uint16), r"x / 4095, or pixel_range=\(0, 4095\)"),
        (np.array([[0.0, 1e300]]), r"x / 1e\+300"),
    ],
)
def test_the_advice_is_that_of_the_range(x, message):
    with pytest.raises(InputError, match=message):
        check_images(x)


def test_an_array_in_a_file_is_named_and_no_path_stands_in_an_expression(tmp_path):
    file = write_npz(tmp_path / "a b.npz", MASKS * 2.0 - 1)
    with pytest.raises(InputError) as caught:
        load(file)
    assert str(caught.value) == (
        f"x_train in {file} has floats from -1 to 1, they must be in 0..1: pass"
        " pixel_range=(-1, 1) (--pixel-range -1 1)."
    )
    np.savez(file, x_train=BRIGHT, y_train=np.where(LABELS == 1, -7, 0))
    with pytest.raises(InputError, match=r"a b\.npz has labels -7, first at y_train\[1\]"):
        load(file)
    np.savez(file, x_train=np.where(BRIGHT.max() == BRIGHT, np.nan, 0.5), y_train=LABELS)
    with pytest.raises(InputError, match=r"the first at x_train\[\d+, \d, \d\]: remove"):
        load(file)


# What a range makes ----------------------------------------------------------------------------


def test_masks_of_any_dtype_are_the_same_data():
    asked = {"labels_per_class": 3, "validation": 4, "seed": 5}
    expected = from_arrays(MASKS.astype(bool), LABELS, **asked)
    assert expected.x_train.dtype == np.uint8
    for x in (MASKS, MASKS.astype(np.uint8), MASKS.astype(np.int8), MASKS.astype(bool)):
        found = from_arrays(x, LABELS, pixel_range=(0, 1), **asked)
        assert found.x_train.dtype == np.uint8
        np.testing.assert_array_equal(found.x_train, expected.x_train)
        assert found.fingerprint == expected.fingerprint
        np.testing.assert_array_equal(found.labelled_indices, expected.labelled_indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_digits_are_their_share_of_16(dtype):
    found = from_arrays(DIGITS.astype(dtype), DIGIT_LABELS, pixel_range=(0, 16)).x_train
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, DIGITS.astype(np.float32) / 16)


@pytest.mark.parametrize(
    ("values", "limits", "expected", "dtype"),
    [
        ([0, 7, 255], (0, 255), [0, 7, 255], np.uint8),
        ([0, 3, 15], (0, 15), [0, 51, 255], np.uint8),
        ([-1, 0, 1], (-1, 1), [0, 0.5, 1], np.float32),
        ([-3, 0, 2], (-3, 2), [0, 153, 255], np.uint8),
        ([0, 1, 2], (0, 2.0), [0, 0.5, 1], np.float32),
        ([0.0, 127.5, 255.0], (0, 255), [0, 0.5, 1], np.float32),
        ([-2.0, 0.5, 3.0], (-2, 3), [0, 0.5, 1], np.float32),
        ([1.0 + 5e-7, -5e-7, 0.25], (0, 1), [1, 0, 0.25], np.float32),
        ([0, 65535, 13107], (0, 65535), [0, 1, 0.2], np.float32),
    ],
)
def test_values_are_mapped_in_closed_form(values, limits, expected, dtype):
    found = from_pixel_range(np.array([values]), limits)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.array([expected], dtype))


def test_what_needs_no_map_is_not_copied():
    data = from_arrays(BRIGHT, LABELS, pixel_range=(0, 255))
    assert np.shares_memory(data.x_train, BRIGHT)


@pytest.mark.parametrize(
    ("x", "limits", "message"),
    [
        (BRIGHT, (0, 200), r"x_train has values from \d+ to 25\d, which .* pixel_range=\(0, 200\)"),
        (BRIGHT / 255.0 - 0.01, (0, 1), r"values from -0\.01 to"),
        (np.array([[np.nan, 0.5]] * 24), (0, 1), r"24 NaN .* first at x_train\[0, 0\]"),
        (MASKS.astype(bool), (0, 255), r"is bool, whose range is \(0, 1\)"),
        (BRIGHT / 255.0, (0, 255), r"floats of at most 1, .* leave it out if they are in 0\.\.1"),
        (np.zeros((0, 2)), (0, 16), "x_train is empty"),
        (np.array([["a"]] * 24), (0, 16), "dtype <U1"),
    ],
)
def test_values_that_are_not_of_the_range_are_refused(x, limits, message):
    with pytest.raises(InputError, match=message):
        from_arrays(x, LABELS, pixel_range=limits)


@pytest.mark.parametrize(
    "given",
    [(0,), (1, 0), (3, 3), (0, np.inf), (np.nan, 1), "01", 16, (0, "1"), (0, 1, 2), (0, True)],
)
def test_a_range_is_two_numbers(given):
    with pytest.raises(InputError, match=r"two numbers, \(low, high\)"):
        check_pixel_range(given)
    with pytest.raises(InputError, match=r"two numbers, \(low, high\)"):
        load("digits", pixel_range=given)


def test_a_range_is_kept_with_the_data():
    data = from_arrays(DIGITS, DIGIT_LABELS, pixel_range=np.array([0.0, 16.0]))
    assert data.pixel_range == (0, 16)
    assert "pixel_range: 0 is black and 16 is white in the source" in data.summary()
    assert load("digits").pixel_range is None
    source = load_source("digits", pixel_range=(0, 255))
    assert of_classes(source, [1, 2]).pixel_range == (0, 255)


def test_other_transforms_come_after_the_range():
    x = np.array([[[0, 4095], [4095, 0]]] * 4, np.uint16)
    found = from_arrays(x, [0, 1, 0, 1], pixel_range=(0, 4095), image_size=(1, 1))
    np.testing.assert_allclose(found.x_train, 0.5)
    binary = from_arrays(x, [0, 1, 0, 1], pixel_range=(0, 4095), binarize="round")
    np.testing.assert_array_equal(binary.x_train[0, ..., 0], [[0, 255], [255, 0]])
    raw = from_arrays(x, [0, 1, 0, 1], pixel_range=(0, 4095))
    assert found.fingerprint == raw.fingerprint


# Files -----------------------------------------------------------------------------------------


def test_npz_files(tmp_path):
    file = write_npz(tmp_path / "masks.npz", x_test=MASKS[:5], y_test=LABELS[:5])
    with pytest.raises(
        InputError, match=r"x_train in .*masks\.npz has whole .*--pixel-range 0 1\)"
    ):
        load(file)
    data = load(file, pixel_range=(0, 1))
    np.testing.assert_array_equal(data.x_train[..., 0], MASKS * 255)
    np.testing.assert_array_equal(data.x_test[..., 0], MASKS[:5] * 255)
    named = load("masks", data_dir=tmp_path, pixel_range=(0, 1))
    assert named.fingerprint == data.fingerprint
    with pytest.raises(InputError, match="nearly black"):
        load("masks", data_dir=tmp_path)


def test_a_split_belongs_to_one_range(tmp_path):
    file = write_npz(tmp_path / "masks.npz")
    data = load(file, pixel_range=(0, 1), labels_per_class=2)
    data.save_split(tmp_path / "split.json")
    again = load(file, pixel_range=(0, 1), split=tmp_path / "split.json")
    np.testing.assert_array_equal(again.labelled_indices, data.labelled_indices)
    with pytest.raises(InputError, match="made from other data"):
        load(file, pixel_range=(0, 255), split=tmp_path / "split.json")


def test_folders_of_masks(tmp_path):
    write_folder(tmp_path, MASKS.astype(np.uint8))
    with pytest.raises(
        InputError, match=r"8-bit images in .*train have values of at most 1.*0 1\)"
    ):
        load(tmp_path)
    found = load(tmp_path, pixel_range=(0, 1)).x_train[..., 0]
    np.testing.assert_array_equal(found, np.concatenate([MASKS[::2], MASKS[1::2]]) * 255)
    dark = load(tmp_path, pixel_range=(0, 255)).x_train[..., 0]
    np.testing.assert_array_equal(dark, np.concatenate([MASKS[::2], MASKS[1::2]]))


def test_all_levels_of_twelve_bits_in_files_of_sixteen(tmp_path):
    write_folder(tmp_path, TWELVE_BITS)
    message = (
        r"16-bit images in .*train have values of at most 4018.*pixel_range=\(0, 4095\).*65535"
    )
    with pytest.raises(InputError, match=message):
        load(tmp_path)
    found = load(tmp_path, pixel_range=(0, 4095)).x_train[..., 0]
    expected = np.concatenate([TWELVE_BITS[::2], TWELVE_BITS[1::2]]) / 4095
    np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert len(np.unique(found)) == TWELVE_BITS.size
    full = load(tmp_path, pixel_range=(0, 65535)).x_train
    assert full.max() == np.float32(4018 / 65535)
    half = load(tmp_path, pixel_range=(0, 4095), image_size=(3, 2)).x_train[0, 0, :, 0]
    np.testing.assert_allclose(half, [7 / 4095, 35 / 4095], atol=1e-7)  # whole numbers, rounded


def test_files_of_eight_and_sixteen_bits(tmp_path):
    write_folder(tmp_path, [BRIGHT[0], *TWELVE_BITS[1:]])
    with pytest.raises(InputError, match="The 16-bit images in"):
        load(tmp_path)
    with pytest.raises(
        InputError, match=r"000\.png has 8 bits, .*002\.png has 16; save them alike"
    ):
        load(tmp_path, pixel_range=(0, 4095))
    write_folder(tmp_path, TWELVE_BITS[:5], "test")
    write_folder(tmp_path, BRIGHT)
    with pytest.raises(InputError, match=r"The 16-bit images in .*test have values of at most"):
        load(tmp_path)


def test_pixels_of_more_than_sixteen_bits_are_refused():
    from tfssvae.data.pixel_range import sixteen_bit_greys

    image = Image.fromarray(np.array([[0, 70_000]], np.int32))
    assert image.mode == "I"
    with pytest.raises(InputError, match="0 to 70000, and at most 16 bits are read"):
        sixteen_bit_greys(image)
    fitting = Image.fromarray(np.array([[0, 60_000]], np.int32))
    np.testing.assert_array_equal(sixteen_bit_greys(fitting)[..., 0], [[0, 60_000]])


# Shards and tfds -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_conversion_maps_once_and_the_shards_know_it(tmp_path, kind):
    if kind == "npz":
        data = write_npz(tmp_path / "x.npz", TWELVE_BITS, x_test=TWELVE_BITS[:3], y_test=[0, 1, 0])
    else:
        data = write_folder(tmp_path / "x", TWELVE_BITS)
    with pytest.raises(InputError, match=r"pixel_range=\(0, 4095\)"):
        convert(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    out = convert(data, tmp_path / "out", pixel_range=(0, 4095), say=lambda text: None)
    found, expected = load(out), load(data, pixel_range=(0, 4095))
    np.testing.assert_array_equal(np.asarray(found.x_train), expected.x_train)
    assert found.fingerprint == expected.fingerprint
    assert found.pixel_range == expected.pixel_range == (0, 4095)
    with pytest.raises(InputError, match="leave it out if it was given there"):
        load(out, pixel_range=(0, 4095))


def test_dark_shards_stay_dark_where_that_was_said(tmp_path):
    file = write_npz(tmp_path / "x.npz")
    out = convert(file, tmp_path / "out", pixel_range=(0, 255), say=lambda text: None)
    np.testing.assert_array_equal(np.asarray(load(out).x_train)[..., 0], MASKS)
    manifest = json.loads((out / MANIFEST).read_text())
    del manifest["pixel_range"]  # as an earlier version wrote them
    (out / MANIFEST).write_text(json.dumps(manifest))
    for stream in (None, True, False):
        with pytest.raises(InputError, match=r"x_train in .*out has whole numbers of at most 1"):
            load(out, stream=stream)
        assert load(out, stream=stream, pixel_range=(0, 255)).pixel_range == (0, 255)
    manifest["pixel_range"] = [1, 0]
    (out / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"tfssvae-shards\.json is damaged"):
        load(out)


@pytest.mark.parametrize("stream", [True, False])
def test_masks_of_tfds(tmp_path, stream):
    masks = MASKS[..., None].astype(np.uint8)
    store(tmp_path, "masks", features({"shape": (3, 4, 1)}), train=rows(masks, LABELS))
    with pytest.raises(InputError, match=r"x_train in tfds:masks has whole numbers of at most 1"):
        load("tfds:masks", data_dir=tmp_path, stream=stream)
    dark = load("tfds:masks", data_dir=tmp_path, stream=stream, pixel_range=(0, 255))
    assert (np.asarray(dark.x_train).max(), dark.pixel_range) == (1, (0, 255))
    if stream:
        with pytest.raises(InputError, match=r"pixel_range=\(0, 1\) to tfssvae convert"):
            load("tfds:masks", data_dir=tmp_path, stream=True, pixel_range=(0, 1))
        return
    for choice in (None, False):
        found = load("tfds:masks", data_dir=tmp_path, stream=choice, pixel_range=(0, 1))
        np.testing.assert_array_equal(found.x_train, masks * 255)
    out = convert(
        "tfds:masks", tmp_path / "out", data_dir=tmp_path, pixel_range=(0, 1), say=lambda text: None
    )
    np.testing.assert_array_equal(np.asarray(load(out).x_train), masks * 255)


def test_the_likeliest_white_of_every_depth():
    for bits in range(1, 32):
        for largest in (2**bits - 1, int(0.9 * (2**bits - 1)) + 1):
            white = value_range.likeliest_white(largest)
            assert white in (2**bits - 1, largest)
            assert white >= largest
    assert value_range.likeliest_white(1e300) == 1e300
