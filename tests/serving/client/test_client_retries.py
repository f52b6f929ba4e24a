"""Pauses and deadlines, on a clock that only sleeping moves."""

import numpy as np
import pytest

from tfssvae.serving.client import retries
from tfssvae.serving.client.errors import ServingError


class Clock:
    def __init__(self):
        self.now, self.pauses = 1000.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(retries, "time", clock)
    return clock


def away(seconds):
    raise ServingError("UNAVAILABLE", "away")


def test_pauses_double_to_a_limit_and_are_cut_at_random(clock):
    with pytest.raises(ServingError, match="away"):
        retries.with_retries(away, retries.Deadline(100), retries=9)
    full = np.minimum(0.1 * 2.0 ** np.arange(9), 5)
    parts = np.array(clock.pauses) / full
    assert ((parts >= 0.5) & (parts <= 1)).all()
    assert len(set(parts.round(6))) > 5


def test_an_attempt_has_the_seconds_that_are_left(clock):
    given = []

    def slow(seconds):
        given.append(seconds)
        clock.now += 3
        return away(seconds)

    with pytest.raises(ServingError, match="away"):
        retries.with_retries(slow, retries.Deadline(10), retries=99)
    spent = np.cumsum([0, *(pause + 3 for pause in clock.pauses)])
    np.testing.assert_allclose(given, 10 - spent)
    assert len(given) == 4


def test_nothing_is_sent_and_nobody_sleeps_beyond_the_deadline(clock):
    deadline = retries.Deadline(1)
    with pytest.raises(ServingError, match="away"):
        retries.with_retries(away, deadline, retries=99)
    assert 0 < deadline.left() < 1
    clock.now += 1
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED: no answer within 1 s"):
        retries.with_retries(lambda seconds: "sent", deadline, retries=99)
