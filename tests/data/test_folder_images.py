"""Folders of images: what is read of each format, upright and over a background."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

from tests.data.image_folders import COLOUR, GREY, write
from tfssvae.checks import InputError
from tfssvae.data import load
from tfssvae.data.background import check_background
from tfssvae.data.convert import convert
from tfssvae.data.folder import read_folder


@pytest.fixture
def read(tmp_path):
    """Return a function that reads one image, saved under a name, as an array (h, w, c)."""

    def one(name, image, options=None, **reading):
        write(tmp_path / f"train/a/{name}", image, **(options or {}))
        write(tmp_path / f"train/b/{name}", image, **(options or {}))
        return read_folder(tmp_path, **reading).x_train[0]

    return one


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("0.tif", {}),
        ("0.TIFF", {"compression": "tiff_lzw"}),
        ("0.tif", {"compression": "tiff_adobe_deflate"}),
        ("0.tif", {"compression": "packbits"}),
        ("0.ppm", {}),
        ("0.pnm", {}),
    ],
)
def test_lossless_formats(read, name, options):
    np.testing.assert_array_equal(read(name, COLOUR, options), COLOUR)


@pytest.mark.parametrize("name", ["0.pgm", "0.tif"])
@pytest.mark.parametrize("depth", [8, 16])
def test_grey_formats(read, name, depth):
    stored = GREY if depth == 8 else GREY.astype(np.uint16) * 257
    np.testing.assert_array_equal(read(name, stored)[..., 0], GREY)


@pytest.mark.parametrize("name", ["0.jfif", "0.jpe"])
def test_names_of_jpeg(read, name):
    assert abs(read(name, np.full((8, 8), 100, np.uint8)).astype(int) - 100).max() < 3


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif(read):
    found = read("0.avif", np.full((8, 8, 3), [200, 100, 50], np.uint8), {"quality": 95})
    assert np.abs(found.astype(int) - [200, 100, 50]).max() < 6


def test_modes_of_tiff(read):
    binary = (GREY > 99).astype(np.uint8) * 255
    assert read("0.tif", Image.fromarray(binary).convert("1"))[..., 0].tolist() == binary.tolist()
    palette = Image.fromarray(COLOUR).quantize(16)
    np.testing.assert_array_equal(read("0.tif", palette), np.asarray(palette.convert("RGB")))
    ink = Image.fromarray(255 - COLOUR).convert("CMYK")
    np.testing.assert_array_equal(read("0.tif", ink), np.asarray(ink.convert("RGB")))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_tiff_that_does_not_say_what_is_white_is_refused(read, dtype):
    with pytest.raises(InputError, match=r"0\.tif cannot be read .* what black and white are"):
        read("0.tif", GREY.astype(dtype))


def change_tags(file, changes):
    """Change tags of a TIFF: {number: (number, value)}."""
    content = bytearray(file.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    left = dict(changes)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        (number,) = struct.unpack_from("<H", content, place)
        if number in left:
            number, value = left.pop(number)
            struct.pack_into("<HHII", content, place, number, 4, 1, value)
    assert not left
    file.write_bytes(content)


def test_signed_eight_bits_are_refused(tmp_path):
    # Pillow reads -1 as 255.
    for name in ("a/0", "b/1"):
        write(tmp_path / f"train/{name}.tif")
    change_tags(tmp_path / "train/b/1.tif", {284: (339, 2)})
    with pytest.raises(InputError, match=r"1\.tif cannot be read .* signed numbers"):
        read_folder(tmp_path)


def test_sixteen_bits_whose_white_is_zero_are_refused(tmp_path):
    # Pillow turns 8 bits round, and leaves 16 as they are: a negative.
    for name in ("a/0", "b/1"):
        write(tmp_path / f"train/{name}.tif", GREY.astype(np.uint16) * 257)
    change_tags(tmp_path / "train/a/0.tif", {262: (262, 0)})
    with pytest.raises(InputError, match=r"0\.tif cannot be read .* white is 0 in its 16 bits"):
        read_folder(tmp_path)


@pytest.mark.parametrize("compression", ["jpeg", "tiff_ccitt", "group4"])
def test_rare_compressions_of_tiff_are_refused(read, compression):
    image = Image.fromarray(COLOUR).convert("RGB" if compression == "jpeg" else "1")
    with pytest.raises(InputError, match=rf"its compression is {compression}, and of TIFF only"):
        read("0.tif", image, {"compression": compression})


def test_a_small_tiff_of_huge_tiles_is_refused(tmp_path):
    # Whoever decodes it takes memory for whole tiles.
    for name in ("a/0", "b/1"):
        write(tmp_path / f"train/{name}.tif", compression="tiff_lzw")
    change_tags(tmp_path / "train/b/1.tif", {278: (322, 2**14), 284: (323, 2**14)})
    with pytest.raises(InputError, match=r"1\.tif .* tiles have 16384 x 16384 pixels, too many"):
        read_folder(tmp_path)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_a_tiff_that_is_cut_off(tmp_path, capfd, compression):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    for name in ("a/0", "b/1"):
        write(tmp_path / f"train/{name}.tif", pixels, compression=compression)
    file = tmp_path / "train/b/1.tif"
    change_tags(file, {273: (273, file.stat().st_size - 100)})
    with pytest.raises(InputError, match=r"1\.tif cannot be read as an image: "):
        read_folder(tmp_path)
    assert capfd.readouterr().err == ""  # libtiff writes there


# Upright ------------------------------------------------------------------------------------------

# What a camera that was held so would have stored of the picture.
STORED = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: np.swapaxes(seen, 0, 1),
    6: lambda seen: np.rot90(seen),
    7: lambda seen: np.swapaxes(seen[::-1, ::-1], 0, 1),
    8: lambda seen: np.rot90(seen, -1),
}


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("0.png", {}),
        ("0.webp", {"lossless": True}),
        ("0.tif", {}),
        ("0.tif", {"compression": "tiff_lzw"}),
    ],
)
def test_images_are_upright(read, orientation, name, options):
    stored = np.ascontiguousarray(STORED[orientation](COLOUR))
    found = read(name, stored, options | turned(orientation))
    np.testing.assert_array_equal(found, COLOUR)


@pytest.mark.parametrize("orientation", STORED)
def test_photographs_are_upright(read, orientation):
    seen = np.zeros((32, 48), np.uint8)
    seen[:16, :16] = 255  # the upper left
    found = read("0.jpg", np.ascontiguousarray(STORED[orientation](seen)), turned(orientation))
    assert np.abs(found[..., 0].astype(int) - seen).mean() < 3


def test_sixteen_bits_are_upright(read):
    stored = np.ascontiguousarray(np.rot90(GREY)).astype(np.uint16) * 257
    np.testing.assert_array_equal(read("0.png", stored, turned(6))[..., 0], GREY)


def test_upright_sizes_agree(tmp_path):
    write(tmp_path / "train/a/0.png", COLOUR)
    write(tmp_path / "train/b/1.png", np.ascontiguousarray(np.rot90(COLOUR)), **turned(6))
    x = read_folder(tmp_path).x_train
    np.testing.assert_array_equal(x[0], x[1])
    write(tmp_path / "train/b/2.png", COLOUR, **turned(8))
    with pytest.raises(InputError, match=r"0\.png has 3x4 pixels, .*2\.png has 4x3 "):
        read_folder(tmp_path)


def test_damaged_exif_is_none(read):
    found = read("0.png", COLOUR, {"exif": b"Exif\0\0no tags"})
    np.testing.assert_array_equal(found, COLOUR)


# Over a background --------------------------------------------------------------------------------

ALPHA = np.linspace(0, 255, 12).astype(np.uint8).reshape(3, 4)


def over(colours, alpha, background):
    part = alpha[..., np.newaxis] / 255
    return np.floor(colours * part + np.array(background) * (1 - part) + 0.5)


@pytest.mark.parametrize("background", ["white", "black", "#3366cc", 100, (10, 200, 30)])
@pytest.mark.parametrize("name", ["0.png", "0.tif"])
def test_transparent_colours(read, name, background):
    image = Image.fromarray(np.dstack([COLOUR, ALPHA]))
    found = read(name, image, background=background)
    np.testing.assert_array_equal(found, over(COLOUR, ALPHA, check_background(background)))


def test_content_in_the_alpha_channel_is_seen(read):
    drawn = np.dstack([np.zeros((3, 4, 3), np.uint8), ALPHA])
    np.testing.assert_array_equal(read("0.png", drawn), np.repeat(255 - ALPHA[..., None], 3, 2))
    with pytest.raises(InputError, match=r"0\.png .* nothing over the background \(0, 0, 0\)"):
        read("0.png", drawn, background="black")


def test_an_image_that_is_transparent_everywhere_is_refused(read):
    with pytest.raises(InputError, match=r"0\.png .* it shows nothing over the background"):
        read("0.png", np.dstack([COLOUR, 0 * ALPHA]))
    blank = np.full((3, 4, 4), [9, 9, 9, 0], np.uint8)  # which hides nothing
    assert (read("0.png", blank) == 255).all()


@pytest.mark.parametrize("background", ["white", 7])
def test_transparent_greys_stay_grey(read, background):
    image = Image.fromarray(np.dstack([GREY, ALPHA]), "LA")
    found = read("0.png", image, background=background)
    expected = over(GREY[..., None], ALPHA, check_background(background)[:1])
    np.testing.assert_array_equal(found, expected)


def test_transparent_greys_over_a_colour_have_colour(read):
    image = Image.fromarray(np.dstack([GREY, ALPHA]), "LA")
    found = read("0.png", image, background="#3366cc")
    np.testing.assert_array_equal(found, over(GREY[..., None], ALPHA, (0x33, 0x66, 0xCC)))
    grey = read("0.png", image, background="#3366cc", grey=True)
    assert grey.shape == (3, 4, 1)
    assert grey[0, 0, 0] == 98  # 0.299 * 0x33 + 0.587 * 0x66 + 0.114 * 0xcc


@pytest.mark.parametrize("background", ["white", "black"])
def test_transparent_entries_of_a_palette(read, background):
    palette = Image.fromarray(COLOUR).quantize(16)
    indices = np.asarray(palette)
    alpha = np.where(indices == indices[1, 2], 0, 255)
    expected = over(np.asarray(palette.convert("RGB")), alpha, check_background(background))
    one = int(indices[1, 2])
    for name in ("0.png", "0.gif"):
        found = read(name, palette, {"transparency": one}, background=background)
        np.testing.assert_array_equal(found, expected)
    several = bytes(0 if k == one else 255 for k in range(16))
    found = read("0.png", palette, {"transparency": several}, background=background)
    np.testing.assert_array_equal(found, expected)


def test_one_colour_that_is_transparent(read):
    pixels = COLOUR.copy()
    pixels[0, 0] = pixels[2, 3] = [1, 2, 3]
    found = read("0.png", pixels, {"transparency": (1, 2, 3)})
    pixels[0, 0] = pixels[2, 3] = 255
    np.testing.assert_array_equal(found, pixels)


def png(bits, kind, rows, transparent) -> bytes:
    """Return a PNG of two pixels; kinds are 0, grey, and 2, colour."""

    def chunk(name, content):
        checked = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checked)

    head = struct.pack(">IIBBBBB", 2, 1, bits, kind, 0, 0, 0)
    data = zlib.compress(b"\0" + rows)
    parts = (b"IHDR", head), (b"tRNS", transparent), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(("bits", "row"), [(1, 0x80), (2, 0x40), (4, 0x30), (8, 0x02)])
def test_one_grey_that_is_transparent(tmp_path, bits, row):
    # The first pixel has 1, 1, 3, 2 and is transparent; the second, black, is not.
    value = row >> (8 - bits)
    content = png(bits, 0, bytes([row, 0]), struct.pack(">H", value))
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "0.png").write_bytes(content)
    x = read_folder(tmp_path, background=100).x_train
    assert x[0, 0, :, 0].tolist() == [100, 0]


@pytest.mark.parametrize(("kind", "samples"), [(0, 1), (2, 3)])
def test_transparent_values_of_sixteen_bits_are_refused(tmp_path, kind, samples):
    # Pillow compares them with the 8 bits that it keeps.
    content = png(16, kind, b"\xff\x01" * samples + bytes(2 * samples), b"\xff\x01" * samples)
    write(tmp_path / "train/a/0.png", np.zeros((1, 2), np.uint8))
    (tmp_path / "train/b").mkdir()
    (tmp_path / "train/b/1.png").write_bytes(content)
    with pytest.raises(InputError, match=r"1\.png .* names a transparent value in 16 bits"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    "background", ["whitish", "#12345678", 256, -1, 0.5, (1, 2), (1, 2, 300), None, True, [1.5] * 3]
)
def test_backgrounds_that_are_no_colour(tmp_path, background):
    with pytest.raises(InputError, match="background must be the name of a colour"):
        read_folder(tmp_path, background=background)


def test_background_of_load_and_convert(tmp_path):
    drawn = np.dstack([np.zeros((3, 4, 3), np.uint8), ALPHA])
    for name in ("a/0.png", "b/1.png"):
        write(tmp_path / "photos/train" / name, drawn)
    photos = tmp_path / "photos"
    expected = over(0 * COLOUR, ALPHA, (255, 0, 0))
    found = load(photos, background=(255, 0, 0))
    np.testing.assert_array_equal(found.x_train[0], expected)
    assert found.fingerprint != load(photos).fingerprint
    shards = convert(photos, tmp_path / "shards", background="red", say=lambda line: None)
    np.testing.assert_array_equal(load(shards, stream=False).x_train[0], expected)
    for name in ("digits", shards):
        with pytest.raises(InputError, match="background is for folders of images, leave it out"):
            load(name, background="red")


def test_content_says_the_format(tmp_path):
    # A TIFF that is called PNG is read as what it is.
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "TIFF")
    write(tmp_path / "train/a/0.png", GREY)
    (tmp_path / "train/b").mkdir()
    (tmp_path / "train/b/1.png").write_bytes(file.getvalue())
    x = read_folder(tmp_path).x_train
    np.testing.assert_array_equal(x[0], x[1])
