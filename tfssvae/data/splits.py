"""Which training rows show their labels and which are held out: chosen by seed, kept as JSON.

Every row gets a 64-bit key from the raw PCG64 stream, and the rows with the smallest keys of each
class are taken. numpy guarantees that stream for good, so a seed gives the same rows on every
platform and version, and a larger choice contains the smaller one of the same seed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from tfssvae import limits
from tfssvae.checks import InputError, check_count, closest, row_blocks, same_text

_FORMAT = 1
_LABELLED_STREAM: tuple[int, ...] = ()
_VALIDATION_STREAM = (1,)


class Split(TypedDict):
    """A choice of rows and the data that it belongs to, as it stands in the JSON file."""

    format: int
    name: str
    n: int
    seed: int
    fingerprint: str
    labelled: list[int]
    validation: list[int]


def choose_labelled(
    y: NDArray[np.int32],
    num_classes: int,
    labels_per_class: int | Mapping[int | str, int] | None = None,
    label_fraction: float | None = None,
    seed: int = 0,
    classes: Sequence[int | str] | None = None,
    balanced: bool = False,
    class_names: Sequence[str] | None = None,
) -> NDArray[np.int64]:
    """Chooses the rows whose labels the model may see.

    Args:
        y: (n,) labels, -1 for rows that cannot be chosen.
        num_classes: K.
        labels_per_class: the same number in every class, or {class: number} (classes that are
            not named get none).
        label_fraction: part of the rows that have a label, in (0, 1]. Class proportions are kept
            (largest remainder; at least one row of each class where the total allows).
        seed: 0 or more.
        classes: only these classes get labels; all when None.
        balanced: with `label_fraction`: the same number in each class instead, rounded.
        class_names: lets `labels_per_class` and `classes` name classes.

    Returns:
        (m,) sorted indices. With neither number nor fraction: every row that has a label.

    Raises:
        InputError: for conflicting or impossible choices; names the class that has too few rows.
    """
    names = tuple(class_names) if class_names else tuple(map(str, range(num_classes)))
    available = _class_counts(y, num_classes)
    if classes is not None:
        chosen = class_indices(classes, names)
        available[np.setdiff1d(np.arange(num_classes), chosen)] = 0
    else:
        chosen = np.arange(num_classes)

    if labels_per_class is not None and label_fraction is not None:
        raise InputError("labels_per_class and label_fraction exclude each other: give one.")
    if labels_per_class is not None:
        if isinstance(labels_per_class, Mapping) and classes is not None:
            raise InputError(
                "labels_per_class names the classes already: leave labelled_classes out."
            )
        wanted = _wanted_per_class(labels_per_class, chosen, names)
    elif label_fraction is not None:
        total = _part_of(available.sum(), label_fraction)
        wanted = _even(total, chosen, num_classes) if balanced else _proportional(total, available)
    else:
        wanted = available
    _check_available(wanted, available, names)
    return _smallest_keys(y, wanted, seed, _LABELLED_STREAM)


def choose_validation(
    y: NDArray[np.int32], num_classes: int, validation: float, seed: int = 0
) -> NDArray[np.int64]:
    """Chooses the training rows to hold out, with class proportions kept.

    They come from the rows that have a label (from all rows if none has).

    Args:
        y: (n,) labels, -1 where there is none.
        num_classes: K.
        validation: 0 for none, an integer for a number of rows, a float below 1 for the part of
            the rows that they come from.
        seed: 0 or more.

    Returns:
        (m,) sorted indices.

    Raises:
        InputError: for a number or a fraction that is not possible.
    """
    if isinstance(validation, bool) or not isinstance(validation, int | float | np.number):
        raise InputError(f"validation must be a number of rows or a fraction, got {validation!r}.")
    if validation == 0:
        return np.empty(0, np.int64)
    if not (y >= 0).any():
        y, num_classes = np.zeros_like(y), 1
    available = _class_counts(y, num_classes)
    rows = int(available.sum())
    if isinstance(validation, float | np.floating) and 0 < validation < 1:
        total = int(validation * rows + 0.5)
    else:
        total = int(validation) if validation in range(rows) else 0
    if not 0 < total < rows:
        raise InputError(
            f"validation must be a whole number of rows below {rows} (the training rows that have"
            f" a label) or a fraction below 1, got {validation}."
        )
    return _smallest_keys(y, _proportional(total, available), seed, _VALIDATION_STREAM)


def class_indices(
    classes: Sequence[int | str], names: Sequence[str], argument: str = "labelled_classes"
) -> NDArray[np.int64]:
    """Indices of classes that are given by index or by name, in an argument of that name.

    Raises:
        InputError: for an unknown class (with the nearest names), a repeated one, or none at all.
    """
    if isinstance(classes, str) or not len(classes):
        raise InputError(f"{argument} must be a list of classes, got {classes!r}.")
    indices = [class_index(entry, names) for entry in classes]
    if len(set(indices)) != len(indices):
        raise InputError(f"{argument} names a class twice: {list(classes)}.")
    return np.array(indices, np.int64)


def class_index(entry: int | str, names: Sequence[str]) -> int:
    """Index of a class that is given by index, also as text where no class has that name, or name.

    Raises:
        InputError: for an unknown class, with the nearest names.
    """
    if isinstance(entry, str) and (entry in names or not entry.isdecimal()):
        # A keyboard and a file system may write the same accents in two Unicode forms.
        meant = [entry] if entry in names else [n for n in names if same_text(n, entry)]
        if len(meant) != 1:
            raise InputError(f'Unknown class "{entry}": {closest(entry, names)}.')
        return list(names).index(meant[0])
    entry = int(entry) if isinstance(entry, str) else entry  # as on the command line
    index = check_count(entry, "a class")
    if index >= len(names):
        raise InputError(f"Unknown class {index}: classes are 0..{len(names) - 1}.")
    return index


def fingerprint(x_train: NDArray[Any], y_train: NDArray[np.int32]) -> str:
    """SHA-256 (hex) over the shapes, dtypes and bytes of the training data.

    Images in files know theirs, or keep what is found: they are not read again.
    """
    if getattr(x_train, "fingerprint", None):
        return x_train.fingerprint  # type: ignore[attr-defined]
    digest = hashlib.sha256()
    for array in (x_train, y_train):
        little_endian = array.dtype.newbyteorder("<")
        digest.update(f"{array.shape}{little_endian.str}".encode())
        for rows in row_blocks(array):
            digest.update(np.ascontiguousarray(array[rows], little_endian).data)
    if hasattr(x_train, "fingerprint"):
        x_train.fingerprint = digest.hexdigest()
    return digest.hexdigest()


def make_split(
    name: str,
    n: int,
    seed: int,
    data_fingerprint: str,
    labelled: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> Split:
    """The split as plain Python values, ready for JSON."""
    return Split(
        format=_FORMAT,
        name=name,
        n=n,
        seed=seed,
        fingerprint=data_fingerprint,
        labelled=labelled.tolist(),
        validation=validation.tolist(),
    )


def save_split(path: str | os.PathLike[str], split: Split) -> None:
    """Writes a split as JSON; a reader sees the old file or the whole new one, nothing between.

    Args:
        path: file to write; missing folders are made.
        split: what `make_split` returns.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(split, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def load_split(path: str | os.PathLike[str]) -> Split:
    """Reads a split that `save_split` wrote and checks that it is whole.

    Whether it belongs to some data is checked where it is used (`check_split`).

    Raises:
        InputError: if the file is missing, damaged or inconsistent.
    """
    return _checked_split(limits.read_json(path), f"The split {path}")


def check_split(split: Mapping[str, Any], y: NDArray[np.int32], data_fingerprint: str) -> Split:
    """Checks that a split is whole and was made from this data.

    Args:
        split: what `load_split` or `make_split` returns.
        y: (n,) labels of the training data, -1 where there is none.
        data_fingerprint: see `fingerprint`.

    Raises:
        InputError: if the split is inconsistent or belongs to other data.
    """
    checked = _checked_split(split, "The split")
    if checked["n"] != len(y) or checked["fingerprint"] != data_fingerprint:
        raise InputError(
            f'The split was made from other data ("{checked["name"]:.80}", {checked["n"]} training'
            f" rows, fingerprint {checked['fingerprint'][:8]}; this data has {len(y)} rows,"
            f" fingerprint {data_fingerprint[:8]}): load the data that it was made from, in the"
            f" same order, or choose labels anew."
        )
    labelled = np.array(checked["labelled"], np.int64)
    if (y[labelled] < 0).any():
        raise InputError("The split is damaged: it counts rows as labelled that have no label.")
    return checked


def _checked_split(content: Any, what: str) -> Split:
    def damaged(why: str) -> InputError:
        return InputError(f"{what} is damaged: {why}.")

    if not isinstance(content, Mapping):
        raise damaged("it is not a JSON object")
    missing = sorted(set(Split.__annotations__) - set(content))
    if missing:
        raise damaged(f"it lacks {', '.join(missing)}")
    if content["format"] is True or content["format"] != _FORMAT:
        raise InputError(
            f"{what} has format {content['format']!r:.80}, this version reads format {_FORMAT}."
        )
    for key, most in (("n", np.iinfo(np.int64).max), ("seed", math.inf)):
        if type(content[key]) is not int or not 0 <= content[key] <= most:
            raise damaged(f"{key} is {content[key]!r:.80}")
    for key in ("name", "fingerprint"):
        if not isinstance(content[key], str):
            raise damaged(f"{key} is {content[key]!r:.80}")
    labelled = _checked_indices(content["labelled"], content["n"])
    validation = _checked_indices(content["validation"], content["n"])
    if labelled is None or validation is None or np.intersect1d(labelled, validation).size:
        raise damaged(
            f"labelled and validation must be lists of different rows in 0..{content['n'] - 1}"
        )
    return Split(**{key: content[key] for key in Split.__annotations__})  # type: ignore[typeddict-item]


def _checked_indices(values: Any, n: int) -> NDArray[np.int64] | None:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        return None
    if values and not 0 <= min(values) <= max(values) < n:
        return None
    indices = np.unique(np.array(values, np.int64))
    return indices if len(indices) == len(values) else None


def _class_counts(y: NDArray[np.int32], num_classes: int) -> NDArray[np.int64]:
    return np.bincount(y[y >= 0], minlength=num_classes)


def _smallest_keys(
    y: NDArray[np.int32], wanted: NDArray[np.int64], seed: int, stream: tuple[int, ...]
) -> NDArray[np.int64]:
    seed = check_count(seed, "seed")
    keys = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream)).random_raw(len(y))
    order = np.lexsort((keys, y))
    starts = np.searchsorted(y[order], np.arange(len(wanted)))
    parts = [order[start : start + count] for start, count in zip(starts, wanted, strict=True)]
    return np.sort(np.concatenate(parts)).astype(np.int64)


def _wanted_per_class(
    labels_per_class: int | Mapping[int | str, int],
    chosen: NDArray[np.int64],
    names: Sequence[str],
) -> NDArray[np.int64]:
    wanted = np.zeros(len(names), np.int64)
    if isinstance(labels_per_class, Mapping):
        for entry, count in labels_per_class.items():
            wanted[class_index(entry, names)] += check_count(count, "labels_per_class")
    else:
        wanted[chosen] = check_count(labels_per_class, "labels_per_class")
    return wanted


def _part_of(rows: int, fraction: float) -> int:
    if isinstance(fraction, bool) or not 0 < fraction <= 1:
        raise InputError(f"label_fraction must be above 0 and at most 1, got {fraction!r}.")
    total = int(fraction * rows + 0.5)
    if total == 0:
        raise InputError(
            f"A fraction of {fraction} of {rows} rows that have a label is no row at all:"
            f" take a larger one."
        )
    return total


def _even(total: int, chosen: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    wanted = np.zeros(num_classes, np.int64)
    wanted[chosen] = max(1, int(total / len(chosen) + 0.5))
    return wanted


def _proportional(total: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    # Integers throughout, so that no rounding differs between platforms.
    share, remainder = np.divmod(total * counts, counts.sum())
    most_left_over = np.argsort(-remainder, kind="stable")
    share[most_left_over[: total - share.sum()]] += 1
    if total >= np.count_nonzero(counts):
        for empty in np.flatnonzero((share == 0) & (counts > 0)):
            share[np.argmax(share)] -= 1
            share[empty] = 1
    return share


def _check_available(
    wanted: NDArray[np.int64], available: NDArray[np.int64], names: Sequence[str]
) -> None:
    short = np.flatnonzero(wanted > available)
    if not len(short):
        return
    k = short[0]
    others = f" (and {len(short) - 1} more classes)" if len(short) > 1 else ""
    raise InputError(
        f'Class {k} ("{names[k]}"){others} has too few rows with a label: {wanted[k]} wanted,'
        f" {available[k]} there. Ask for fewer, or leave the class out (labelled_classes)."
    )
