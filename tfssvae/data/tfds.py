"""Data from tensorflow-datasets (`tfds:NAME`)."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfssvae import limits
from tfssvae.checks import InputError, check_images, closest
from tfssvae.data import images, network
from tfssvae.data.arrays import Allocate, Source, make_source
from tfssvae.data.pixel_range import from_pixel_range
from tfssvae.data.tfds_records import Records, TfdsImages, damaged_file, find_records
from tfssvae.library_errors import reason
from tfssvae.limits import in_memory

_LOG = logging.getLogger("tfssvae")
_NAME = re.compile(r"\w+(/[\w.+-]+)?(:\d+\.\d+\.\d+)?")
_OWN_MODULES = "tensorflow_datasets."
_HOST = "storage.googleapis.com"
_BATCH = 1024
# As tfds reads by itself: by turns from so many files, unless their rows are in an order, and so
# many rows at a turn.
_CYCLE, _BLOCK = 16, 16
_WITHOUT_LABELS = ("unlabelled", "unlabeled", "unsupervised")  # splits, as tfds calls them


class _Split(NamedTuple):
    """A split that is read, and the feature that is its label, None where it has none."""

    name: str
    key: str | None


def read_tfds(
    name: str,
    data_dirs: Sequence[str | os.PathLike[str]] = (),
    label_key: str | None = None,
    grey: bool = False,
    image_size: Sequence[int] | None = None,
    num_classes: int | None = None,
    allocate: Allocate = in_memory,
    stream: bool | None = None,
    pixel_range: tuple[float, float] | None = None,
) -> Source:
    """Reads the train and, where it exists, the test split of an image data set.

    A split of images without labels ("unlabelled", as stl10 has it, or "unsupervised") comes after
    the rows of train, without labels. What further splits are left out is logged.

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
        stream: whether the training images stay in their files, to be decoded when they are asked
            for; None where they can and would take more than half of the memory that is free.
        pixel_range: see `make_source`.

    Raises:
        InputError: for an unknown name, data that is neither on disk nor to be downloaded, data
            that is damaged or is not images with labels, data that asks to import a module, and
            data that is to be streamed and cannot be.
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

    if pixel_range is None:
        _check_type(features["image"], name)
    parts = _parts(splits, key)
    _log_splits(splits, parts, name)

    streamed = _is_streamed(builder, name, stream, parts["train"])
    records = {
        part: [_records(builder, split.name) for split in found] for part, found in parts.items()
    }
    try:
        arrays: dict[str, tuple[Any, NDArray[Any]]] = {
            part: _read_part(builder, found, grey, image_size, pixel_range, allocate)
            for part, found in parts.items()
            if part != "train" or not streamed
        }
        if streamed:
            arrays["train"] = _stream_part(builder, parts["train"], records["train"])
    except InputError:
        raise
    except (NotImplementedError, ImportError) as error:
        raise InputError(
            f'"tfds:{name}" has files of {builder.info.file_format.value}, which cannot be read'
            f" here: prepare it again with tfds build --file_format=tfrecord."
        ) from error
    except _damage() as error:
        files = [file for found in records.values() for one in found for file in one.files]
        place = damaged_file(files) or f'"tfds:{name}"'
        raise InputError(f"{place} is damaged: {_sentence(error)}") from error
    x_train, y_train = arrays["train"]
    x_test, y_test = arrays.get("test", (None, None))
    class_names = getattr(features[key], "names", None) if key else None
    known = getattr(features[key], "num_classes", None) if key else None
    # Images of varying size were mapped one by one, and are known to be right.
    mapped = pixel_range is not None and None in features["image"].shape
    own = (0, 255) if x_train.dtype == np.uint8 else (0, 1)
    source = make_source(
        # Of streamed images there is nothing to check but the shape.
        np.broadcast_to(np.uint8(0), x_train.shape) if streamed else x_train,
        y_train,
        x_test,
        y_test,
        name=name,
        class_names=class_names or None,
        num_classes=known or num_classes,
        origin=f"tfds:{name}",
        pixel_range=own if mapped else pixel_range,
        allocate=allocate,
    )
    source = source._replace(pixel_range=pixel_range)
    return source._replace(x_train=x_train) if streamed else source


def _folders(data_dirs: Sequence[str | os.PathLike[str]]) -> list[str]:
    default = os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")
    return [os.path.expanduser(folder) for folder in (*data_dirs, default)]


def _find_builder(name: str, folders: Sequence[str]) -> Any:
    import tensorflow_datasets as tfds
    from google.protobuf.json_format import ParseError

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
        except (ValueError, AssertionError, TypeError, ParseError) as error:
            raise InputError(f'"tfds:{name}" cannot be opened: {_sentence(error)}') from error
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
            f"{missing} and downloading it failed: {_sentence(error)} {what_to_do}."
        ) from error


def _damage() -> tuple[type[Exception], ...]:
    """Return what reading damaged records raises."""
    import tensorflow as tf

    return tf.errors.OpError, OSError, ValueError


def _sentence(error: BaseException) -> str:
    text = reason(error)
    return text if text.endswith(".") else text + "."


def _check_type(feature: Any, name: str) -> None:
    """Refuse what is no picture, and pixels whose range their type does not say."""
    if not isinstance(feature.shape, tuple):
        raise InputError(f'"tfds:{name}" has several arrays under "image", not one picture a row.')
    dtype, varies = np.dtype(feature.np_dtype), None in feature.shape
    if dtype == np.uint16 or (varies and dtype not in (np.uint8, np.float32)):
        raise InputError(
            f'"tfds:{name}" has images of {dtype}, which can be read as uint8 and as float32 in'
            " 0..1 only: pass pixel_range=(low, high) (--pixel-range low high), their smallest and"
            " their largest possible value."
        )


def _parts(splits: Mapping[str, Any], key: str | None) -> dict[str, list[_Split]]:
    """Return the splits that make up the training data and, where there are any, the test data."""
    unlabelled = [_Split(name, None) for name in splits if name.lower() in _WITHOUT_LABELS]
    parts = {"train": [_Split("train", key), *unlabelled]}
    if "test" in splits:
        parts["test"] = [_Split("test", key)]
    return parts


def _log_splits(splits: Mapping[str, Any], parts: dict[str, list[_Split]], name: str) -> None:
    def listed(names: Sequence[str]) -> str:
        return " and ".join(f'"{one}" ({splits[one].num_examples:,} rows)' for one in names)

    further = [split.name for split in parts["train"][1:]]
    if further:
        _LOG.warning('"tfds:%s": %s comes after "train", without labels', name, listed(further))
    taken = {split.name for found in parts.values() for split in found}
    left_out = [split for split in splits if split not in taken]
    if left_out:
        _LOG.warning(
            '"tfds:%s": %s is left out; to use it, read it with tensorflow_datasets.load and give'
            " all rows to tfssvae.data.from_arrays",
            name,
            listed(left_out),
        )


def _count(builder: Any, part: Sequence[_Split]) -> int:
    return sum(builder.info.splits[split.name].num_examples for split in part)


def _read_part(
    builder: Any,
    part: Sequence[_Split],
    grey: bool,
    image_size: Sequence[int] | None,
    pixel_range: tuple[float, float] | None,
    allocate: Allocate,
) -> tuple[NDArray[Any], NDArray[Any]]:
    one_shape = builder.info.features["image"].shape
    if None not in one_shape:
        return _filled(_in_batches(builder, part), _count(builder, part), builder.name, allocate)
    if image_size is None:
        raise InputError(
            f'"tfds:{builder.name}" has images of varying size {one_shape}: pass image_size.'
        )
    one_by_one = _one_by_one(builder, part, grey, images.check_size(image_size), pixel_range)
    return _filled(one_by_one, _count(builder, part), builder.name, allocate)


def _dataset(builder: Any, split: str, *features: str) -> Any:
    """Return these features of all rows of a split, one by one, in the order of `_interleaved`."""
    import tensorflow_datasets as tfds

    config = tfds.ReadConfig(
        try_autocache=False,
        interleave_cycle_length=_files_at_once(builder),
        interleave_block_length=_BLOCK,
    )
    return builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(dict.fromkeys(features, True)),
        read_config=config,
    )


def _files_at_once(builder: Any) -> int:
    return 1 if builder.info.disable_shuffling else _CYCLE


def _interleaved(counts: Sequence[int], files_at_once: int) -> NDArray[np.int64]:
    """Return the order in which tfds goes through the rows of files, counted from file to file.

    Args:
        counts: rows of each file.
        files_at_once: from which it takes rows by turns.
    """
    import tensorflow as tf

    ends = np.cumsum(counts)
    files = tf.data.Dataset.from_tensor_slices((ends - counts, ends))
    rows = files.interleave(
        tf.data.Dataset.range, files_at_once, _BLOCK, tf.data.AUTOTUNE, deterministic=True
    )
    return np.concatenate(list(_batches(rows)))


def _records(builder: Any, split: str) -> Records:
    """Return where the records of a split lie; of other formats than TFRecord, nowhere."""
    if not _is_tfrecord(builder):
        return Records([], [], [])
    try:
        shards = builder.info.splits[split].file_instructions
    except ValueError as error:
        raise InputError(f'"tfds:{builder.name}" is damaged: {_sentence(error)}') from error
    if not shards:
        raise InputError(f'"tfds:{builder.name}" has no rows in its {split} split.')
    files = [Path(shard.filename) for shard in shards]
    return find_records(files, [shard.examples_in_shard for shard in shards])


def _is_tfrecord(builder: Any) -> bool:
    return builder.info.file_format is None or builder.info.file_format.value == "tfrecord"


def _is_streamed(builder: Any, name: str, stream: bool | None, train: Sequence[_Split]) -> bool:
    """Whether the training images stay in their files.

    Raises:
        InputError: they are to, and cannot.
    """
    if stream is False:
        return False
    reason = _why_not(builder)
    if reason is not None:
        if stream:
            raise InputError(
                f'"tfds:{name}" cannot be streamed: {reason}. Write it as shards with tfssvae'
                f" convert, which are streamed."
            )
        return False
    if stream is None:
        pixels = math.prod(builder.info.features["image"].shape)
        if not limits.fills_memory(_count(builder, train) * pixels):
            return False
        _LOG.warning(
            "the training images would take more than half of the free memory: they are decoded "
            "from their files whenever they are read (shards of tfssvae convert are quicker)"
        )
    return True


def _why_not(builder: Any) -> str | None:
    """Return why images have to be read into memory, None where they need not be."""
    import tensorflow_datasets as tfds

    feature = builder.info.features["image"]
    if not _is_tfrecord(builder):
        return f"its files are {builder.info.file_format.value}, not tfrecord"
    if type(feature) is not tfds.features.Image or feature.np_dtype != np.uint8:
        return f"its images are {type(feature).__name__} of {feature.np_dtype}, not Image of uint8"
    if len(feature.shape) != 3 or None in feature.shape:
        return f"its images are of varying size {feature.shape}"
    return None


def _stream_part(
    builder: Any, part: Sequence[_Split], records: Sequence[Records]
) -> tuple[TfdsImages, NDArray[Any]]:
    """Return images that stay in their files, and all labels, in the order of `_read_part`."""
    orders: list[NDArray[np.int64]] = []
    labels: list[NDArray[np.int64]] = []
    first = 0
    for (split, key), found in zip(part, records, strict=True):
        order = _interleaved(list(map(len, found.offsets)), _files_at_once(builder))
        orders.append(order + first)
        first += len(order)
        if key:
            batches = _batches(_dataset(builder, split, key))
            labels += [_whole_labels(batch[key], key).astype(np.int64) for batch in batches]
        else:
            labels.append(np.full(len(order), -1, np.int64))
    joined = Records(
        [file for found in records for file in found.files],
        [offsets for found in records for offsets in found.offsets],
        [lengths for found in records for lengths in found.lengths],
    )
    shape = builder.info.features["image"].shape
    return TfdsImages(joined, np.concatenate(orders), shape), np.concatenate(labels)


def _batches(dataset: Any) -> Any:
    return dataset.batch(_BATCH).as_numpy_iterator()


def _in_batches(
    builder: Any, part: Sequence[_Split]
) -> Iterator[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Yield images (m, h, w, c) and their labels (m,), None where there are none."""
    for split, key in part:
        for batch in _batches(_dataset(builder, split, *filter(None, ("image", key)))):
            yield batch["image"], _whole_labels(batch[key], key) if key else None


def _one_by_one(
    builder: Any,
    part: Sequence[_Split],
    grey: bool,
    size: tuple[int, int],
    pixel_range: tuple[float, float] | None,
) -> Iterator[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Yield single images (1, h, w, c) of a size, checked before they are changed."""
    for split, key in part:
        dataset = _dataset(builder, split, *filter(None, ("image", key)))
        for row, example in enumerate(dataset.as_numpy_iterator()):
            place = f"image[{row}] in the {split} split of tfds:{builder.name}"
            one = example["image"][np.newaxis]
            if pixel_range is not None:
                one = from_pixel_range(one, pixel_range, place, training=False)
            one = check_images(one, place)
            one = images.resize(images.to_grey(one) if grey else one, size)
            yield one, _whole_labels(example[key], key)[np.newaxis] if key else None


def _filled(
    blocks: Iterator[tuple[NDArray[Any], NDArray[Any] | None]],
    n: int,
    name: str,
    allocate: Allocate,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return blocks of images in one array, and of labels, -1 where there are none."""
    x: NDArray[Any] | None = None
    y = np.full(n, -1, np.int64)
    start = 0
    for pixels, labels in blocks:
        if x is None:
            x = allocate((n, *pixels.shape[1:]), pixels.dtype)
        if pixels.shape[1:] != x.shape[1:]:
            raise InputError(f'"tfds:{name}" mixes grey and colour images: pass grey=True.')
        rows = slice(start, start + len(pixels))
        x[rows] = pixels
        if labels is not None:
            y[rows] = labels
        start += len(pixels)
    return (np.empty((0, 0)) if x is None else x), y


def _whole_labels(labels: Any, key: str) -> Any:
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim > 1:
        raise InputError(
            f'The feature "{key}" is not one integer per image but {labels.dtype}: pass label_key'
            f" with the name of a feature that is."
        )
    return labels
