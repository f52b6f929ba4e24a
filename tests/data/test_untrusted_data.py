"""Crafted data files: what each would do, and that it is refused with one sentence."""

import io
import json
import os
import socket
import stat
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from tfssvae import limits
from tfssvae.checks import InputError
from tfssvae.data import from_arrays, load
from tfssvae.data.arrays import Source
from tfssvae.data.convert import convert
from tfssvae.data.folder import read_folder
from tfssvae.data.npz import read_npz
from tfssvae.data.shards import MANIFEST, read_shards, write_shards
from tfssvae.data.splits import load_split

X = (255 - np.arange(6 * 2 * 3)).astype(np.uint8).reshape(6, 2, 3)
Y = np.array([0, 1, 2, -1, 1, 0])


@pytest.fixture
def file(tmp_path):
    return tmp_path / "toys.npz"


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def write_members(file, **members):
    whole = {"x_train": X, "y_train": Y}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (whole | members).items():
            if not isinstance(content, bytes):
                stream = io.BytesIO()
                np.save(stream, content)
                content = stream.getvalue()
            archive.writestr(f"{name}.npy", content)


def test_one_large_label_does_not_name_two_billion_classes(file):
    # "0", "1", ... up to the largest label took all memory.
    np.savez(file, x_train=X, y_train=[0, 1, 2_000_000_000, -1, 1, 0])
    with pytest.raises(InputError, match=r"2,000,000,001 classes and at most 100,000 .* raise"):
        read_npz(file)


def test_the_limit_of_classes_can_be_raised(file, monkeypatch):
    np.savez(file, x_train=X, y_train=[0, 1, 150_000, -1, 1, 0])
    monkeypatch.setattr(limits, "CLASSES", 150_001)
    assert len(read_npz(file, num_classes=150_001).class_names) == 150_001


def test_arguments_do_not_name_billions_of_classes():
    # They come from config.json of a run folder too.
    with pytest.raises(InputError, match="clusters has 1,000,000,000,000 classes"):
        load("digits", clusters=10**12)
    with pytest.raises(InputError, match="arrays has 1,000,000,000,000 classes"):
        from_arrays(X, None, num_classes=10**12)


def test_names_without_bytes_are_counted_before_they_are_listed(file):
    # A trillion empty names take no byte in the file, and took all memory as a list.
    header = "{'descr': '|S0', 'fortran_order': False, 'shape': (1000000000000,), }"
    write_members(file, class_names=npy(header))
    with pytest.raises(InputError, match=r"class_names in .*toys\.npz has 1,000,000,000,000"):
        read_npz(file)


def test_an_array_that_unpacks_beyond_memory_is_not_unpacked(file, monkeypatch):
    # A hundred kilobytes of zeros, packed, are a hundred megabytes.
    write_members(file, x_train=np.zeros((6, 10_000, 1_000), np.uint8))
    assert file.stat().st_size < 100_000
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("", (), {"available": 50 * 2**20})())
    monkeypatch.setattr(zlib, "decompressobj", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(InputError, match=r"x_train in .* needs 57 MiB and 50 MiB of memory"):
        read_npz(file)


@pytest.mark.parametrize(
    "header",
    [
        # numpy takes headers apart with ast and tokenize, each with errors of its own.
        "{'descr': '|u1', 'fortran_order'\x93\0('",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 9223372036854775808), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999,), }",
        "{'descr': " + "[" * 90 + "}",
        "__import__('os').system('touch sprung')",
    ],
)
def test_headers_that_are_nearly_those_of_numpy(file, header):
    write_members(file, x_train=npy(header, b"abc"))
    with pytest.raises(InputError, match=r"x_train in .*toys\.npz cannot be read"):
        read_npz(file)


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "a\nb", "\u2028", "x" * 1001])
def test_names_that_would_steer_a_terminal(file, name):
    np.savez(file, x_train=X, y_train=Y, class_names=["a", "b", name])
    with pytest.raises(InputError, match="without control characters; rename") as caught:
        read_npz(file)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_names_of_other_scripts_and_marks_are_names(file):
    names = ["猫", "क्‍ष", "$<b>&'\""]  # the second has a joiner, which is no control character
    np.savez(file, x_train=X, y_train=Y, class_names=names)
    assert read_npz(file).class_names == tuple(names)


def test_names_of_characters_that_do_not_exist(file):
    # numpy made strings of them that no string may be: SystemError, out of the interpreter itself.
    header = "{'descr': '%sU1', 'fortran_order': False, 'shape': (3,), }"
    for order, kind in (("<", "<u4"), (">", ">u4")):
        codes = np.array([97, 98, 0x110000], kind)
        write_members(file, class_names=npy(header % order, codes.tobytes()))
        with pytest.raises(InputError, match=r"class_names in .*toys\.npz .* no text: write names"):
            read_npz(file)
        codes[2] = 0x10FFFF
        write_members(file, class_names=npy(header % order, codes.tobytes()))
        assert read_npz(file).class_names[:2] == ("a", "b")


def test_float16_labels(file):
    # Compared with the largest integer, which float16 has not, they warned of an overflow.
    np.savez(file, x_train=X, y_train=Y.astype(np.float16))
    assert read_npz(file).y_train.tolist() == Y.tolist()


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def loop(path):
    path.symlink_to(path.name)


def listener(path):
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


@pytest.mark.parametrize("make", [pipe, device, loop, listener])
def test_what_is_no_file_is_not_waited_for(file, make, monkeypatch):
    # Opening a pipe that nobody writes to never returned; /dev/zero never ended.
    monkeypatch.chdir(file.parent)  # names of sockets are short
    make(file)
    for read in (read_npz, load_split, limits.read_json):
        with pytest.raises(InputError, match=r"toys\.npz cannot be read: "):
            read(file)


def test_an_unreadable_file_is_named(file, monkeypatch):
    file.write_bytes(b"")

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=r"toys\.npz cannot be read: Permission denied"):
        read_npz(file)


@pytest.mark.parametrize("name", ["a\0b", "a\0b.npz", b"digits", "tfds:\0"])
def test_names_that_are_no_paths(name):
    with pytest.raises(InputError):
        load(name)


def split(**changes) -> str:
    whole = {"format": 1, "name": "d", "n": 3, "seed": 0, "fingerprint": "f"}
    return json.dumps({**whole, "labelled": [0], "validation": [], **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"n": ' + "9" * 5000 + "}", "not JSON"),
        (split(n=2**71, labelled=[2**70]), "n is"),  # beyond numpy's integers
        (split(format=True), "has format True"),
    ],
)
def test_splits_beyond_what_python_and_numpy_follow(tmp_path, content, message):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(InputError, match=rf"split\.json.*{message}"):
        load_split(tmp_path / "split.json")


def test_json_files_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "JSON_BYTES", 100)
    (tmp_path / "split.json").write_text("[" + "0," * 200 + "0]")
    with pytest.raises(InputError, match=r"split\.json has more than .* raise tfssvae\.limits"):
        load_split(tmp_path / "split.json")


@pytest.fixture
def pictures(tmp_path):
    for name in ("train/a/0.png", "train/b/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.fromarray(X[0]).save(tmp_path / name)
    return tmp_path


def test_a_picture_may_not_be_a_program_of_ghostscript(pictures, tmp_path, monkeypatch):
    # Whatever a file is called, Pillow hands PostScript to Ghostscript, a program that runs it.
    sprung = tmp_path / "sprung"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {sprung}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow remembers what it found
    evil = pictures / "train/a/cat.png"
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(evil, "EPS")
    with pytest.raises(
        InputError, match=r"cat\.png cannot be read as an image: its content is not PNG"
    ):
        read_folder(pictures)
    assert not sprung.exists()
    with Image.open(evil) as image, pytest.raises(OSError, match=r".*"):
        image.load()
    assert sprung.exists(), "the trap would have caught a loader that opens anything"


def test_what_is_no_picture_is_passed_over(pictures):
    for number, make in enumerate((pipe, device, loop)):
        make(pictures / f"train/a/{number + 5}.png")
    (pictures / "train/b/self").symlink_to(pictures / "train")
    (pictures / "train/a/8.png").mkdir()
    assert read_folder(pictures).y_train.tolist() == [0, 1]


def png_claiming(width, height) -> bytes:
    def chunk(kind, content):
        checked = kind + content
        return len(content).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    rows = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_small_file_of_billions_of_pixels(pictures):
    (pictures / "train/a/2.png").write_bytes(png_claiming(50_000, 50_000))
    with pytest.raises(InputError, match=r"2\.png is too large to be opened safely"):
        read_folder(pictures, image_size=(2, 3))


def test_a_picture_without_pixels(pictures):
    (pictures / "train/a/2.png").write_bytes(png_claiming(0, 5))
    with pytest.raises(InputError, match=r"2\.png"):
        read_folder(pictures, image_size=(2, 3))


def test_pictures_that_together_exceed_memory_or_disk(pictures, tmp_path):
    # Each is small in its file; resized, they take petabytes.
    size = (2**24, 2**24)
    with pytest.raises(InputError, match="of memory are free: take fewer or smaller examples"):
        read_folder(pictures, image_size=size)
    with pytest.raises(InputError, match="of disk space are free"):
        convert(pictures / ".", tmp_path / "shards", image_size=size)


def test_a_picture_that_shrinks_while_it_is_read(pictures, monkeypatch):
    from tfssvae.data import folder

    read_header = folder._read_header

    def and_cut_off(path, *rest):
        header = read_header(path, *rest)
        path.write_bytes(path.read_bytes()[:40])
        return header

    monkeypatch.setattr(folder, "_read_header", and_cut_off)
    with pytest.raises(InputError, match=r"[01]\.png cannot be read as an image"):
        read_folder(pictures)


@pytest.fixture
def shards(tmp_path):
    x, y = X[..., None], Y.astype(np.int32)
    return write_shards(tmp_path / "s", Source(x, y, x[:2], y[:2], ("a", "b", "c"), "s"))


def test_rows_that_lie_over_each_other_do_not_multiply(shards):
    # Eight bytes a row would claim as many images as wanted from one in the file.
    count = 100_000
    manifest = json.loads((shards / MANIFEST).read_text())
    (shards / MANIFEST).write_text(json.dumps({**manifest, "test": [count]}))
    place = np.load(shards / "test-offsets.npy")[0]
    np.save(shards / "test-offsets.npy", np.full(count, place))
    np.save(shards / "test-labels.npy", np.zeros(count, np.int32))
    with pytest.raises(InputError, match=r"test-00000-of-00001\.tfrecord is missing or cut off"):
        read_shards(shards)


def test_an_archive_in_the_place_of_an_array(shards):
    # np.load returned an open archive, which has no dtype.
    with open(shards / "train-labels.npy", "wb") as stream:
        np.savez(stream, Y)
    with pytest.raises(InputError, match=r"train-labels\.npy is missing or damaged"):
        read_shards(shards)


def test_a_pipe_in_the_place_of_an_array(shards):
    (shards / "train-labels.npy").unlink()
    pipe(shards / "train-labels.npy")
    with pytest.raises(InputError, match=r"train-labels\.npy is missing or damaged"):
        read_shards(shards)
