"""`load` and `from_arrays`: a data set, and the choice of the labels that the model may see."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_count, check_labels, check_probabilities, closest
from tfssvae.data import images, splits
from tfssvae.data.arrays import Source, make_source, of_classes
from tfssvae.data.background import Background
from tfssvae.data.dataset import Data
from tfssvae.data.sources import load_source
from tfssvae.limits import check_classes

_BINARIZE = ("fixed", "round", "dynamic")


def load(
    name: str | os.PathLike[str],
    labels_per_class: int | Mapping[int | str, int] | None = None,
    label_fraction: float | None = None,
    labelled_classes: Sequence[int | str] | None = None,
    validation: float = 0,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    split: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    grey: bool = False,
    image_size: Sequence[int] | None = None,
    binarize: str | None = None,
    label_key: str | None = None,
    num_classes: int | None = None,
    unfeatured: ArrayLike | str | None = None,
    clusters: int | None = None,
    classes: Sequence[int | str] | None = None,
    stream: bool | None = None,
    background: Background = "white",
    pixel_range: Sequence[float] | None = None,
) -> Data:
    """Loads a data set and chooses the labels that the model may see.

    Args:
        name: "digits" (needs no files), "mnist", "fashion_mnist", "cifar10", "cifar100",
            "tfds:NAME" (its splits train, test, and after train one without labels, such as
            stl10's unlabelled), the NAME of a NAME.npz in `data_dir`, the path of an npz file
            (x_train, y_train, x_test, y_test; -1 or NaN = unlabelled), the path of a folder
            (train/<class>/*.png, train/unlabelled/*.png, test/<class>/*.png; see
            `data.folder.read_folder` for what is read), or one of `tfssvae convert`.
        labels_per_class: labels in every class, or {class index or name: number}.
        label_fraction: part of the labels in (0, 1], class proportions kept. With neither of the
            two, all labels are shown.
        labelled_classes: only these classes (indices or names) have labels.
        validation: number or fraction of the labelled training rows to hold out, class
            proportions kept; taken before the labels are chosen.
        seed: of all choices.
        data_dir: folder with NAME.npz files or tfds data; `$TFSSVAE_DATA` is looked into as well.
        split: path of a saved split, or its content; replaces all choices of rows.
        grey: converts colour images to one channel.
        image_size: (height, width) in pixels to resize to.
        binarize: None, "fixed" (one draw per pixel, now), "round" (the nearer of 0 and 1) or
            "dynamic" (a draw per pixel, anew in each batch).
        label_key: which labels, where a data set has several kinds: the name of a tfds feature
            ("alphabet"), or KEY for `KEY_train` and `KEY_test` in an npz file.
        num_classes: K, for data that does not show it (no labels at all, or gaps between them).
        unfeatured: labels that have no example, for methods that learn from them: (F,) classes,
            (F, K) class probabilities, of which a class is drawn each time, or "classes", every
            class once.
        clusters: K of a model that groups images without labels, where more groups are wanted
            than there are classes: the further ones are classes that no image has.
        classes: only the rows of these classes (indices or names, at least two), which are
            numbered anew in this order; all other arguments then speak of them.
        stream: whether the training images stay in their files and are read, and decoded, whenever
            they are asked for: those of `tfssvae convert`, and of "tfds:NAME" in TFRecord files
            where they have one size. None does so with the former, and with the latter where they
            would take more than half of the memory that is free. Training is the same, bit for
            bit. The compiled loop holds what fits, unless `train` is told resident=False.
        background: what is seen through transparent images of a folder: the name of a colour
            ("black", "#rrggbb"), a grey in 0..255, or (red, green, blue).
        pixel_range: (low, high), the values of black and of white, where they are not those of the
            dtype (0 and 255 of whole numbers, 0 and 65535 of files of 16 bits, 0 and 1 of floats):
            all values become (x - low) / (high - low). Whole numbers of a range that divides 255
            stay uint8: (0, 255) as they are, (0, 1) as 0 and 255; all else is float32. None
            refuses data that would be nearly black: whole numbers below a quarter of their range,
            floats of at most 1/64. New data for the model have to be mapped likewise.

    Raises:
        InputError: for bad input; the message says what to do.

    >>> data = load("digits", labels_per_class=10, seed=0)
    >>> data
    Data(digits: 8x8x1 uint8, 10 classes, 100 labelled, 1338 unlabelled, 0 validation, 359 test)
    """
    transformed = _is_transformed(grey, image_size, binarize)
    if stream and transformed:
        raise InputError(_read_as_they_are(name))
    if stream is None and transformed and os.fspath(name).startswith("tfds:"):
        stream = False
    source = load_source(
        name,
        data_dir,
        label_key,
        grey,
        image_size,
        num_classes,
        stream=stream,
        background=background,
        pixel_range=pixel_range,
    )
    if num_classes is not None and num_classes != len(source.class_names):
        raise InputError(
            f'"{source.name}" has {len(source.class_names)} classes, not num_classes={num_classes}.'
        )
    if classes is not None:
        source = of_classes(source, classes)
    return _make_data(
        source,
        clusters=clusters,
        labels_per_class=labels_per_class,
        label_fraction=label_fraction,
        labelled_classes=labelled_classes,
        validation=validation,
        seed=seed,
        split=split,
        grey=grey,
        image_size=image_size,
        binarize=binarize,
        unfeatured=unfeatured,
    )


def from_arrays(
    x: ArrayLike,
    y: ArrayLike | None,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    labels_per_class: int | Mapping[int | str, int] | None = None,
    label_fraction: float | None = None,
    labelled_classes: Sequence[int | str] | None = None,
    validation: float = 0,
    seed: int = 0,
    split: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    grey: bool = False,
    image_size: Sequence[int] | None = None,
    binarize: str | None = None,
    name: str = "arrays",
    unfeatured: ArrayLike | str | None = None,
    clusters: int | None = None,
    pixel_range: Sequence[float] | None = None,
) -> Data:
    """Data from arrays in memory. uint8 and float32 arrays are not copied.

    Args:
        x: (n, h, w), (n, h, w, c) or (n, d); whole numbers in 0..255 or floats in 0..1, or in
            pixel_range.
        y: (n,) labels 0..K-1, -1 = unlabelled, and so is a missing label: None, NaN, pandas' NA, a
            null of polars or a masked element. None alone (with `num_classes`): no labels.
        x_test: test examples.
        y_test: their labels.
        class_names: one name per class.
        num_classes: K; when neither it nor `class_names` is given, the number of labels, which
            must be 0, 1, 2, ... without a gap.
        labels_per_class: as in `load`, and so are all further arguments.
        label_fraction: see `load`.
        labelled_classes: see `load`.
        validation: see `load`.
        seed: see `load`.
        split: see `load`.
        grey: see `load`.
        image_size: see `load`.
        binarize: see `load`.
        name: the data set's name in messages and reports.
        unfeatured: see `load`.
        clusters: see `load`.
        pixel_range: see `load`.

    Raises:
        InputError: for bad input; the message says what to do.

    >>> from_arrays(np.zeros((4, 2)), [0, 1, -1, -1])
    Data(arrays: 2 float32, 2 classes, 2 labelled, 2 unlabelled, 0 validation, 0 test)
    >>> from_arrays([[0, 1], [1, 0]], [0, 1], pixel_range=(0, 1)).x_train.tolist()
    [[0, 255], [255, 0]]
    """
    source = make_source(
        x,
        y,
        x_test,
        y_test,
        name=name,
        class_names=class_names,
        num_classes=num_classes,
        pixel_range=pixel_range,
    )
    return _make_data(
        source,
        clusters=clusters,
        labels_per_class=labels_per_class,
        label_fraction=label_fraction,
        labelled_classes=labelled_classes,
        validation=validation,
        seed=seed,
        split=split,
        grey=grey,
        image_size=image_size,
        binarize=binarize,
        unfeatured=unfeatured,
    )


def _make_data(
    source: Source,
    *,
    labels_per_class: int | Mapping[int | str, int] | None,
    label_fraction: float | None,
    labelled_classes: Sequence[int | str] | None,
    validation: float,
    seed: int,
    split: str | os.PathLike[str] | Mapping[str, Any] | None,
    grey: bool,
    image_size: Sequence[int] | None,
    binarize: str | None,
    unfeatured: ArrayLike | str | None,
    clusters: int | None,
) -> Data:
    if clusters is not None:
        if labelled_classes is None and isinstance(labels_per_class, int | np.integer):
            labelled_classes = range(len(source.class_names))  # clusters have no rows to label
        check_classes(check_count(clusters, "clusters"), "clusters")
        source = _with_clusters(source, clusters)
    if binarize is not None and binarize not in _BINARIZE:
        raise InputError(f'Unknown binarize "{binarize}": {closest(str(binarize), _BINARIZE)}.')
    seed = check_count(seed, "seed")
    without_examples = _unfeatured(unfeatured, len(source.class_names))
    if split is not None:
        if labels_per_class is not None or label_fraction or labelled_classes or validation:
            raise InputError(
                "split says already which rows are labelled and held out: leave labels_per_class,"
                " label_fraction, labelled_classes and validation out."
            )
        labelled, held_out = _rows_of_split(split, source)
    else:
        held_out = splits.choose_validation(
            source.y_train, len(source.class_names), validation, seed
        )
        labelled = splits.choose_labelled(
            _without(source.y_train, held_out),
            len(source.class_names),
            labels_per_class,
            label_fraction,
            seed,
            labelled_classes,
            class_names=source.class_names,
        )
    in_files = not isinstance(source.x_train, np.ndarray)
    if in_files and _is_transformed(grey, image_size, binarize):
        raise InputError(_read_as_they_are(source.name))
    x_train = _transform(source.x_train, grey, image_size, binarize, [seed, 0])
    x_test = source.x_test
    if x_test is not None:
        x_test = _transform(x_test, grey, image_size, binarize, [seed, 1])
    changed = x_train is not source.x_train
    return Data(
        x_train=x_train,
        hidden_labels=source.y_train,
        x_test=x_test,
        y_test=source.y_test,
        class_names=source.class_names,
        labelled_indices=labelled,
        validation_indices=held_out,
        name=source.name,
        seed=seed,
        binarize=binarize,
        source_fingerprint=splits.fingerprint(source.x_train, source.y_train) if changed else None,
        unfeatured=without_examples,
        pixel_range=source.pixel_range,
    )


def _is_transformed(grey: bool, image_size: Sequence[int] | None, binarize: str | None) -> bool:
    return grey or image_size is not None or binarize in ("fixed", "round")


def _read_as_they_are(name: str | os.PathLike[str]) -> str:
    return (
        f'The training images of "{os.fspath(name)}" would stay in their files and be read as'
        ' they are: give grey and image_size to tfssvae convert, use binarize="dynamic", or'
        " stream=False to hold them in memory."
    )


def _unfeatured(labels: ArrayLike | str | None, num_classes: int) -> NDArray[np.float32] | None:
    """Labels without examples as class probabilities, (F, K)."""
    if labels is None:
        return None
    if isinstance(labels, str):
        if labels != "classes":
            raise InputError(f'Unknown unfeatured "{labels}": {closest(labels, ["classes"])}.')
        return np.eye(num_classes, dtype=np.float32)
    if np.ndim(labels) == 2 and np.shape(labels)[1] > 1:
        return check_probabilities(labels, "unfeatured", num_classes)
    found = check_labels(labels, num_classes, "unfeatured", allow_unlabelled=False)
    return np.eye(num_classes, dtype=np.float32)[found]


def _with_clusters(source: Source, clusters: int) -> Source:
    known = len(source.class_names)
    if clusters < known:
        raise InputError(f'"{source.name}" has {known} classes: clusters={clusters} are too few.')
    further = (f"cluster {number}" for number in range(known, clusters))
    return source._replace(class_names=(*source.class_names, *further))


def _without(y: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.int32]:
    y = y.copy()
    y[rows] = -1
    return y


def _rows_of_split(
    split: str | os.PathLike[str] | Mapping[str, Any], source: Source
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    content = split if isinstance(split, Mapping) else splits.load_split(split)
    data_fingerprint = splits.fingerprint(source.x_train, source.y_train)
    checked = splits.check_split(content, source.y_train, data_fingerprint)
    return (
        np.sort(np.array(checked["labelled"], np.int64)),
        np.sort(np.array(checked["validation"], np.int64)),
    )


def _transform(
    x: NDArray[Any],
    grey: bool,
    image_size: Sequence[int] | None,
    binarize: str | None,
    seed: Sequence[int],
) -> NDArray[Any]:
    if grey:
        x = images.to_grey(x)
    if image_size is not None:
        x = images.resize(x, image_size)
    if binarize == "fixed":
        x = images.binarize_fixed(x, seed)
    if binarize == "round":
        x = images.binarize_rounded(x)
    return x
