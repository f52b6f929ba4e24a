"""Images that stay in their files and are read row by row, in any order."""

from __future__ import annotations

import abc
import copy
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tfssvae.checks import InputError

_Images = TypeVar("_Images", bound="ImagesInFiles")


class ImagesInFiles(abc.ABC):
    """Rows of images in files, used as an array: `x[rows]`, `len(x)`, `x.shape`, `np.asarray(x)`.

    No file is held open; reading does not hold Python's lock, so that threads read at once.

    Args:
        files: that hold the rows.
        file_of: (n,) index of each row's file.
        offsets: (n,) where in its file each row begins.
        shape: of one row.
        dtype: "uint8" or "float32".
        fingerprint: of the rows and their labels, where it is known; see `splits.fingerprint`.
    """

    def __init__(
        self,
        files: Sequence[Path],
        file_of: NDArray[np.int32],
        offsets: NDArray[np.int64],
        shape: Sequence[int],
        dtype: str,
        fingerprint: str | None = None,
    ):
        self.shape = (len(offsets), *shape)
        self.dtype = np.dtype(dtype)
        self.ndim = len(self.shape)
        self.itemsize = self.dtype.itemsize
        self.fingerprint = fingerprint
        self._row_bytes = math.prod(shape) * self.itemsize
        self._files = list(files)
        self._file_of = file_of
        self._offsets = offsets

    @abc.abstractmethod
    def _read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the images of (m,) rows, each from 0 to n - 1, as (m, ...)."""

    def prepare(self, count: int) -> None:  # noqa: B027
        """Make ready to read so many rows at once, where TensorFlow's graphs may be built.

        Not in the threads that read: there TensorFlow now and then stands still for ever.
        """

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all rows as an array."""
        return len(self) * self._row_bytes

    def chosen(self: _Images, rows: NDArray[Any]) -> _Images:
        """Return the images of some rows (indices, or a mask), which stay in their files too."""
        found = copy.copy(self)
        found._file_of, found._offsets = self._file_of[rows], self._offsets[rows]
        found.shape = (len(found._offsets), *self.shape[1:])
        found.fingerprint = None
        return found

    def __getitem__(self, key) -> NDArray[Any]:
        """Return what the array would: `key` indexes the rows, of a tuple the first entry does.

        Raises:
            InputError: a file is gone or not what it was, or floats in it are not in 0..1.
        """
        rows, *rest = key if isinstance(key, tuple) else (key,)
        wanted = _positions(rows, len(self))
        flat = wanted.ravel()
        images = self._read(flat)
        self._check(images, flat)
        found = images.reshape(*wanted.shape, *self.shape[1:])
        whole = (Ellipsis,) if rows is Ellipsis else (slice(None),) * wanted.ndim
        return found[(*whole, *rest)]

    def _check(self, images: NDArray[Any], rows: NDArray[np.int64]) -> None:
        """Refuse floats that are no pixels: nothing looked at them when the data were loaded."""
        if images.dtype == np.uint8 or not images.size:
            return
        if images.min() >= 0 and images.max() <= 1:  # neither is so of NaN
            return
        flat = images.reshape(len(images), -1)
        number = int(np.argmin(((flat >= 0) & (flat <= 1)).all(axis=1)))
        low, high = flat[number].min(), flat[number].max()
        found = "NaN" if np.isnan(low) else f"floats from {low:.7g} to {high:.7g}"
        row = rows[number]
        raise InputError(
            f"{self._files[self._file_of[row]]} is damaged: row {row}, which begins at byte"
            f" {self._offsets[row]:,}, has {found}, pixels must be in 0..1: convert the data again"
        )

    def _in_place(self, rows: NDArray[np.int64], read: Callable[[int, int, int], bool]) -> None:
        """Call `read(handle, number, offset)` for `rows[number]`, in the order in which they lie.

        Raises:
            InputError: a file cannot be read, or `read` says that the row was not all there.
        """
        files, offsets = self._file_of[rows], self._offsets[rows]
        opened, handle = -1, -1
        try:
            for number in np.lexsort((offsets, files)):
                if files[number] != opened:
                    if handle >= 0:
                        os.close(handle)
                        handle = -1
                    opened = files[number]
                    handle = os.open(self._files[opened], os.O_RDONLY)
                if not read(handle, number, int(offsets[number])):
                    raise InputError(f"{self._files[opened]} has been cut off")
        except OSError as error:
            raise InputError(f"{self._files[opened]} cannot be read: {error.strerror}") from error
        finally:
            if handle >= 0:
                os.close(handle)

    def __array__(self, dtype=None, copy=None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("images in files become an array by copying them")
        return self[:] if dtype is None else self[:].astype(dtype)


def _positions(rows: Any, count: int) -> NDArray[np.int64]:
    """Return the rows that an index means, each from 0 to count - 1."""
    if isinstance(rows, slice) or rows is Ellipsis:
        return np.arange(count)[rows]
    wanted = np.asarray(rows)
    if wanted.dtype == bool or wanted.size == 0:
        return np.arange(count)[wanted if wanted.size else wanted.astype(np.int64)]
    if wanted.dtype.kind not in "iu":
        raise IndexError(f"rows are whole numbers, got {wanted.dtype}")
    outside = (wanted < -count) | (wanted >= count)
    if outside.any():
        raise IndexError(f"row {wanted[outside].flat[0]} is out of bounds for {count} rows")
    return np.where(wanted < 0, wanted + count, wanted).astype(np.int64)
