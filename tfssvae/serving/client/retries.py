"""Deadlines, and second attempts at a server that is away."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import TypeVar

from tfssvae.serving.client.errors import ServingError

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0

T = TypeVar("T")


class Deadline:
    """A moment after which nothing more is sent.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; 0 or less once it has passed."""
        return self._end - time.monotonic()


def with_retries(request: Callable[[float], T], deadline: Deadline, retries: int) -> T:
    """Send a request, again while the server is unavailable and there is time.

    Pauses double from 0.1 s to 5 s; each is cut by up to half at random, so that clients which a
    restart has thrown out together do not come back together.

    Args:
        request: sends it, given the seconds that are left.
        deadline: of all attempts together.
        retries: how many attempts may follow the first.

    Raises:
        ServingError: of the last attempt; DEADLINE_EXCEEDED where there was no time for one.
    """
    for attempt in itertools.count():
        left = deadline.left()
        if left <= 0:
            raise ServingError("DEADLINE_EXCEEDED", f"no answer within {deadline.seconds:g} s")
        try:
            return request(left)
        except ServingError as error:
            if error.code != "UNAVAILABLE" or attempt >= retries:
                raise
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt) * random.uniform(0.5, 1.0)
            if pause >= deadline.left():
                raise
            time.sleep(pause)
    raise AssertionError  # for type checkers: the loop has no end
