"""Data from tensorflow-datasets (`tfds:NAME`)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae import limits
from tfssvae.checks import InputError, closest
from tfssvae.data import images, network
from tfssvae.data.arrays import Allocate, Source, make_source
from tfssvae.limits import in_memory

_NAME = re.compile(r"\w+(/[\w.+-]+)?(:\d+\.\d+\.\d+)?")
_OWN_MODULES = "tensorflow_datasets."
_HOST = "storage.googleapis.com"
_BATCH = 1024


def read_tfds(
    name: str,
    data_dirs: Sequence[str | os.PathLike[str]] = (),
    label_key: str | None = None,
    grey: bool = False,
    image_size: Sequence[int] | None = None,
    num_classes: int | None = None,
    allocate: Allocate = in_memory,
) -> Source:
    """Reads the train and, where it exists, the test split of an image data set.

    What is already prepared on disk is used; otherwise it is downloaded and prepared, if the
    network can be reached.

    Args:
        name: "NAME", "NAME/CONFIG" or "NAME:VERSION" as in `tfds.load`.
        data_dirs: folders looked into before `$TFDS_DATA_DIR` (or tfds's default folder); a
            download goes to the first.
        label_key: the feature that is the label; "label" when not given (no such feature: no row
            has a label).
        grey: converts colour to one channel, here only for images of varying size.
        image_size: (height, width), here only for images of varying size.
        num_classes: K, for data without labels.
        allocate: makes the arrays of all images.

    Raises:
        InputError: for an unknown name, data that is neither on disk nor to be downloaded, data
            that is damaged or is not images with labels, and data that asks to import a module.
    """
    builder = _find_builder(name, _folders(data_dirs))
    splits, features = builder.info.splits, builder.info.features
    if "train" not in splits:
        raise InputError(f'"tfds:{name}" has no train split, only {", ".join(splits)}.')
    if "image" not in features:
        raise InputError(f'"tfds:{name}" has no "image", only {", ".join(features)}.')
    if label_key is not None and label_key not in features:
        raise InputError(f'"tfds:{name}" has no "{label_key}": {closest(label_key, features)}.')
    key = label_key or ("label" if "label" in features else None)

    try:
        arrays = {
            split: _read_split(builder, split, key, grey, image_size, allocate)
            for split in ("train", "test")
            if split in splits
        }
    except InputError:
        raise
    except _damage() as error:
        raise InputError(f'"tfds:{name}" is damaged: {_first_line(error)}') from error
    x_test, y_test = arrays.get("test", (None, None))
    class_names = getattr(features[key], "names", None) if key else None
    known = getattr(features[key], "num_classes", None) if key else None
    return make_source(
        *arrays["train"],
        x_test,
        y_test,
        name=name,
        class_names=class_names or None,
        num_classes=known or num_classes,
        origin=f"tfds:{name}",
    )


def _folders(data_dirs: Sequence[str | os.PathLike[str]]) -> list[str]:
    default = os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")
    return [os.path.expanduser(folder) for folder in (*data_dirs, default)]


def _find_builder(name: str, folders: Sequence[str]) -> Any:
    import tensorflow_datasets as tfds

    if not _NAME.fullmatch(name):
        raise InputError(
            f'"tfds:{name}" is not understood: write tfds:NAME, tfds:NAME/CONFIG or'
            f" tfds:NAME:VERSION."
        )
    builders = []
    plain = re.split("[/:]", name)[0]
    for folder in folders:
        _refuse_foreign_features(Path(folder) / plain)
        try:
            builder = tfds.builder(name, data_dir=folder)
        except tfds.core.DatasetNotFoundError:
            continue
        except (ValueError, AssertionError, TypeError) as error:
            raise InputError(f'"tfds:{name}" cannot be opened: {_first_line(error)}') from error
        if _is_prepared(builder):
            return builder
        builders.append(builder)
    if not builders:
        nearest = closest(plain, tfds.list_builders(with_community_datasets=False))
        raise InputError(
            f'Unknown data set "tfds:{name}", and no such folder in {" or ".join(folders)}:'
            f" {nearest}"
        )
    _download(builders[0], name, folders)
    return builders[0]


def _refuse_foreign_features(folder: Path) -> None:
    """Refuse prepared data that name a class of their own: tfds would import its module."""
    for file in sorted(folder.rglob("features.json")):
        parts: list[Any] = [limits.read_json(file)]
        while parts:
            part = parts.pop()
            if isinstance(part, list):
                parts += part
            elif isinstance(part, dict):
                parts += part.values()
                module = part.get("pythonClassName", part.get("python_class_name", _OWN_MODULES))
                if not isinstance(module, str) or not module.startswith(_OWN_MODULES):
                    raise InputError(
                        f"{file} asks to import {module!r:.80}, and data may only name what is"
                        f" below {_OWN_MODULES}: prepare them again from a source that you trust."
                    )


def _is_prepared(builder: Any) -> bool:
    return (Path(builder.data_dir) / "dataset_info.json").is_file()


def _download(builder: Any, name: str, folders: Sequence[str]) -> None:
    missing = f'"tfds:{name}" is not on this computer (looked in {" and ".join(folders)})'
    what_to_do = (
        "Prepare it on a computer with a network (tfds build) and pass the folder as data_dir or"
        " set TFDS_DATA_DIR"
    )
    if not network.is_reachable(_HOST):
        raise InputError(f"{missing} and {_HOST} cannot be reached. {what_to_do}.")
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise InputError(
            f"{missing} and downloading it failed: {_first_line(error)} {what_to_do}."
        ) from error


def _damage() -> tuple[type[Exception], ...]:
    """Return what reading damaged records raises."""
    import tensorflow as tf

    return tf.errors.OpError, OSError, ValueError


def _first_line(error: BaseException) -> str:
    text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return text if text.endswith(".") else text + "."


def _read_split(
    builder: Any,
    split: str,
    key: str | None,
    grey: bool,
    image_size: Sequence[int] | None,
    allocate: Allocate,
) -> tuple[NDArray[Any], NDArray[Any]]:
    import tensorflow_datasets as tfds

    wanted = {"image": True} | ({key: True} if key else {})
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(wanted),
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    n = builder.info.splits[split].num_examples
    one_shape = builder.info.features["image"].shape
    if None in one_shape:
        if image_size is None:
            raise InputError(
                f'"tfds:{builder.name}" has images of varying size {one_shape}: pass image_size.'
            )
        size = images.check_size(image_size)
        x, y = _read_one_by_one(dataset, n, key, grey, size, builder.name, allocate)
    else:
        x, y = _read_in_batches(dataset.batch(_BATCH), n, key, allocate)
    return x, y


def _read_in_batches(
    dataset: Any, n: int, key: str | None, allocate: Allocate
) -> tuple[NDArray[Any], NDArray[Any]]:
    x: NDArray[Any] | None = None
    y = np.full(n, -1, np.int64)
    start = 0
    for batch in dataset.as_numpy_iterator():
        pixels = batch["image"]
        if x is None:
            x = allocate((n, *pixels.shape[1:]), pixels.dtype)
        x[start : start + len(pixels)] = pixels
        if key:
            y[start : start + len(pixels)] = _whole_labels(batch[key], key)
        start += len(pixels)
    return (np.empty((0, 0)) if x is None else x), y


def _read_one_by_one(
    dataset: Any,
    n: int,
    key: str | None,
    grey: bool,
    size: tuple[int, int],
    name: str,
    allocate: Allocate,
) -> tuple[NDArray[Any], NDArray[Any]]:
    x: NDArray[Any] | None = None
    y = np.full(n, -1, np.int64)
    for row, example in enumerate(dataset.as_numpy_iterator()):
        one = example["image"][np.newaxis]
        one = images.resize(images.to_grey(one) if grey else one, size)[0]
        if x is None:
            x = allocate((n, *one.shape), one.dtype)
        if one.shape != x.shape[1:]:
            raise InputError(f'"tfds:{name}" mixes grey and colour images: pass grey=True.')
        x[row] = one
        if key:
            y[row] = _whole_labels(example[key], key)
    return (np.empty((0, 0)) if x is None else x), y


def _whole_labels(labels: Any, key: str) -> Any:
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim > 1:
        raise InputError(
            f'The feature "{key}" is not one integer per image: pass label_key with the name of a'
            f" feature that is."
        )
    return labels
