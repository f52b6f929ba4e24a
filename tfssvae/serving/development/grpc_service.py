"""TensorFlow Serving's gRPC interface."""

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TimedOut
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfssvae.serving.development import messages
from tfssvae.serving.development.batching import Runner
from tfssvae.serving.development.failure import Failure, invalid
from tfssvae.serving.development.loaded_model import (
    DEFAULT_SIGNATURE,
    Arrays,
    LoadedModel,
    require_signature,
)
from tfssvae.serving.development.model_store import ModelStore

_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}


def add_services(
    server: grpc.Server, store: ModelStore, runner: Runner, max_request_bytes: int
) -> None:
    """Add prediction and model status to a gRPC server.

    Args:
        server: the server.
        store: the models.
        runner: what runs them.
        max_request_bytes: an input that takes more memory is refused.
    """
    service = _Service(store, runner, max_request_bytes)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Prediction(service), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Status(service), server)


def read_tensor(proto: tensor_pb2.TensorProto, max_bytes: int) -> NDArray[Any]:
    """Return the array of a tensor message.

    Args:
        proto: the message.
        max_bytes: the memory that the array may take; a few bytes can ask for any amount.

    Raises:
        Failure: the message is broken or too large.

    >>> read_tensor(tf.make_tensor_proto([1.0, 2.0]), 8)
    array([1., 2.], dtype=float32)
    """
    try:
        shape = tf.TensorShape(proto.tensor_shape).as_list()
        size = int(np.prod(shape, dtype=object)) * max(1, tf.as_dtype(proto.dtype).size or 1)
        if size > max_bytes:
            raise invalid(f"a tensor of {size} bytes is larger than {max_bytes} (--max-request-mb)")
        return tf.make_ndarray(proto)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise invalid(f"broken tensor: {error}") from None


def write_tensor(value: NDArray[Any]) -> tensor_pb2.TensorProto:
    """Return the message of an array, with the numbers in the field of their type.

    TensorFlow Serving fills these fields, and many clients read them; tf.make_tensor_proto fills
    `tensor_content`.

    Args:
        value: of any shape.

    >>> write_tensor(np.array([1.0, 2.0], "float32")).float_val
    [1.0, 2.0]
    """
    dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
    if dtype not in _FIELDS:
        return tf.make_tensor_proto(value)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    proto.tensor_shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    getattr(proto, _FIELDS[dtype]).extend(value.ravel().tolist())
    return proto


class _Service:
    """The calls themselves, which refuse by raising `Failure`."""

    def __init__(self, store: ModelStore, runner: Runner, max_request_bytes: int) -> None:
        self.store, self.runner, self.max_request_bytes = store, runner, max_request_bytes

    def predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        model = self.find(request)
        signature = request.model_spec.signature_name
        key = signature or DEFAULT_SIGNATURE
        message = f'Serving signature key "{key}" not found.'
        require_signature(model, signature, "FAILED_PRECONDITION", message)
        wanted = _checked_filter(model, key, list(request.output_filter))
        inputs = {
            name: read_tensor(value, self.max_request_bytes)
            for name, value in request.inputs.items()
        }
        model.check(signature, inputs)
        outputs = _wait(self.runner.submit(model, signature, inputs), context)
        found = predict_pb2.PredictResponse()
        found.model_spec.name = model.name
        found.model_spec.version.value = model.version
        found.model_spec.signature_name = key
        for name in wanted or outputs:
            found.outputs[name].CopyFrom(write_tensor(outputs[name]))
        return found

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: Any
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        _require_spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != "signature_def":
                raise invalid(f"Metadata field {name} is not supported")
        return messages.metadata(self.find(request))

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: Any
    ) -> get_model_status_pb2.GetModelStatusResponse:
        spec = _require_spec(request)
        return messages.status(self.store.status(spec.name, _version(spec)))

    def refuse(self, verb: str) -> Callable:
        def call(request: Any, context: Any) -> None:
            model = self.find(request)
            raise messages.wrong_method(model, request.model_spec.signature_name, verb)

        return call

    def find(self, request: Any) -> LoadedModel:
        spec = _require_spec(request)
        return self.store.find(spec.name, _version(spec))


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, service: _Service) -> None:
        self.Predict = _refusing(service.predict)
        self.GetModelMetadata = _refusing(service.metadata)
        self.Classify = _refusing(service.refuse("classify"))
        self.Regress = _refusing(service.refuse("regress"))


class _Status(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, service: _Service) -> None:
        self.GetModelStatus = _refusing(service.status)


def _refusing(call: Callable) -> Callable:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call(request, context)
        except Failure as failure:
            context.abort(grpc.StatusCode[failure.code], failure.message)

    return answer


def _require_spec(request: Any) -> model_pb2.ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _version(spec: model_pb2.ModelSpec) -> int | None:
    if spec.WhichOneof("version_choice") == "version_label":
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return spec.version.value if spec.HasField("version") else None


def _checked_filter(model: LoadedModel, signature: str, wanted: list[str]) -> list[str]:
    known = model.signatures[signature].outputs
    for name in wanted:
        if name not in known:
            raise invalid(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{','.join(sorted(known))}}}."
            )
        if wanted.count(name) > 1:
            raise invalid(f"duplicate output tensor alias: {name}")
    return wanted


def _wait(future: "Future[Arrays]", context: grpc.ServicerContext) -> Arrays:
    try:
        return future.result(context.time_remaining())
    except TimedOut:
        raise Failure("DEADLINE_EXCEEDED", "the deadline passed before the answer") from None
