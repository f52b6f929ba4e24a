"""What every source of data returns: checked numpy arrays and class names."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae import limits
from tfssvae.checks import (
    InputError,
    check_images,
    check_labels,
    check_positive,
    check_same_length,
)
from tfssvae.data.pixel_range import check_pixel_range, from_pixel_range
from tfssvae.data.splits import class_indices
from tfssvae.missing_labels import read_labels

_SHOWN_LABELS = 5
# Control characters, which can steer a terminal, halves of characters, which cannot be written, and
# breaks of lines and paragraphs.
_UNSHOWABLE = {"Cc", "Cs", "Zl", "Zp"}

Allocate = Callable[[tuple[int, ...], Any], NDArray[Any]]
"""(shape, dtype) -> an array for a source to fill: `limits.in_memory`, or one in a file."""


class Source(NamedTuple):
    """A data set before anything is chosen from it or done to it.

    `x_*` are (n, h, w, c) images or (n, d) tables, uint8 or float32 in 0..1; `y_*` are (n,) int32
    with -1 where the source has no label. `x_test` and `y_test` are None without test data.
    `pixel_range` has the values that were mapped to black and white, None where the dtype says it.
    """

    x_train: NDArray[Any]
    y_train: NDArray[np.int32]
    x_test: NDArray[Any] | None
    y_test: NDArray[np.int32] | None
    class_names: tuple[str, ...]
    name: str
    pixel_range: tuple[float, float] | None = None


def make_source(
    x_train: ArrayLike,
    y_train: ArrayLike | None,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    name: str,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    origin: str = "",
    pixel_range: Sequence[float] | None = None,
    allocate: Allocate = limits.in_memory,
) -> Source:
    """Checks arrays and puts them into the library's form.

    Args:
        x_train: see `check_images`.
        y_train: see `check_labels`; missing labels (None, NaN, masked) are -1, and None alone means
            that no row has a label.
        x_test: examples of the same shape as the training examples.
        y_test: their labels; both or neither.
        name: the data set's name.
        class_names: one name per class; "0", "1", ... when not given.
        num_classes: K; the number of names, or of the labels 0, 1, 2, ... without a gap, when not
            given.
        origin: the file that messages should name.
        pixel_range: (low, high), the values of black and of white in training and test examples,
            which `from_pixel_range` maps. None: what the dtype says, which is refused where
            `check_not_dark` doubts it.
        allocate: makes the arrays of what is mapped.

    Raises:
        InputError: for bad arrays, fewer than two classes, a number of classes that cannot be
            known (no label, or gaps between them) or exceeds `limits.CLASSES`, or names that
            cannot be shown.
    """
    suffix = f" in {origin}" if origin else ""
    if (x_test is None) != (y_test is None):
        raise InputError(f"x_test and y_test{suffix} go together: give both or neither.")
    if num_classes is not None:
        limits.check_classes(check_positive(num_classes, "num_classes"), name)
    if class_names is not None:
        class_names = checked_names(class_names, num_classes, suffix)
        num_classes = len(class_names)

    known = None if pixel_range is None else check_pixel_range(pixel_range)

    def images(x: ArrayLike, name: str, shape: Sequence[int] | None = None) -> NDArray[Any]:
        if known is not None:
            x = from_pixel_range(x, known, name + suffix, allocate)
        return check_images(x, name + suffix, shape, training=known is None)

    x = images(x_train, "x_train")
    if y_train is None:
        y = np.full(len(x), -1, np.int32)
    else:
        y = check_labels(y_train, num_classes, "y_train" + suffix, allow_missing=True)
    check_same_length(x, y, ("x_train", "y_train" + suffix))
    x_held_out, y_held_out = None, None
    if x_test is not None and y_test is not None:
        x_held_out = images(x_test, "x_test", x.shape[1:])
        y_held_out = check_labels(y_test, num_classes, "y_test" + suffix, allow_missing=True)
        check_same_length(x_held_out, y_held_out, ("x_test", "y_test" + suffix))

    if num_classes is None:
        given = {"y_train": (y_train, y), "y_test": (y_test, y_held_out)}
        num_classes = _count_classes(given, name, in_file=bool(origin))
        limits.check_classes(num_classes, name)
    if num_classes < 2:
        raise InputError(f"{name} has {num_classes} class: at least two are needed to classify.")
    names = tuple(class_names) if class_names else tuple(map(str, range(num_classes)))
    return Source(x, y, x_held_out, y_held_out, names, name, known)


def of_classes(source: Source, classes: Sequence[int | str]) -> Source:
    """The rows of some classes alone, numbered anew in the order given.

    Rows without a label, which could be of any class, are left out.

    Args:
        source: a data set.
        classes: indices or names, at least two.

    Raises:
        InputError: for fewer than two classes, an unknown or a repeated one.
    """
    chosen = class_indices(classes, source.class_names, "classes")
    if len(chosen) < 2:
        raise InputError(f"classes must name at least two classes, got {list(classes)}.")
    number = np.full(len(source.class_names) + 1, -1, np.int32)  # the last is that of -1
    number[chosen] = np.arange(len(chosen))

    def rows(x, y):
        kept = number[y] >= 0
        if not kept.any():
            return None, None
        return x[kept] if isinstance(x, np.ndarray) else x.chosen(kept), number[y][kept]

    x_train, y_train = rows(source.x_train, source.y_train)
    if x_train is None:
        raise InputError(f"{source.name} has no training row of the classes {list(classes)}.")
    x_test, y_test = (None, None) if source.x_test is None else rows(source.x_test, source.y_test)
    names = tuple(source.class_names[index] for index in chosen)
    return Source(x_train, y_train, x_test, y_test, names, source.name, source.pixel_range)


def checked_names(
    class_names: Sequence[str], num_classes: int | None = None, suffix: str = ""
) -> tuple[str, ...]:
    """Returns class names as text; bytes are UTF-8.

    Args:
        class_names: one name per class.
        num_classes: K, where it is known.
        suffix: " in FILE", for messages.

    Raises:
        InputError: for names that are not different from each other, not as many as classes, more
            than `limits.CLASSES`, or that terminals and pages cannot show.
    """
    limits.check_classes(len(class_names), f"class_names{suffix}")
    names = tuple(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        for name in class_names
    )
    for name in names:
        if len(name) > limits.NAME_CHARACTERS or _UNSHOWABLE & set(map(unicodedata.category, name)):
            raise InputError(
                f"class_names{suffix} has {name!a:.80}: a name is at most"
                f" {limits.NAME_CHARACTERS} characters of text, without control characters; rename"
                " the class."
            )
    if len(set(names)) != len(names):
        raise InputError(f"class_names{suffix} must differ from each other, got {names!r:.200}.")
    if num_classes is not None and len(names) != num_classes:
        raise InputError(
            f"class_names{suffix} has {len(names)} names but num_classes is {num_classes}."
        )
    return names


def _count_classes(labels: Mapping[str, tuple[Any, Any]], name: str, in_file: bool) -> int:
    """Returns K of labels that leave none out.

    Args:
        labels: what the user calls them -> as the user gave them, and as `check_labels` returns
            them; both None where there are none.
        name: the data set's name.
        in_file: whether they come from a file, in which the user cannot change them.
    """
    found = {key: pair for key, pair in labels.items() if pair[1] is not None}
    known = np.unique(np.concatenate([y for _, y in found.values()]))
    known = known[known >= 0]
    if len(known) == 0:
        raise InputError(
            f"{name} has no label at all, so the number of classes is unknown: pass num_classes."
        )
    if len(known) == 1:
        raise InputError(
            f"{name} has one class only (every label is {known[0]}): at least two are needed;"
            f" pass num_classes if the others just have no examples."
        )
    if len(known) <= known[-1]:
        if in_file:
            limits.check_classes(int(known[-1]) + 1, name)
        shown = ", ".join(map(str, known[:_SHOWN_LABELS])) + ", ..." * (len(known) > _SHOWN_LABELS)
        absent = np.setdiff1d(np.arange(len(known)), known)
        what_to_do = _in_load(known, shown) if in_file else _in_python(found, known)
        raise InputError(
            f"{name} has the labels {shown} and none of {absent[0]}, and classes are numbered 0, 1,"
            f" 2, ...: {what_to_do}."
        )
    return len(known)


def _in_load(known: NDArray[np.int32], shown: str) -> str:
    return (
        f"to number them anew, load with num_classes={known[-1] + 1} and classes=[{shown}]"
        f" (--num-classes {known[-1] + 1} --classes {shown.replace(',', '')}); if the other classes"
        f" just have no example, with num_classes={known[-1] + 1} alone (or class_names in an npz"
        " file)"
    )


def _in_python(labels: Mapping[str, tuple[Any, Any]], known: NDArray[np.int32]) -> str:
    """Returns lines of Python that number the classes, and the other thing to do."""
    keys = list(labels)
    parts, every = ", ".join(keys), ", ".join("*" + key for key in keys)
    lines = []
    if any(_needs_reading(given) for given, _ in labels.values()):
        lines += [f"{key} = tfssvae.checks.check_labels({key}, allow_missing=True)" for key in keys]
    if known[0] == 1 and len(known) == known[-1]:
        code, names = "k - 1 if k > 0 else -1", ""
    else:
        lines.append(f"names = sorted({{{every}}} - {{-1}})")
        code, names = "names.index(k) if k >= 0 else -1", " and give class_names=names"
    numbered = f"[{code} for k in {parts}]"
    if len(keys) > 1:
        numbered = f"[[{code} for k in y] for y in ({parts})]"
    return (
        f"write {'; '.join([*lines, f'{parts} = {numbered}'])}{names}; if the other classes just"
        f" have no example, give num_classes={known[-1] + 1} or class_names"
    )


def _needs_reading(given: Any) -> bool:
    """Whether labels have to go through `check_labels` before Python can compare each."""
    labels, missing = read_labels(given)
    return labels.ndim != 1 or bool(missing.any())
