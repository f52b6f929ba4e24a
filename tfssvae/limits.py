"""How much a file may claim, and how files of unknown origin are opened.

A few bytes can say "a billion classes" or "a terabyte of pixels". Every loader asks here before it
believes them. The limits are module constants: set `tfssvae.limits.CLASSES = 500_000` before
loading where honest data exceeds one.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tfssvae.checks import InputError
from tfssvae.library_errors import reason

CLASSES = 100_000
"""Classes or clusters of a data set; a single label of two billion would name as many."""
JSON_BYTES = 256 * 2**20
"""Of one JSON file; the split of ten million rows has about 80 MiB."""
MODEL_CONFIG_BYTES = 16 * 2**20
"""Of the description of a model inside its file; wide residual networks have less than one MiB."""
NAME_CHARACTERS = 1000
"""Of a class's name."""

_EXPANSION = 3  # bytes that a file of weights may unpack to for each byte that it has
_SLACK_BYTES = 64 * 2**20  # and these besides: what a model does not store is small


class UnreadableFile(InputError):
    """A file that is missing or damaged: nobody need have meant harm."""


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; opening a named pipe or a device could wait for ever.

    Raises:
        UnreadableFile: there is none, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise UnreadableFile(f"There is no file {os.fspath(path)}.") from error
    except OSError as error:
        raise UnreadableFile(f"{os.fspath(path)} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UnreadableFile(f"{os.fspath(path)!r} is no path: {error}.") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "Is a directory" if stat.S_ISDIR(mode) else "it is a pipe, a socket or a device"
        raise UnreadableFile(f"{os.fspath(path)} cannot be read: {kind}.")
    return os.fdopen(descriptor, "rb")


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        UnreadableFile: there is no such file, it is damaged, or holds something else.
        InputError: it is larger than `JSON_BYTES`.
    """
    return _object(read_json_value(path), path)


def read_json_value(path: str | os.PathLike[str]) -> Any:
    """Return what a JSON file holds, of whatever kind.

    Raises:
        UnreadableFile: there is no such file, or it is damaged.
        InputError: it is larger than `JSON_BYTES`.
    """
    with open_file(path) as file:
        content = file.read(JSON_BYTES + 1)
    if len(content) > JSON_BYTES:
        raise InputError(
            f"{path} has more than {JSON_BYTES / 2**20:g} MiB, too many for a description: choose "
            "another file, or raise tfssvae.limits.JSON_BYTES"
        )
    return _parsed(content, path)


def parse_object(content: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the object that JSON text holds; `path` is what messages name.

    Raises:
        UnreadableFile: it is not JSON, not an object, or nested beyond what Python can follow.
    """
    return _object(_parsed(content, path), path)


def _parsed(content: bytes, path: str | os.PathLike[str]) -> Any:
    try:
        return json.loads(content)
    except RecursionError:
        raise UnreadableFile(f"{path} is damaged: it is nested too deeply") from None
    except ValueError as error:  # not UTF-8, not JSON, or a number of thousands of digits
        raise UnreadableFile(f"{path} is damaged, it is not JSON: {reason(error)}") from error


def _object(found: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise UnreadableFile(f"{path} is damaged: it is not a JSON object")
    return found


def check_classes(count: int, what: str) -> None:
    """Refuse more classes than `CLASSES`.

    Raises:
        InputError: naming both.
    """
    if count > CLASSES:
        raise InputError(
            f"{what} has {count:,} classes and at most {CLASSES:,} are taken: number them from 0, "
            "or raise tfssvae.limits.CLASSES"
        )


def check_memory(shape: Sequence[int], dtype: Any, what: str) -> None:
    """Refuse an array that the memory that is free now cannot hold.

    Args:
        shape: of the array.
        dtype: of the array.
        what: names it in the message.

    Raises:
        InputError: naming both sizes.
    """
    import psutil

    _check_room(shape, dtype, psutil.virtual_memory().available, what, "memory")


def fills_memory(wanted: int) -> bool:
    """Whether so many bytes are more than half of the memory that is free now."""
    import psutil

    return wanted > psutil.virtual_memory().available // 2


def check_free(wanted: int) -> None:
    """Refuse variables of more bytes than the memory that is free now.

    Raises:
        InputError: naming both sizes.
    """
    import psutil

    free = psutil.virtual_memory().available
    if wanted > free:
        raise InputError(
            f"the model needs at least {wanted / 2**20:,.0f} MiB and {free / 2**20:,.0f} MiB of "
            "memory are free: make its layers smaller"
        )


def in_memory(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array to fill, if the memory that is free now can hold it; see `Allocate`.

    Raises:
        InputError: it cannot.
    """
    check_memory(shape, dtype, "The data as an array")
    return np.empty(shape, dtype)


def check_disk(shape: Sequence[int], dtype: Any, folder: Path) -> None:
    """Refuse an array that the disk of a folder cannot hold.

    Raises:
        InputError: naming both sizes.
    """
    _check_room(shape, dtype, shutil.disk_usage(folder).free, "The data as an array", "disk space")


def check_unpacked(claimed: int, stored: int, path: str | os.PathLike[str]) -> None:
    """Refuse a file that asks for far more memory than it has bytes.

    Raises:
        InputError: naming both sizes.
    """
    if claimed > _EXPANSION * stored + _SLACK_BYTES:
        raise InputError(
            f"{path} asks for {claimed / 2**20:,.0f} MiB and has {stored / 2**20:,.1f} MiB: it is "
            "damaged or was made to fill the memory, choose another file"
        )


def _check_room(shape: Sequence[int], dtype: Any, room: int, what: str, of: str) -> None:
    wanted = math.prod(map(int, shape)) * np.dtype(dtype).itemsize
    if wanted > room:
        sides = " x ".join(map(str, shape))
        raise InputError(
            f"{what} ({sides}, {np.dtype(dtype)}) needs {wanted / 2**20:,.0f} MiB and"
            f" {room / 2**20:,.0f} MiB of {of} are free: take fewer or smaller examples."
        )
