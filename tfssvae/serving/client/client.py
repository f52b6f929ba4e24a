"""A served model as an object with methods."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae import checks
from tfssvae.checks import InputError
from tfssvae.serving.client import arguments
from tfssvae.serving.client.errors import ServingError
from tfssvae.serving.client.interface import ModelSpec, Signature, VersionStatus, connect
from tfssvae.serving.client.retries import Deadline, with_retries

T = TypeVar("T")

_LONGEST_POLL = 5.0  # seconds: a server that accepts connections may still not answer
_POLL_PAUSE = 0.2


class Client:
    """A model on TensorFlow Serving, called with numpy arrays.

    REST and gRPC give the same arrays; gRPC is faster. TensorFlow is not imported. Threads may
    share a client.

    An argument that does not fit what the server says about the model is refused before anything
    is sent. A request is sent again, with growing pauses, only while the server is unavailable: it
    refuses or resets the connection, or answers UNAVAILABLE (503), as it does with a full queue.

    Args:
        address: "http://host:8501" or "https://..." for REST; "host:8500", "grpc://host:8500" or
            "grpcs://..." (TLS) for gRPC.
        model: the model's name on the server.
        version: a number; None is the latest version that is served.
        label: a version's label such as "stable", instead of a number.
        timeout: seconds for each call, all of its requests and retries together.
        retries: how often a request may be sent again.
        batch_size: rows of one request; more are cut into several. Without a version or a label
            they may meet two versions while the server changes over.
        headers: sent with every request, such as {"authorization": "Bearer ..."}.

    Raises:
        InputError: an argument is not as described.
        ImportError: the transport's package is missing; the extra `serving` has it.

    Every method that asks the server raises `ServingError` where it does not get an answer.

    Example:
        ```python
        with tfssvae.serving.Client("http://localhost:8501", "mnist_m2") as client:
            client.wait_until_ready(60)
            print(client.classify(images)["classes"])
        ```
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        retries: int = 4,
        batch_size: int = 256,
        headers: Mapping[str, str] | None = None,
    ):
        if not isinstance(model, str) or not model:
            raise InputError(f"model must be the name of a served model, got {model!r}")
        if version is not None and label is not None:
            raise InputError("give a version or a label, not both")
        self.model = ModelSpec(
            model, None if version is None else checks.check_count(version, "version"), label
        )
        self.timeout = _seconds(timeout)
        self.retries = checks.check_count(retries, "retries")
        self.batch_size = checks.check_positive(batch_size, "batch_size")
        self._transport = connect(address, dict(headers or {}))
        self._signatures: dict[str, Signature] | None = None

    def classify(
        self, images: ArrayLike, *, timeout: float | None = None
    ) -> dict[str, NDArray[Any]]:
        """Classify images.

        Args:
            images: (n, *input_shape) uint8 0..255 or float 0..1; they go to the signature of
                their type.
            timeout: seconds, instead of the client's.

        Returns:
            `probabilities` (n, K) float32 and `classes` (n,) int32.
        """
        return self._view("classify", images, timeout)

    def encode(self, images: ArrayLike, *, timeout: float | None = None) -> NDArray[np.float32]:
        """Return the posterior mean of the codes, (n, d), of images as in `classify`."""
        return self._view("encode", images, timeout)["codes"]

    def reconstruct(
        self, images: ArrayLike, *, timeout: float | None = None
    ) -> NDArray[np.float32]:
        """Return the reconstructions, (n, *input_shape) in 0..1, of images as in `classify`."""
        return self._view("reconstruct", images, timeout)["reconstructions"]

    def generate(
        self, labels: ArrayLike, seed: int = 0, *, timeout: float | None = None
    ) -> NDArray[np.float32]:
        """Generate one image per label, in one request of any size.

        Args:
            labels: (n,) classes 0..K-1.
            seed: the same labels and seed give the same images.
            timeout: seconds, instead of the client's.

        Returns:
            (n, *input_shape) in 0..1.
        """
        deadline = self._deadline(timeout)
        seed = checks.check_seed(seed)
        signatures = self._known(deadline)
        outputs = signatures.get("classify", {"outputs": {}})["outputs"]
        shape = outputs.get("probabilities", {"shape": None})["shape"]
        labels = checks.check_labels(
            labels, shape[-1] if shape else None, "labels", allow_unlabelled=False
        )
        return self._call("generate", {"labels": labels, "seed": seed}, deadline)[
            "generated_images"
        ]

    def call(
        self, signature: str, /, *, timeout: float | None = None, **arrays: ArrayLike
    ) -> dict[str, NDArray[Any]]:
        """Call any signature.

        Args:
            signature: its name.
            timeout: seconds, instead of the client's.
            **arrays: its inputs by name. Integers may have any width that holds their values,
                floats any width.

        Returns:
            Its outputs by name.

        Raises:
            InputError: there is no such signature, or an array does not fit.
        """
        return self._call(signature, arrays, self._deadline(timeout))

    def metadata(self, *, timeout: float | None = None) -> dict[str, Signature]:
        """Ask for the signatures: {name: {"inputs" and "outputs": {name: {"dtype", "shape"}}}}.

        As in `assets/interface.json`; null is any size. The first call of another method asks too,
        and keeps the answer until a request is refused.
        """
        return self._metadata(self._deadline(timeout))

    def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """Ask for the versions and their states, in rising order.

        One version where the client has a number, all of them otherwise.
        """
        found = self._send(
            lambda seconds: self._transport.status(self.model._replace(label=None), seconds),
            self._deadline(timeout),
        )
        return sorted(found)

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Wait until the server answers for this model and version or label.

        Args:
            timeout: seconds.

        Raises:
            ServingError: DEADLINE_EXCEEDED, with the server's last words.
        """
        deadline = Deadline(_seconds(timeout))
        last: ServingError | None = None
        while deadline.left() > 0:
            try:
                # A server describes only what it has loaded, and knows labels here.
                self._describe(min(_LONGEST_POLL, deadline.left()))
                return
            except ServingError as error:
                # An answer says more than a request that the end of this wait cut off.
                if last is None or error.code != "DEADLINE_EXCEEDED":
                    last = error
            time.sleep(max(0.0, min(_POLL_PAUSE, deadline.left())))
        raise ServingError(
            "DEADLINE_EXCEEDED",
            f"{self.model.name} was not ready within {deadline.seconds:g} s; last answer: {last}",
        ) from last

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _view(self, view: str, images: ArrayLike, timeout: float | None) -> dict[str, NDArray[Any]]:
        deadline = self._deadline(timeout)
        signatures = self._known(deadline)
        array = checks.check_images(images, "images")
        name = arguments.signature_for_images(signatures, view, array.dtype.name)
        return self._call(name, {"images": array}, deadline)

    def _call(
        self, name: str, arrays: Mapping[str, ArrayLike], deadline: Deadline
    ) -> dict[str, NDArray[Any]]:
        signature = arguments.find_signature(self._known(deadline), name)
        inputs = arguments.checked(name, signature, arrays)
        answers = []
        for batch in arguments.requests(signature, inputs, self.batch_size):
            rows = next((len(array) for array in batch.values() if array.ndim), None)
            outputs = self._predict(name, signature, batch, deadline)
            answers.append((rows, outputs))
        return arguments.join(answers)

    def _predict(
        self, name: str, signature: Signature, batch: arguments.Arrays, deadline: Deadline
    ) -> dict[str, NDArray[Any]]:
        try:
            return self._send(
                lambda seconds: self._transport.predict(
                    self.model, name, signature, batch, seconds
                ),
                deadline,
            )
        except ServingError as error:
            if error.code in ("INVALID_ARGUMENT", "NOT_FOUND"):
                self._signatures = None  # another version may be served by now
            raise

    def _known(self, deadline: Deadline) -> dict[str, Signature]:
        return self._signatures or self._metadata(deadline)

    def _metadata(self, deadline: Deadline) -> dict[str, Signature]:
        return self._send(self._describe, deadline)

    def _describe(self, seconds: float) -> dict[str, Signature]:
        found = self._transport.metadata(self.model, seconds)
        # TensorFlow adds a signature for initialisation, which nobody can call.
        self._signatures = {k: v for k, v in found.items() if not k.startswith("__")}
        return self._signatures

    def _send(self, request: Callable[[float], T], deadline: Deadline) -> T:
        return with_retries(request, deadline, self.retries)

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self.timeout if timeout is None else _seconds(timeout))


def _seconds(value: float) -> float:
    with contextlib.suppress(TypeError, ValueError):
        if not isinstance(value, bool | str) and 0 < float(value) < float("inf"):
            return float(value)
    raise InputError(f"timeout must be a number of seconds above 0, got {value!r}")
