"""Folders of images: pixel values, labels, order, and files that are refused by name."""

import numpy as np
import pytest
from PIL import Image

from tests.data.image_folders import COLOUR, GREY, write
from tfssvae.checks import InputError
from tfssvae.data import folder
from tfssvae.data.folder import read_folder


@pytest.fixture
def toys(tmp_path):
    """Two classes and unlabelled images; each image's first pixel says which one it is."""
    for first, name in enumerate(
        ["train/dog/a.png", "train/cat/b.png", "train/cat/a.BMP", "train/unlabelled/u.png"]
    ):
        pixels = GREY.copy()
        pixels[0, 0] = first + 1
        write(tmp_path / "toys" / name, pixels)
    write(tmp_path / "toys/test/dog/t.png", GREY + 5)
    return tmp_path / "toys"


def test_pixels_labels_and_names(toys):
    (toys / "train/cat/notes.txt").write_text("no image")
    (toys / "train/.hidden").mkdir()
    write(toys / "train/cat/.thumbnail.png")
    source = read_folder(toys)
    assert (source.name, source.class_names) == ("toys", ("cat", "dog"))
    # Sorted by class and file name.
    assert source.x_train[:, 0, 0, 0].tolist() == [3, 2, 1, 4]
    assert source.y_train.tolist() == [0, 0, 1, -1]
    np.testing.assert_array_equal(source.x_train[0, 1:, :, 0], GREY[1:])
    np.testing.assert_array_equal(source.x_test[0, :, :, 0], GREY + 5)
    assert source.y_test.tolist() == [1]
    assert source.x_train.dtype == np.uint8


def test_lossless_formats_and_pixel_modes(tmp_path):
    colour = COLOUR
    palette = Image.fromarray(colour).quantize(16)
    write(tmp_path / "train/a/0.png", colour)
    write(tmp_path / "train/a/1.webp", colour)
    write(tmp_path / "train/a/2.png", np.dstack([colour, np.full((3, 4), 255, np.uint8)]))
    write(tmp_path / "train/a/3.gif", palette)
    write(tmp_path / "train/b/4.png", GREY)
    write(tmp_path / "train/b/5.png", GREY, "LA")
    write(tmp_path / "train/b/6.png", (GREY > 99).astype(np.uint8) * 255, "1")
    write(tmp_path / "train/b/7.png", GREY.astype(np.uint16) * 257)
    write(tmp_path / "train/b/8.png", GREY.astype(np.uint16) * 257 + 129)
    Image.fromarray(colour).save(
        tmp_path / "train/a/1.webp", lossless=True, quality=100, exact=True
    )
    x = read_folder(tmp_path).x_train
    assert x.shape == (9, 3, 4, 3)
    for row in (0, 1, 2):
        np.testing.assert_array_equal(x[row], colour)
    np.testing.assert_array_equal(x[3], np.asarray(palette.convert("RGB")))
    for row in (4, 5, 7):
        np.testing.assert_array_equal(x[row], np.repeat(GREY[..., None], 3, axis=2))
    np.testing.assert_array_equal(x[6, :, :, 1], (GREY > 99) * 255)
    np.testing.assert_array_equal(x[8, :, :, 0], GREY + 1)  # rounded


def test_jpeg_is_read_about_right(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
    write(tmp_path / "train/a/0.jpg", smooth)
    write(tmp_path / "train/b/1.JPEG", 255 - smooth)
    x = read_folder(tmp_path).x_train[..., 0].astype(int)
    assert x.shape == (2, 32, 32)
    assert np.abs(x - [smooth, 255 - smooth]).mean() < 3


def test_grey_option(tmp_path):
    write(tmp_path / "train/a/0.png", np.full((2, 2, 3), [255, 0, 0], np.uint8))
    write(tmp_path / "train/b/1.png", np.full((2, 2), 9, np.uint8))
    x = read_folder(tmp_path, grey=True).x_train
    assert x.shape == (2, 2, 2, 1)
    assert x[:, 0, 0, 0].tolist() == [76, 9]


def test_grey_images_of_any_depth_stay_grey(tmp_path):
    write(tmp_path / "train/a/0.png", GREY)
    write(tmp_path / "train/b/1.png", GREY.astype(np.uint16) * 257)
    write(tmp_path / "train/b/2.png", GREY, "LA")
    x = read_folder(tmp_path).x_train
    assert x.shape == (3, 3, 4, 1)
    for image in x:
        np.testing.assert_array_equal(image[..., 0], GREY)


def test_sizes_must_agree_or_be_given(tmp_path):
    write(tmp_path / "train/a/0.png", np.full((4, 4), 8, np.uint8))
    write(tmp_path / "train/b/1.png", np.array([[0, 255, 0, 255]] * 2, np.uint8))
    with pytest.raises(InputError, match=r"0\.png has 4x4 pixels, .*1\.png has 2x4 .* image_size"):
        read_folder(tmp_path)
    x = read_folder(tmp_path, image_size=(1, 2)).x_train
    assert x.tolist() == [[[[8], [8]]], [[[128], [128]]]]
    with pytest.raises(InputError, match="image_size must be two positive integers"):
        read_folder(tmp_path, image_size=(0, 2))


@pytest.mark.parametrize("content", [b"", b"no image", "truncated", "flipped"])
def test_unreadable_image_is_named(toys, content):
    bad = toys / "train/cat/bad.png"
    if isinstance(content, str):
        write(bad, np.random.default_rng(0).integers(0, 256, (3, 4)).astype(np.uint8))
        whole = bytearray(bad.read_bytes())
        whole[45:50] = bytes(5)
        content = bytes(whole) if content == "flipped" else bytes(whole[:45])
    bad.write_bytes(content)
    with pytest.raises(InputError, match=r"train/cat/bad\.png cannot be read as an image"):
        read_folder(toys)


@pytest.mark.parametrize("limit", [10, 5])
def test_decompression_bombs_are_refused(toys, monkeypatch, limit):
    # Pillow warns above its limit (10 < 12 pixels) and raises above twice that (5).
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match=r"train/cat/a\.BMP is too large to be opened safely"):
        read_folder(toys)


def test_folders_of_another_layout(tmp_path):
    with pytest.raises(InputError, match=r"has no folder train/: expected train/<class>/\*\.png"):
        read_folder(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="has no images in train/"):
        read_folder(tmp_path)
    write(tmp_path / "train/x.png")
    with pytest.raises(InputError, match=r"train/x\.png stands outside of a class folder"):
        read_folder(tmp_path)


def test_one_class_only(tmp_path):
    write(tmp_path / "train/cat/0.png")
    with pytest.raises(InputError, match="1 class: at least two"):
        read_folder(tmp_path)


def test_unlabelled_images_only(tmp_path):
    write(tmp_path / "train/unlabeled/0.png")
    with pytest.raises(InputError, match=r"no label at all.* pass num_classes"):
        read_folder(tmp_path)
    assert read_folder(tmp_path, num_classes=3).class_names == ("0", "1", "2")


def test_test_classes_must_be_train_classes(toys):
    (toys / "test/dogs").mkdir()
    with pytest.raises(InputError, match=r'class "dogs" .*: did you mean "dog"\? Known: cat, dog'):
        read_folder(toys)


def test_many_images_in_chunks_show_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(folder, "_CHUNK", 3)
    monkeypatch.setattr(folder.sys.stderr, "isatty", lambda: True, raising=False)
    for i in range(8):
        write(tmp_path / f"train/{i % 2}/{i}.png", np.full((2, 2), 100 + i, np.uint8))
    source = read_folder(tmp_path)
    assert source.x_train[:, 0, 0, 0].tolist() == [100, 102, 104, 106, 101, 103, 105, 107]
    assert capsys.readouterr().err == "\rreading images 8/8\n"
