"""Numbered version folders, which appear whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.library_errors import reason

_MOST = 2**63 - 1


def write_version(directory: Path, version: int | None, write: Callable[[Path], object]) -> Path:
    """Write one version of a model as TensorFlow Serving expects it: `directory/<version>/`.

    The files are written to a hidden folder beside it, which Serving ignores because its name is
    not a number, and the folder is then renamed: a watcher never sees half a model. Several
    processes may write at the same time. A folder that a killed process left behind is in nobody's
    way and may be deleted.

    Args:
        directory: the model's folder, made where it does not exist.
        version: a whole number; None is one more than the highest version there, or 1.
        write: writes the files into the folder that it is given.

    Returns:
        The folder of the version.

    Raises:
        InputError: `directory` is a file or cannot be written to, or the version exists.
    """
    partial = directory / f".partial-{uuid.uuid4().hex}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _refuse_taken(directory, version)
        partial.mkdir()  # not tempfile: a server under another user has to be able to read it
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{directory} is a file or lies below one: give a folder for the model's versions"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot write to {directory} ({error.strerror}): give a folder that you may write to"
        ) from error
    try:
        write(partial)
        _flush(partial)
        return _publish(partial, directory, version)
    except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError) as error:
        raise OSError(f"cannot write to {directory}, is the disk full? {reason(error)}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, directory: Path, version: int | None) -> Path:
    while True:
        number = max(_versions(directory), default=0) + 1 if version is None else version
        final = directory / str(number)
        try:
            return partial.rename(final)
        except OSError:
            if not final.exists():
                raise
            # Another process was faster with this number.
            _refuse_taken(directory, version)


def _refuse_taken(directory: Path, version: int | None) -> None:
    taken = _versions(directory)
    number = max(taken, default=0) + 1 if version is None else version
    if number > _MOST:
        raise InputError(f"a version is at most {_MOST}, which servers can count to; got {number}")
    if version in taken:
        raise InputError(
            f"version {version} exists in {directory} and is never overwritten: "
            f"leave version out for {max(taken) + 1}, or delete the old one first"
        )


def _versions(directory: Path) -> set[int]:
    return {int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal()}


def _flush(folder: Path) -> None:
    """Force the files to the disk: after a power cut a rename may be there without them."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "r+b") as file:
                os.fsync(file.fileno())
