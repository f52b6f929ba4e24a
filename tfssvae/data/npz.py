"""Data from npz files. Pickled objects in them are never loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tfssvae import limits
from tfssvae.checks import InputError
from tfssvae.data.arrays import Allocate, Source, make_source
from tfssvae.data.numpy_files import DAMAGE, without_warnings

_MOST_SHOWN = 20
_NAME_KEYS = ("class_names", "label_names")


def read_npz(
    path: str | os.PathLike[str],
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    label_key: str | None = None,
    num_classes: int | None = None,
    pixel_range: Sequence[float] | None = None,
    allocate: Allocate = limits.in_memory,
) -> Source:
    """Reads x_train, y_train and, where they exist, x_test, y_test and class names.

    Args:
        path: npz file; class names stand under `class_names` or `label_names`.
        name: the data set's name; the file's when not given.
        class_names: names for a file that has none, used if their number fits.
        label_key: reads `KEY_train` and `KEY_test` instead of `y_train` and `y_test`.
        num_classes: K, for files that do not show it (no labels at all, or gaps between them).
        pixel_range: see `make_source`, and so is `allocate`.
        allocate: makes the arrays of what is mapped.

    Raises:
        InputError: naming the file, if it is missing, damaged, no npz file, holds pickled
            objects, lacks keys, holds bad arrays, or unpacks to more than the memory that is free.
    """
    path = Path(path)
    labels = label_key or "y"
    required = ("x_train", f"{labels}_train")
    optional = ("x_test", f"{labels}_test")
    arrays = _read_arrays(path, required, (*optional, *_NAME_KEYS))
    y_train, y_test = arrays[required[1]], arrays.get(optional[1])
    if label_key is None:
        names = next((arrays[key] for key in _NAME_KEYS if key in arrays), None)
    else:
        names = None  # the file's names belong to y_train
    if names is None and class_names is not None and _fits(len(class_names), y_train, y_test):
        names = np.array(class_names)
    return make_source(
        arrays["x_train"],
        y_train,
        arrays.get("x_test"),
        y_test,
        name=name or path.stem,
        class_names=None if names is None else _listed(names, path),
        num_classes=num_classes,
        origin=str(path),
        pixel_range=pixel_range,
        allocate=allocate,
    )


def _listed(names: NDArray[Any], path: Path) -> list[Any]:
    # Before a list is made of them: names of no characters take no bytes in the file.
    limits.check_classes(names.size, f"class_names in {path}")
    if names.dtype.kind not in "USbuif" or (names.dtype.kind == "U" and not _is_text(names)):
        raise InputError(f"class_names in {path} are {names.dtype} that are no text: write names.")
    return names.ravel().tolist()


def _is_text(names: NDArray[Any]) -> bool:
    """Whether all characters exist: of others numpy makes strings that break the interpreter."""
    if not names.dtype.itemsize:
        return True
    codes = np.ascontiguousarray(names).view(
        np.dtype(np.uint32).newbyteorder(names.dtype.byteorder)
    )
    return codes.size == 0 or int(codes.max()) <= sys.maxunicode


def _fits(num_names: int, *labels: NDArray[Any] | None) -> bool:
    known = [y for y in labels if y is not None and y.size]
    return all(y.dtype.kind in "buif" and y.max() < num_names for y in known)


def _read_arrays(
    path: Path, required: Sequence[str], optional: Sequence[str]
) -> dict[str, NDArray[Any]]:
    try:
        # Opened here because numpy leaves a file of its own open when it turns out to be damaged.
        with limits.open_file(path) as stream, _open_archive(stream, path) as archive:
            missing = [key for key in required if key not in archive.files]
            if missing:
                found = archive.files[:_MOST_SHOWN]
                found += ["..."] if len(archive.files) > _MOST_SHOWN else []
                raise InputError(
                    f"{path} lacks {' and '.join(missing)}: expected {', '.join(required)} and"
                    f" perhaps {', '.join(optional)}, found"
                    f" {', '.join(found) or 'nothing'}."
                )
            keys = [*required, *(key for key in optional if key in archive.files)]
            return {key: _read_array(archive, key, path) for key in keys}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _open_archive(stream: BinaryIO, path: Path) -> Any:
    not_npz = f"{path} is not an npz file, or it is damaged"
    try:
        with without_warnings():
            archive = np.load(stream, allow_pickle=False)
    except DAMAGE as error:
        raise InputError(f"{not_npz}: write it with numpy.savez.") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise InputError(f"{not_npz}: it holds a single array, write it with numpy.savez.")
    return archive


def _read_array(archive: Any, key: str, path: Path) -> NDArray[Any]:
    try:
        # zipfile unpacks no more than the directory of the archive says, whatever the array says.
        for name in {key, f"{key}.npy"} & set(archive.zip.namelist()):
            size = archive.zip.getinfo(name).file_size
            limits.check_memory((size,), np.uint8, f"{key} in {path}")
        with without_warnings():
            return np.asarray(archive[key])
    except InputError:
        raise
    except DAMAGE as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{key} in {path} holds pickled Python objects, which are never loaded because"
                f" they can run code: save it as an array of numbers."
            ) from error
        raise InputError(f"{key} in {path} cannot be read, the file is damaged.") from error
