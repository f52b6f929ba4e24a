"""Running requests: each by itself, or merged along their first axis."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tfssvae.serving.development.loaded_model import Arrays, LoadedModel


class Runner(Protocol):
    """What runs the signatures of models."""

    def submit(
        self, model: LoadedModel, signature: str, inputs: Mapping[str, NDArray[Any]]
    ) -> "Future[Arrays]":
        """Run a signature.

        Args:
            model: the version.
            signature: a name that it has, or "" for the default one.
            inputs: name -> array, checked by `model.check`.

        Returns:
            A future of output name -> array; a `Failure` where the model refuses the inputs.
        """

    def close(self) -> None:
        """Take no more requests; those that wait are still answered."""


class OneByOne:
    """Runs every request by itself.

    Args:
        pool: the threads that call TensorFlow.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def submit(
        self, model: LoadedModel, signature: str, inputs: Mapping[str, NDArray[Any]]
    ) -> "Future[Arrays]":
        """Run a signature; see `Runner.submit`."""
        return self._pool.submit(model.run, signature, inputs)

    def close(self) -> None:
        """Do nothing: nothing waits here."""


@dataclass
class _Request:
    inputs: Mapping[str, NDArray[Any]]
    rows: int
    future: "Future[Arrays]" = field(default_factory=Future)


@dataclass
class _Group:
    """Requests for one signature whose inputs differ in their first axis only."""

    model: LoadedModel
    signature: str
    deadline: float
    requests: list[_Request] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)


class Batcher:
    """Merges requests that wait for the same signature, and splits the answers.

    A request runs by itself where an input is a scalar, such as a seed, or where its inputs differ
    in their first size: there is nothing along which it could be merged.

    Args:
        pool: the threads that call TensorFlow.
        max_rows: the rows of a merged request; larger requests run by themselves.
        timeout: how long a request waits for others, in seconds.
    """

    def __init__(self, pool: ThreadPoolExecutor, max_rows: int, timeout: float) -> None:
        self._pool, self._max_rows, self._timeout = pool, max_rows, timeout
        self._groups: dict[tuple, _Group] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._watch = threading.Thread(target=self._run_expired, name="batching", daemon=True)
        self._watch.start()

    def submit(
        self, model: LoadedModel, signature: str, inputs: Mapping[str, NDArray[Any]]
    ) -> "Future[Arrays]":
        """Run a signature, perhaps with other requests; see `Runner.submit`."""
        rows = _shared_rows(inputs)
        if rows is None or rows >= self._max_rows:
            return self._pool.submit(model.run, signature, inputs)
        request = _Request(inputs, rows)
        shapes = tuple((name, value.shape[1:]) for name, value in sorted(inputs.items()))
        key = (model, signature, shapes)
        with self._changed:
            if key in self._groups and self._groups[key].rows + rows > self._max_rows:
                self._start(key)
            if key not in self._groups:
                self._groups[key] = _Group(model, signature, time.monotonic() + self._timeout)
                self._changed.notify()
            self._groups[key].requests.append(request)
            if self._groups[key].rows == self._max_rows or self._closed:
                self._start(key)
        return request.future

    def close(self) -> None:
        """Stop waiting for more requests; those that wait are run."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._watch.join()

    def _run_expired(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for key in [key for key, group in self._groups.items() if group.deadline <= now]:
                    self._start(key)
                deadlines = [group.deadline for group in self._groups.values()]
                self._changed.wait(min(deadlines) - now if deadlines else None)
            for key in list(self._groups):
                self._start(key)

    def _start(self, key: tuple) -> None:
        group = self._groups.pop(key)
        self._pool.submit(_run_group, group)


def _run_group(group: _Group) -> None:
    # From here on a client that goes away cannot cancel its request under the others' feet.
    requests = [item for item in group.requests if item.future.set_running_or_notify_cancel()]
    if requests:
        _answer(group.model, group.signature, requests)


def _shared_rows(inputs: Mapping[str, NDArray[Any]]) -> int | None:
    sizes = {len(value) if value.ndim else None for value in inputs.values()}
    return sizes.pop() if len(sizes) == 1 else None


def _answer(model: LoadedModel, signature: str, requests: list[_Request]) -> None:
    try:
        answers = _run_merged(model, signature, requests)
    except Exception as error:
        if len(requests) == 1:
            requests[0].future.set_exception(error)
            return
        # One bad request fails the whole: halves find it, and the others are answered.
        middle = len(requests) // 2
        _answer(model, signature, requests[:middle])
        _answer(model, signature, requests[middle:])
        return
    for request, answer in zip(requests, answers, strict=True):
        request.future.set_result(answer)


def _run_merged(model: LoadedModel, signature: str, requests: list[_Request]) -> list[Arrays]:
    if len(requests) == 1:
        return [model.run(signature, requests[0].inputs)]
    inputs = {
        name: np.concatenate([request.inputs[name] for request in requests])
        for name in requests[0].inputs
    }
    outputs = model.run(signature, inputs)
    rows = [request.rows for request in requests]
    if any(value.ndim == 0 or len(value) != sum(rows) for value in outputs.values()):
        raise ValueError("an output has no row per row of the inputs")
    ends = np.cumsum(rows)
    return [
        {name: value[end - size : end] for name, value in outputs.items()}
        for size, end in zip(rows, ends, strict=True)
    ]
