"""Requests to the development server, and what the SavedModel itself answers to them."""

import http.client
import json
from contextlib import closing, contextmanager

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

SETTINGS = {"rest_port": 0, "grpc_port": 0, "max_request_mb": 1}
BATCHING = {"batching": True, "max_batch_size": 16, "batch_timeout_ms": 20}
PREDICT = "/v1/models/m2:predict"
IMAGE = np.arange(64, dtype="uint8").reshape(8, 8, 1)
ROW = IMAGE.tolist()


def send(ports, method, path, body=None):
    """Return status, JSON of the answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", ports.rest, timeout=20)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(answer.read())


def predict(ports, path=PREDICT, **request):
    return send(ports, "POST", path, json.dumps(request))


def grpc_predict(channel, inputs, signature="", name="m2", version=None, **rest):
    request = predict_pb2.PredictRequest(**rest)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)


@contextmanager
def refused(code, message):
    with pytest.raises(grpc.RpcError, match=message) as caught:
        yield
    assert caught.value.code() is code, caught.value


def inputs_of(signature, images):
    if signature == "generate":
        return {"labels": np.array([3, 3, 9], "int32"), "seed": np.int32(7)}
    return {"images": images / np.float32(255) if signature.endswith("_float") else images}


def outputs_of(direct, signature, inputs, version="2"):
    function = direct[version].signatures[signature]
    found = function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in found.items()}


def as_json(inputs):
    return {name: value.tolist() for name, value in inputs.items()}


def assert_same(found, wanted):
    """`found` is of JSON, which leaves out the name of a sole output."""
    if len(wanted) == 1:
        found = dict.fromkeys(wanted, found)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)
