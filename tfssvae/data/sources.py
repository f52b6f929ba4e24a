"""Sources of data: a name or a path in, a `Source` of numpy arrays out."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfssvae import limits
from tfssvae.checks import InputError, check_not_dark, closest
from tfssvae.data import folder, network, npz, shards, splits, tfds
from tfssvae.data.arrays import Allocate, Source, make_source
from tfssvae.data.background import WHITE, Background, check_background
from tfssvae.data.pixel_range import check_pixel_range, is_own_range
from tfssvae.library_errors import reason
from tfssvae.limits import in_memory

__all__ = ["KNOWN_NAMES", "Source", "load_source"]

_DIGITS = tuple(map(str, range(10)))
_CLASS_NAMES: dict[str, tuple[str, ...] | None] = {
    "mnist": _DIGITS,
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "cifar10": (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    "cifar100": None,
}
KNOWN_NAMES = ("digits", *_CLASS_NAMES)

# Where keras.datasets downloads each data set from, and the file of its cache that shows that it
# need not.
_KERAS_HOSTS = {
    "mnist": "storage.googleapis.com",
    "fashion_mnist": "storage.googleapis.com",
    "cifar10": "www.cs.toronto.edu",
    "cifar100": "www.cs.toronto.edu",
}
_KERAS_CACHE = {
    "mnist": "mnist.npz",
    "fashion_mnist": "fashion-mnist/t10k-labels-idx1-ubyte.gz",
    "cifar10": "cifar-10-batches-py-target_archive",
    "cifar100": "cifar-100-python-target_archive",
}

_DIGITS_TEST_FRACTION = 0.2
_DIGITS_TEST_SEED = 20


def load_source(
    name: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    label_key: str | None = None,
    grey: bool = False,
    image_size: Sequence[int] | None = None,
    num_classes: int | None = None,
    allocate: Allocate = in_memory,
    stream: bool | None = None,
    background: Background = WHITE,
    pixel_range: Sequence[float] | None = None,
) -> Source:
    """Reads a data set by name or path.

    Args:
        name: one of `KNOWN_NAMES`, the NAME of a NAME.npz in `data_dir` or `$TFSSVAE_DATA`,
            "tfds:NAME", or the path of an npz file, of a folder of images, or of a folder of
            `write_shards`.
        data_dir: folder with NAME.npz files and tfds data.
        label_key: which labels to read where a data set has several kinds (tfds and npz).
        grey: for images that are read one by one (folders, tfds images of varying size).
        image_size: likewise.
        num_classes: K, for data that does not show it.
        allocate: makes the arrays of images that are read one by one or in batches.
        stream: whether the training images stay in their files, which those of "tfds:NAME" and of
            `write_shards` can; None leaves it to the source.
        background: of transparent images, in a folder of images only; see `check_background`.
        pixel_range: (low, high), the values of black and of white; see `make_source`. Images that
            stay in their files are read as they are, and shards were mapped when they were made.

    Raises:
        InputError: for a name or path that leads nowhere (with the nearest names), and whatever
            the sources refuse.
    """
    if pixel_range is not None:
        pixel_range = check_pixel_range(pixel_range)
    name = os.fspath(name)
    if not isinstance(name, str) or "\0" in name:
        raise InputError(f"{name!r:.80} is neither the name of a data set nor a path.")
    folders = _data_folders(data_dir, name)
    if check_background(background) != WHITE and not _is_folder_of_images(name, folders):
        raise InputError(
            f'"{name}" has no transparent images: background is for folders of images, leave it'
            " out."
        )
    if name.startswith("tfds:"):
        if not is_own_range(pixel_range, np.uint8):
            if stream:
                raise InputError(_read_in_own_range(name, (0, 255), pixel_range))
            stream = False
        source = tfds.read_tfds(
            name.removeprefix("tfds:"),
            folders,
            label_key,
            grey,
            image_size,
            num_classes,
            allocate,
            stream,
            pixel_range,
        )
        return _checked_in_files(source, pixel_range, name)
    if stream and not shards.is_shards(name):
        raise InputError(
            f'"{name}" cannot be streamed: write it as shards with tfssvae convert and load their'
            f" folder, or leave stream out."
        )
    if name == "digits":
        _refuse_label_key(label_key, name)
        return _read_digits(pixel_range)
    if name.endswith(".npz"):
        return npz.read_npz(
            name,
            label_key=label_key,
            num_classes=num_classes,
            pixel_range=pixel_range,
            allocate=allocate,
        )
    file = npz_file(name, data_dir)
    if file is not None:
        names = _CLASS_NAMES.get(name)
        return npz.read_npz(file, name, names, label_key, num_classes, pixel_range, allocate)
    if name in _CLASS_NAMES:
        _refuse_label_key(label_key, name)
        return _read_keras(name, folders, pixel_range)
    if os.path.isdir(name):
        _refuse_label_key(label_key, name)
        if shards.is_shards(name):
            source = _checked_in_files(shards.read_shards(name), pixel_range, name)
            return _in_memory(source) if stream is False else source
        return folder.read_folder(
            name, grey, image_size, num_classes, allocate, background, pixel_range
        )
    raise InputError(_unknown_message(name, folders))


def npz_file(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Return NAME.npz of `data_dir` or else of `$TFSSVAE_DATA`, None where neither has it.

    Raises:
        InputError: `data_dir` is no folder.
    """
    files = (Path(folder) / f"{name}.npz" for folder in _data_folders(data_dir, name))
    return next((file for file in files if _is_plain(name) and file.is_file()), None)


def _checked_in_files(source: Source, pixel_range: tuple[float, float] | None, name: str) -> Source:
    """Return a source whose images may stay in their files, with the range that it has.

    Raises:
        InputError: it is given another range than that of its dtype, or none and is in doubt.
    """
    x = source.x_train
    if isinstance(x, np.ndarray):
        return source
    if not is_own_range(pixel_range, x.dtype):
        own = (0, 255) if x.dtype == np.uint8 else (0, 1)
        raise InputError(_read_in_own_range(name, own, pixel_range))
    if pixel_range is None and source.pixel_range is None:
        check_not_dark(x, f"x_train in {name}")
    return source._replace(pixel_range=source.pixel_range or pixel_range)


def _read_in_own_range(name: str, own: tuple[float, float], pixel_range: Any) -> str:
    return (
        f'The images of "{name}" stay in their files and are read as they are, in {own}: give'
        f" pixel_range={pixel_range} to tfssvae convert, or leave it out if it was given there."
    )


def _in_memory(source: Source) -> Source:
    x = source.x_train
    limits.check_memory(x.shape, x.dtype, f'The training data of "{source.name}"')
    return source._replace(x_train=np.asarray(x))


def _data_folders(data_dir: str | os.PathLike[str] | None, name: str) -> list[str]:
    if data_dir is not None and not name.startswith("tfds:") and not os.path.isdir(data_dir):
        raise InputError(f"data_dir={os.fspath(data_dir)} is not a folder.")
    folders = [data_dir, os.environ.get("TFSSVAE_DATA")]
    return [os.path.expanduser(entry) for entry in folders if entry]


def _is_folder_of_images(name: str, data_folders: Sequence[str]) -> bool:
    if not os.path.isdir(name) or shards.is_shards(name) or name in KNOWN_NAMES:
        return False
    return not any((Path(entry) / f"{name}.npz").is_file() for entry in data_folders)


def _is_plain(name: str) -> bool:
    return bool(name) and Path(name).name == name


def _refuse_label_key(label_key: str | None, name: str) -> None:
    if label_key is not None:
        raise InputError(
            f'"{name}" has one kind of labels: label_key is for tfds: data and npz files.'
        )


def _unknown_message(name: str, folders: Sequence[str]) -> str:
    if os.path.isfile(name):
        return f"{name} is neither an npz file nor a folder of images."
    if name and not _is_plain(name):
        return f"There is no file or folder {name}."
    stored = [file.stem for entry in folders for file in sorted(Path(entry).glob("*.npz"))]
    return (
        f'Unknown data set "{name}": {closest(name, (*KNOWN_NAMES, *stored))}; or tfds:NAME, the'
        f" path of an npz file, or the path of a folder of images."
    )


def _read_digits(pixel_range: Sequence[float] | None) -> Source:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError('"digits" needs scikit-learn: pip install scikit-learn.') from error
    digits = load_digits()
    # Values are whole numbers 0..16.
    x = ((digits.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)
    y = digits.target.astype(np.int32)
    # A seed of its own: the test rows must be the same whatever the user's seed.
    test = splits.choose_labelled(
        y, 10, label_fraction=_DIGITS_TEST_FRACTION, seed=_DIGITS_TEST_SEED
    )
    train = np.setdiff1d(np.arange(len(y)), test)
    return make_source(
        x[train],
        y[train],
        x[test],
        y[test],
        name="digits",
        class_names=_DIGITS,
        pixel_range=pixel_range,
    )


def _read_keras(name: str, folders: Sequence[str], pixel_range: Sequence[float] | None) -> Source:
    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    if not (cache / _KERAS_CACHE[name]).exists():
        looked_for = [str(Path(entry) / f"{name}.npz") for entry in folders]
        looked_for.append(str(cache / _KERAS_CACHE[name]))
        _require_network(name, looked_for)
    module = importlib.import_module(f"keras.datasets.{name}")
    try:
        (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as error:
        raise InputError(
            f'"{name}" could not be downloaded or read by Keras: {reason(error)}'
        ) from error
    return make_source(
        x_train,
        y_train,
        x_test,
        y_test,
        name=name,
        class_names=_CLASS_NAMES[name],
        num_classes=100 if name == "cifar100" else None,
        pixel_range=pixel_range,
    )


def _require_network(name: str, looked_for: Sequence[str]) -> None:
    if not network.is_reachable(_KERAS_HOSTS[name]):
        raise InputError(
            f'"{name}" is not on this computer (looked for {" and ".join(looked_for)}) and'
            f" {_KERAS_HOSTS[name]} cannot be reached. Put {name}.npz (x_train, y_train, x_test,"
            f" y_test) into a folder and pass it as data_dir or set TFSSVAE_DATA to it."
        )
