"""One process at a time in a run folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tfssvae.checks import InputError

NAME = ".lock"


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a run folder, which is made where there is none, while a run works in it.

    The claim ends with the process, however that ends: nothing has to be cleaned up after a kill.

    Raises:
        InputError: another process works in the folder, or it is not a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder} is a file: choose another --out") from None
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is training in {folder}: wait for it, or choose another --out"
            ) from None
        yield
    finally:
        os.close(descriptor)
