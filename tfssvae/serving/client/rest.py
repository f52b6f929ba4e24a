"""TensorFlow Serving over REST: readable, and through any proxy."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
import urllib3
from numpy.typing import NDArray

from tfssvae.serving.client.errors import ServingError, code_of_status
from tfssvae.serving.client.interface import (
    DTYPES_BY_REST_NAME,
    ModelSpec,
    Signature,
    TensorSpec,
    VersionStatus,
)
from tfssvae.serving.client.retries import Deadline

_BLOCK = 1 << 20
_SHOWN_CHARACTERS = 500


class _Timely:
    """A connection whose timeout is for the whole head of an answer.

    That of a socket begins anew with every byte that arrives.
    """

    def getresponse(self):
        if not self.timeout:
            return super().getresponse()
        is_late = threading.Event()
        timer = threading.Timer(self.timeout, self._cut, [is_late])
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        finally:
            timer.cancel()
        if is_late.is_set():  # half a head, which ends where the connection was cut
            response.close()
            raise urllib3.exceptions.ProtocolError("the head of the answer was not complete")
        return response

    def _cut(self, is_late: threading.Event) -> None:
        is_late.set()
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]


class _Connection(_Timely, urllib3.connection.HTTPConnection):
    pass


class _SecureConnection(_Timely, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Rest:
    """A pool of connections to a server; threads may share it.

    Args:
        address: "http://host:port", with a path in front of /v1 where a proxy adds one.
        headers: sent with every request.
    """

    def __init__(self, address: str, headers: Mapping[str, str]):
        self._root = f"{address.rstrip('/')}/v1/models/"
        self._headers = {"Content-Type": "application/json", **headers}
        self._pool = urllib3.PoolManager(maxsize=8)
        self._pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def metadata(self, model: ModelSpec, seconds: float) -> dict[str, Signature]:
        answer = self._ask("GET", f"{_path(model)}/metadata", None, seconds)
        signatures = _part(answer, "metadata", "signature_def", "signature_def")
        return {
            name: {
                "inputs": _tensors(signature.get("inputs", {})),
                "outputs": _tensors(signature.get("outputs", {})),
            }
            for name, signature in signatures.items()
        }

    def status(self, model: ModelSpec, seconds: float) -> list[VersionStatus]:
        answer = self._ask("GET", _path(model), None, seconds)
        return [
            VersionStatus(
                int(entry["version"]),
                entry["state"],
                entry.get("status", {}).get("error_message", ""),
            )
            for entry in _part(answer, "model_version_status")
        ]

    def predict(
        self,
        model: ModelSpec,
        name: str,
        signature: Signature,
        inputs: Mapping[str, NDArray[Any]],
        seconds: float,
    ) -> dict[str, NDArray[Any]]:
        # The columnar form: the row form cannot carry a scalar beside rows.
        request = {
            "signature_name": name,
            "inputs": {key: array.tolist() for key, array in inputs.items()},
        }
        body = json.dumps(request, separators=(",", ":"), allow_nan=False).encode()
        outputs = _part(self._ask("POST", f"{_path(model)}:predict", body, seconds), "outputs")
        if not isinstance(outputs, dict):
            # A lone output comes without its name.
            outputs = {next(iter(signature["outputs"])): outputs}
        try:
            return {
                key: np.array(values, signature["outputs"][key]["dtype"])
                for key, values in outputs.items()
            }
        except (KeyError, TypeError, ValueError) as error:
            raise ServingError(
                "INTERNAL", f"the answer does not fit the signature {name}: {error}"
            ) from error

    def close(self) -> None:
        self._pool.clear()

    def _ask(self, method: str, path: str, body: bytes | None, seconds: float) -> Any:
        deadline = Deadline(seconds)
        try:
            response = self._pool.request(
                method,
                self._root + path,
                body=body,
                headers=self._headers,
                timeout=urllib3.Timeout(total=seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            content = _read(response, deadline)
        except urllib3.exceptions.SSLError as error:
            raise ServingError("UNKNOWN", f"no secure connection: {error}") from error
        except (
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.ProtocolError,
        ) as error:
            if deadline.left() <= 0:
                text = f"no answer within {seconds:.3g} s"
                raise ServingError("DEADLINE_EXCEEDED", text) from error
            # Refused, reset, or closed halfway: the server is restarting or gone. A refusal comes
            # first here, for it is a kind of timeout in this package.
            raise ServingError("UNAVAILABLE", str(error)) from error
        except urllib3.exceptions.TimeoutError as error:
            raise ServingError("DEADLINE_EXCEEDED", f"no answer within {seconds:.3g} s") from error
        except urllib3.exceptions.HTTPError as error:
            raise ServingError("UNKNOWN", str(error)) from error
        if response.status != 200:
            raise ServingError(code_of_status(response.status), _message(response, content))
        try:
            return json.loads(content)
        except ValueError as error:
            raise ServingError("INTERNAL", f"the answer is not JSON: {error}") from error


def _read(response: urllib3.BaseHTTPResponse, deadline: Deadline) -> bytes:
    """Read the body block by block: the timeout of a socket begins anew with each one."""
    blocks = []
    while block := response.read1(_BLOCK):
        blocks.append(block)
        if deadline.left() <= 0:
            response.close()
            raise ServingError(
                "DEADLINE_EXCEEDED", f"the answer was not complete within {deadline.seconds:.3g} s"
            )
    response.release_conn()
    return b"".join(blocks)


def _message(response: urllib3.BaseHTTPResponse, content: bytes) -> str:
    text = content.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):  # a proxy, or quotes that JSON does not know
        return text[:_SHOWN_CHARACTERS] or f"HTTP {response.status} {response.reason}"


def _path(model: ModelSpec) -> str:
    path = quote(model.name, safe="")
    if model.version is not None:
        return f"{path}/versions/{model.version}"
    if model.label is not None:
        return f"{path}/labels/{quote(model.label, safe='')}"
    return path


def _part(answer: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(answer, dict) or key not in answer:
            raise ServingError(
                "INTERNAL", f'the answer has no "{key}": is this TensorFlow Serving?'
            )
        answer = answer[key]
    return answer


def _tensors(specs: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {
        name: {
            "dtype": DTYPES_BY_REST_NAME.get(spec["dtype"], spec["dtype"]),
            "shape": _shape(spec.get("tensor_shape", {})),
        }
        for name, spec in specs.items()
    }


def _shape(shape: Mapping[str, Any]) -> list[int | None] | None:
    if shape.get("unknown_rank"):
        return None
    sizes = [int(dim["size"]) for dim in shape.get("dim", [])]
    return [None if size < 0 else size for size in sizes]
