"""What is wrong in a request over gRPC is refused with the codes of TensorFlow Serving."""

from functools import partial

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving.development_server.asking import grpc_predict, refused

pytestmark = pytest.mark.xdist_group("development server")


def test_grpc_refusals(channel, images):
    ask = partial(grpc_predict, channel)
    code = grpc.StatusCode
    with refused(code.NOT_FOUND, r"Servable not found for request: Latest\(no\)"):
        ask({"images": images}, name="no")
    with refused(code.NOT_FOUND, r"Servable not found for request: Specific\(m2, 7\)"):
        ask({"images": images}, version=7)
    with refused(code.FAILED_PRECONDITION, 'Serving signature key "no" not found'):
        ask({"images": images}, "no")
    with refused(code.INVALID_ARGUMENT, "images must have dtype uint8, got float32"):
        ask({"images": images.astype("float32")})
    with refused(code.INVALID_ARGUMENT, r"shape \[any, 8, 8, 1\], got \[8, 8, 1\]"):
        ask({"images": images[0]})
    with refused(code.INVALID_ARGUMENT, "Sent extra: {pictures}. Missing but required: {images}"):
        ask({"pictures": images})
    with refused(code.INVALID_ARGUMENT, "Missing but required: {images}"):
        ask({})
    with refused(code.INVALID_ARGUMENT, r"labels must be in 0\.\.9"):
        ask({"labels": np.array([10], "int32"), "seed": np.int32(1)}, "generate")
    with refused(code.INVALID_ARGUMENT, "alias not found in signature: no"):
        ask({"images": images}, output_filter=["no"])
    with refused(code.INVALID_ARGUMENT, "duplicate output tensor alias: classes"):
        ask({"images": images}, output_filter=["classes", "classes"])
    assert set(ask({"images": images}, output_filter=["classes"]).outputs) == {"classes"}
    with refused(code.RESOURCE_EXHAUSTED, "larger than max"):
        ask({"images": np.zeros((20_000, 8, 8, 1), "uint8")})
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with refused(code.INVALID_ARGUMENT, "Missing ModelSpec"):
        stub.Predict(predict_pb2.PredictRequest())
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m2"
    request.model_spec.version_label = "stable"
    with refused(code.INVALID_ARGUMENT, "Unrecognized servable version label: stable"):
        stub.Predict(request)


@pytest.mark.parametrize(
    ("sizes", "content", "message"),
    [
        ([10**9, 8, 8, 1], b"", "larger than 1048576"),
        ([2**62, 2**62], b"", "larger than 1048576"),
        ([-1], b"", "broken tensor"),
        ([2, 8, 8, 1], b"short", "broken tensor"),
    ],
)
def test_a_broken_tensor_is_refused(channel, sizes, content, message):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m2"
    tensor = request.inputs["images"]
    tensor.dtype = tf.uint8.as_datatype_enum
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    if content:
        tensor.tensor_content = content
    else:
        tensor.int_val.append(1)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, message):
        stub.Predict(request)


def test_grpc_metadata_and_status_refusals(channel):
    code = grpc.StatusCode
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    with refused(code.INVALID_ARGUMENT, "Missing ModelSpec"):
        stub.GetModelMetadata(request)
    request.model_spec.name = "m2"
    with refused(code.INVALID_ARGUMENT, "at least one metadata_field"):
        stub.GetModelMetadata(request)
    request.metadata_field.append("weights")
    with refused(code.INVALID_ARGUMENT, "weights is not supported"):
        stub.GetModelMetadata(request)
    status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
    request = get_model_status_pb2.GetModelStatusRequest()
    with refused(code.INVALID_ARGUMENT, "Missing ModelSpec"):
        status(request)
    request.model_spec.name = "no"
    with refused(code.NOT_FOUND, "Could not find any versions of model no"):
        status(request)
