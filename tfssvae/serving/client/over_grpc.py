"""TensorFlow Serving over gRPC: compact, for many or large images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from numpy.typing import NDArray

from tfssvae.serving.client import messages
from tfssvae.serving.client.errors import ServingError
from tfssvae.serving.client.interface import (
    DTYPES,
    ModelSpec,
    Signature,
    TensorSpec,
    VersionStatus,
)
from tfssvae.serving.client.tensors import to_array, to_message

_OPTIONS = [
    # gRPC refuses answers of more than 4 MiB unless told otherwise.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # gRPC waits a second, later minutes, before it tries to connect again, and answers
    # UNAVAILABLE meanwhile: retries would fail although the server is back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class Grpc:
    """A channel to a server; threads may share it.

    Args:
        target: "host:port".
        headers: sent with every request.
        secure: TLS, with the certificates that gRPC trusts.
    """

    def __init__(self, target: str, headers: Mapping[str, str], secure: bool):
        if secure:
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, _OPTIONS)
        self._headers = [(name.lower(), value) for name, value in headers.items()]

    def metadata(self, model: ModelSpec, seconds: float) -> dict[str, Signature]:
        request = messages.GetModelMetadataRequest(
            model_spec=_spec(model), metadata_field=["signature_def"]
        )
        answer = self._ask(
            "PredictionService/GetModelMetadata",
            request,
            messages.GetModelMetadataResponse,
            seconds,
        )
        found = {entry.key: entry.value.value for entry in answer.metadata}
        content = messages.SignatureDefMap.FromString(found.get("signature_def", b""))
        return {
            entry.key: {
                "inputs": _tensors(entry.value.inputs),
                "outputs": _tensors(entry.value.outputs),
            }
            for entry in content.signature_def
        }

    def status(self, model: ModelSpec, seconds: float) -> list[VersionStatus]:
        answer = self._ask(
            "ModelService/GetModelStatus",
            messages.GetModelStatusRequest(model_spec=_spec(model)),
            messages.GetModelStatusResponse,
            seconds,
        )
        return [
            VersionStatus(
                entry.version,
                messages.STATES.get(entry.state, "UNKNOWN"),
                entry.status.error_message,
            )
            for entry in answer.model_version_status
        ]

    def predict(
        self,
        model: ModelSpec,
        name: str,
        signature: Signature,
        inputs: Mapping[str, NDArray[Any]],
        seconds: float,
    ) -> dict[str, NDArray[Any]]:
        request = messages.PredictRequest(model_spec=_spec(model, signature_name=name))
        for key, array in inputs.items():
            request.inputs.add(key=key, value=to_message(array))
        answer = self._ask("PredictionService/Predict", request, messages.PredictResponse, seconds)
        return {entry.key: to_array(entry.value) for entry in answer.outputs}

    def close(self) -> None:
        self._channel.close()

    def _ask(self, method: str, request: Any, answer: Any, seconds: float) -> Any:
        call = self._channel.unary_unary(
            f"/tensorflow.serving.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            return call(request, timeout=seconds, metadata=self._headers)
        except grpc.RpcError as error:
            raise ServingError(error.code().name, error.details() or "no message") from error


def _spec(model: ModelSpec, **fields: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": model.name, **fields}
    if model.version is not None:
        spec["version"] = {"value": model.version}
    if model.label is not None:
        spec["version_label"] = model.label
    return spec


def _tensors(entries: Any) -> dict[str, TensorSpec]:
    return {
        entry.key: {
            "dtype": DTYPES.get(entry.value.dtype, f"type number {entry.value.dtype}"),
            "shape": None
            if entry.value.tensor_shape.unknown_rank
            else [None if dim.size < 0 else dim.size for dim in entry.value.tensor_shape.dim],
        }
        for entry in entries
    }
