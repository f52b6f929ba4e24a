"""Python functions inside `tf.data`, and the end of Python while one of them runs.

TensorFlow calls them from its threads, ahead of what is asked for. Python ends such a thread when
it ends itself, and TensorFlow then waits for its answer for ever, as it destroys the iterator: a
script whose last batch has been taken would not exit. So the end waits until the buffers are full.
"""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

_QUIET = 0.1  # seconds without a call, after which the buffers are taken to be full
_LONGEST = 10.0  # seconds; nothing says how large a buffer somebody has asked for
_lock = threading.Lock()
_under_way, _last = 0, -_QUIET


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for `tf.numpy_function`, for whose calls the end of Python waits."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        _count(1)
        try:
            return function(*arguments)
        finally:
            _count(-1)

    return call


def _count(calls: int) -> None:
    global _under_way, _last
    with _lock:
        _under_way += calls
        _last = time.monotonic()


@atexit.register
def _wait() -> None:
    latest = time.monotonic() + _LONGEST
    while time.monotonic() < latest and (_under_way or time.monotonic() < _last + _QUIET):
        time.sleep(_QUIET / 10)
