"""The development server answers as TensorFlow Serving does, with the numbers of the SavedModel."""

import base64
import gc
import http.client
import json
import random
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

import tfssvae
from tfssvae.serving import export
from tfssvae.serving.development.impatient_protocol import ImpatientProtocol
from tfssvae.serving.development.loaded_model import LoadedModel
from tfssvae.serving.development.server import Settings, running

VIEWS = ["serving_default", "classify", "encode", "reconstruct"]
FLOAT_VIEWS = ["classify_float", "encode_float", "reconstruct_float"]
SETTINGS = {"rest_port": 0, "grpc_port": 0, "poll_seconds": 0.05, "max_request_mb": 1}
BATCHING = {"batching": True, "max_batch_size": 16, "batch_timeout_ms": 20}
PREDICT = "/v1/models/m2:predict"
DTYPES = {"uint8": "DT_UINT8", "int32": "DT_INT32", "float32": "DT_FLOAT"}
IMAGE = np.arange(64, dtype="uint8").reshape(8, 8, 1)


class Toys(tf.Module):
    """Signatures of every kind of tensor."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def echo(self, text):
        return {"same": text, "same_bytes": text}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float64, "a"),
            tf.TensorSpec([None, 2], tf.int64, "b"),
        ]
    )
    def add(self, a, b):
        return {"total": a + tf.cast(b[:, 0] + b[:, 1], tf.float64), "odd": b % 2 == 1}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bool, "flags")])
    def count(self, flags):
        return {"number": tf.reduce_sum(tf.cast(flags, tf.int32))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def log(self, x):
        return {"y": tf.math.log(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, "half")])
    def halve(self, half):
        return {"quarter": half / 2}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """m2 has versions 1 and 2, of different weights."""
    root = tmp_path_factory.mktemp("models")
    model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=4, hidden=(32, 32))
    export(model, root / "m2")
    model.classifier.set_weights([2 * w + 0.1 for w in model.classifier.get_weights()])
    export(model, root / "m2")
    toys = Toys()
    names = ["echo", "add", "count", "log", "halve"]
    signatures = {name: getattr(toys, name) for name in names}
    tf.saved_model.save(toys, str(root / "toys" / "1"), signatures=signatures)
    return {"m2": root / "m2", "toys": root / "toys"}


@pytest.fixture(scope="module")
def direct(folders):
    return {version: tf.saved_model.load(str(folders["m2"] / version)) for version in ("1", "2")}


@pytest.fixture(scope="module")
def plain(folders):
    with running(folders, Settings(**SETTINGS, body_seconds=0.5)) as ports:
        yield ports


@pytest.fixture(scope="module")
def merging(folders):
    with running(folders, Settings(**SETTINGS, **BATCHING)) as ports:
        yield ports


@pytest.fixture(params=["plain", "merging"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def channel(plain):
    with grpc.insecure_channel(f"127.0.0.1:{plain.grpc}") as channel:
        yield channel


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), "uint8")


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


@pytest.mark.parametrize("signature", [*VIEWS, *FLOAT_VIEWS, "generate"])
def test_columnar_answers_are_those_of_the_saved_model(server, direct, images, signature):
    inputs = inputs_of(signature, images)
    status, answer = predict(server, signature_name=signature, inputs=as_json(inputs))
    assert status == 200, answer
    assert set(answer) == {"outputs"}
    assert_same(answer["outputs"], outputs_of(direct, signature, inputs))


@pytest.mark.parametrize("signature", VIEWS + FLOAT_VIEWS)
@pytest.mark.parametrize("named", [False, True])
def test_row_answers_are_those_of_the_saved_model(server, direct, images, signature, named):
    inputs = inputs_of(signature, images)
    rows = inputs["images"].tolist()
    instances = [{"images": row} for row in rows] if named else rows
    status, answer = predict(server, signature_name=signature, instances=instances)
    assert status == 200, answer
    assert set(answer) == {"predictions"}
    wanted = outputs_of(direct, signature, inputs)
    assert len(answer["predictions"]) == len(images)
    for index, row in enumerate(answer["predictions"]):
        assert_same(row, {name: value[index] for name, value in wanted.items()})


@pytest.mark.parametrize("signature", ["", *VIEWS, *FLOAT_VIEWS, "generate"])
def test_grpc_answers_are_those_of_the_saved_model(server, direct, images, signature):
    inputs = inputs_of(signature, images)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        answer = grpc_predict(channel, inputs, signature)
    assert answer.model_spec.name == "m2"
    assert answer.model_spec.version.value == 2
    assert answer.model_spec.signature_name == (signature or "serving_default")
    wanted = outputs_of(direct, signature or "serving_default", inputs)
    assert set(answer.outputs) == set(wanted)
    for name, value in wanted.items():
        found = tf.make_ndarray(answer.outputs[name])
        assert found.dtype == value.dtype
        assert found.shape == value.shape
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)
        if value.dtype == np.float32:
            assert list(answer.outputs[name].float_val) == found.ravel().tolist()


def test_one_input_may_go_without_its_name(plain, direct, images):
    _, answer = predict(plain, inputs=images.tolist())
    wanted = outputs_of(direct, "classify", {"images": images})
    assert_same(answer["outputs"], wanted)


def test_older_versions_are_served_by_number(plain, direct, channel, images):
    inputs = {"images": images}
    old, new = (outputs_of(direct, "classify", inputs, version) for version in ("1", "2"))
    assert np.abs(old["probabilities"] - new["probabilities"]).max() > 0.01
    for version, wanted in (("1", old), ("2", new)):
        path = f"/v1/models/m2/versions/{version}:predict"
        _, answer = predict(plain, path, inputs=as_json(inputs))
        assert_same(answer["outputs"], wanted)
        answer = grpc_predict(channel, inputs, version=int(version))
        found = tf.make_ndarray(answer.outputs["probabilities"])
        np.testing.assert_allclose(found, wanted["probabilities"], rtol=1e-5)


def test_status(plain, channel):
    def entry(version):
        return {
            "version": version,
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }

    every = {"model_version_status": [entry("2"), entry("1")]}
    assert send(plain, "GET", "/v1/models/m2") == (200, every)
    one = {"model_version_status": [entry("1")]}
    assert send(plain, "GET", "/v1/models/m2/versions/1") == (200, one)
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m2"
    answer = stub.GetModelStatus(request).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(item.version, item.state) for item in answer] == [(2, available), (1, available)]
    request.model_spec.version.value = 1
    assert [item.version for item in stub.GetModelStatus(request).model_version_status] == [1]


def test_metadata(plain, channel, folders):
    status, answer = send(plain, "GET", "/v1/models/m2/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "m2", "signature_name": "", "version": "2"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    interface = json.loads((folders["m2"] / "2/assets/interface.json").read_text())["signatures"]
    assert set(signatures) == {*interface, "__saved_model_init_op"}
    for name, wanted in interface.items():
        assert signatures[name]["method_name"] == "tensorflow/serving/predict"
        for side in ("inputs", "outputs"):
            for key, spec in wanted[side].items():
                shape = signatures[name][side][key]["tensor_shape"]
                sizes = [int(dim["size"]) for dim in shape["dim"]]
                assert sizes == [-1 if size is None else size for size in spec["shape"]]
                assert signatures[name][side][key]["dtype"] == DTYPES[spec["dtype"]]
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "m2"
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    answer = stub.GetModelMetadata(request)
    assert answer.model_spec.version.value == 2
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    assert set(found.signature_def) == set(signatures)
    older = send(plain, "GET", "/v1/models/m2/versions/1/metadata")[1]
    assert older["model_spec"]["version"] == "1"


def test_health(plain):
    assert send(plain, "GET", "/health") == (200, {"status": "ok"})


def test_every_kind_of_tensor(server):
    toys = partial(predict, server, "/v1/models/toys:predict")
    raw = base64.b64encode(b"\xff\x00").decode()
    texts = ["ü", {"b64": raw}]
    same = {"same": "ü", "same_bytes": {"b64": base64.b64encode("ü".encode()).decode()}}
    broken = {"same": "\ufffd\x00", "same_bytes": {"b64": raw}}
    _, answer = toys(signature_name="echo", instances=texts)
    assert answer == {"predictions": [same, broken]}
    _, answer = toys(signature_name="echo", instances=[{"text": text} for text in texts])
    assert answer == {"predictions": [same, broken]}
    rows = [{"a": 0.5, "b": [1, 2]}, {"a": -1, "b": [-4, 2**53 + 2]}]
    _, answer = toys(signature_name="add", instances=rows)
    assert answer["predictions"][0] == {"total": 3.5, "odd": [True, False]}
    _, answer = toys(signature_name="add", inputs={"a": [1, 2.5], "b": [[3, 4], [5, 7]]})
    assert answer["outputs"] == {"total": [8.0, 14.5], "odd": [[True, False], [True, True]]}
    _, answer = toys(signature_name="count", inputs=[True, False, True])
    assert answer == {"outputs": 2}
    _, answer = toys(signature_name="log", instances=[0, 1, float("inf"), float("nan")])
    np.testing.assert_equal(answer["predictions"], [-np.inf, 0.0, np.inf, np.nan])
    _, answer = toys(signature_name="log", inputs=[])
    assert answer == {"outputs": []}
    status, answer = toys(signature_name="count", instances=[True])
    assert status == 400
    assert "number has no shape" in answer["error"]
    status, answer = toys(signature_name="halve", instances=[1.0])
    assert status == 501
    assert "float16" in answer["error"]


ROW = IMAGE.tolist()
WRONG = [
    (b"", "JSON Parse error: The document is empty"),
    (b"{", "JSON Parse error"),
    (b"\xff\xfe", "JSON Parse error"),
    (b"[" * 100_000, "JSON Parse error: too many nested lists"),
    (b'{"inputs": ' + b"9" * 10_000 + b"}", "JSON Parse error"),
    ([1], r"JSON Value: \[1\] Is not object"),
    ({}, "Missing 'inputs' or 'instances' key"),
    ({"inputs": [ROW], "instances": [ROW]}, "only one of 'inputs' or 'instances'"),
    ({"instances": {"images": ROW}}, "Expecting 'instances' to be a list"),
    ({"instances": []}, "No values in 'instances' array"),
    ({"signature_name": 7, "instances": [ROW]}, "'signature_name' key must be a string value"),
    ({"signature_name": "no", "instances": [ROW]}, 'name: "no" not found in signature def'),
    (
        {"signature_name": "__saved_model_init_op", "instances": [1]},
        "not found in signature def",
    ),
    ({"inputs": {"pictures": [ROW]}}, "Missing named input: images in 'inputs' object"),
    ({"instances": [{"pictures": ROW}]}, "element: 0 .* keys must be equal to: images"),
    ({"instances": [ROW, {"images": ROW}]}, "got object at item 1"),
    ({"instances": [{"images": ROW}, ROW]}, "got list at item 1"),
    ({"instances": [[[1]]]}, r"images must have shape \[any, 8, 8, 1\], got \[1, 1, 1\]"),
    ({"instances": [ROW, ROW[:7]]}, r"unequal size at level 1 of the nested lists: \[7, 8\]"),
    ({"instances": [ROW, 1]}, "numbers and lists are mixed at level 1"),
    ({"instances": [1, ROW]}, "numbers and lists are mixed at level 1"),
    ({"inputs": 1}, r"must have shape \[any, 8, 8, 1\], got \[\]"),
    ({"instances": [[[[1.0]]]]}, "JSON Value: 1.0 Type: Number is not of expected type: uint8"),
    ({"instances": [[[["a"]]]]}, 'JSON Value: "a" Type: String is not of expected type: uint8'),
    ({"instances": [[[[True]]]]}, "JSON Value: true Type: Bool is not of expected type: uint8"),
    ({"instances": [[[[None]]]]}, "JSON Value: null Type: Null is not of expected type: uint8"),
    ({"instances": [[[[256]]]]}, "JSON Value: 256 does not fit into type: uint8"),
    ({"instances": [[[[-1]]]]}, "JSON Value: -1 does not fit into type: uint8"),
    ({"instances": [{"b64": "AAAA"}]}, "Type: Object is not of expected type: uint8"),
    ({"signature_name": "classify_float", "instances": [[[[2**24]]]]}, "16777216 does not fit"),
    ({"signature_name": "classify_float", "instances": [[[[1e39]]]]}, r"1e\+39 does not fit"),
    ({"signature_name": "generate", "instances": [3]}, "object as|list of objects as multiple"),
    ({"signature_name": "generate", "inputs": [3]}, "expecting an object as multiple"),
    (
        {"signature_name": "generate", "instances": [{"labels": 3, "seed": 1}]},
        r"seed must have shape \[\], got \[1\]",
    ),
    (
        {"signature_name": "generate", "inputs": {"labels": [10], "seed": 1}},
        r"^assertion failed: \[labels must be in 0\.\.9\]",
    ),
    (
        {"signature_name": "classify_float", "instances": [np.full((8, 8, 1), np.nan).tolist()]},
        r"images must be floats in 0\.\.1",
    ),
    (
        {"signature_name": "classify_float", "instances": [np.full((8, 8, 1), 255.0).tolist()]},
        r"images must be floats in 0\.\.1",
    ),
]


@pytest.mark.parametrize(("body", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_body_is_refused_with_a_reason(server, body, message):
    text = body if isinstance(body, bytes) else json.dumps(body)
    status, answer = send(server, "POST", PREDICT, text)
    assert status == 400
    assert set(answer) == {"error"}
    with pytest.raises(ValueError, match=message):
        raise ValueError(answer["error"])
    assert len(answer["error"]) < 400


def test_broken_text_is_refused(plain):
    toys = partial(predict, plain, "/v1/models/toys:predict", signature_name="echo")
    wrong = {
        "no Unicode text": "\ud800",
        "Unable to base64 decode": {"b64": "a"},
        "keys must be equal": {"b64": 1},
        "Type: Number": 1,
    }
    for message, value in wrong.items():
        status, answer = toys(instances=[value])
        assert status == 400
        assert message in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/models/no", 404, "Could not find any versions of model no"),
        ("GET", "/v1/models/m2/versions/7", 404, "Could not find version 7 of model m2"),
        ("GET", "/v1/models/no/metadata", 404, "Servable not found for request: Latest(no)"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/m2/labels/stable", 400, "Unrecognized servable version label: stable"),
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("PUT", "/v1/models/m2", 400, "Malformed request: PUT /v1/models/m2"),
        ("DELETE", "/v1/models/m2", 400, "Malformed request: DELETE /v1/models/m2"),
        ("POST", "/v1/models/m2", 400, "Malformed request: POST /v1/models/m2"),
        ("POST", "/v1/models/m2:explain", 400, "Malformed request: POST /v1/models/m2:explain"),
        ("POST", "/v1/models/no:predict", 404, "Servable not found for request: Latest(no)"),
        (
            "POST",
            "/v1/models/m2/versions/7:predict",
            404,
            "Servable not found for request: Specific(m2, 7)",
        ),
        (
            "POST",
            f"/v1/models/m2/versions/{2**63}:predict",
            400,
            f"Failed to convert version: {2**63} to numeric.",
        ),
        (
            "POST",
            "/v1/models/m2/labels/stable:predict",
            400,
            "Unrecognized servable version label: stable",
        ),
        ("GET", "/nothing", 404, "Not Found: GET /nothing"),
        ("GET", "/v1", 404, "Not Found: GET /v1"),
        ("POST", "/health", 405, "Method Not Allowed: POST /health"),
    ],
)
def test_a_wrong_address_is_refused(plain, method, path, status, message):
    body = json.dumps({"instances": [ROW]}) if method == "POST" else None
    assert send(plain, method, path, body) == (status, {"error": message})


@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_examples_are_refused_as_signatures_are_for_predict(plain, channel, verb):
    path = f"/v1/models/m2:{verb}"
    status, answer = predict(plain, path, examples=[{"images": 1}])
    assert status == 400
    message = f"signature method_name to be tensorflow/serving/{verb}. Was: tensorflow/serving/pre"
    assert message in answer["error"]
    assert predict(plain, path)[0] == 400
    assert predict(plain, path, signature_name="no", examples=[1])[0] == 400
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "m2"
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "method_name to be tensorflow/serving/classify"):
        stub.Classify(request)


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


def counted_runs(monkeypatch):
    """Count the calls of TensorFlow, and the rows of each."""
    calls = []
    run = LoadedModel.run

    def counting(self, signature, inputs):
        calls.append({name: value.shape for name, value in inputs.items()})
        return run(self, signature, inputs)

    monkeypatch.setattr(LoadedModel, "run", counting)
    return calls


def test_200_concurrent_requests_are_all_right(server, merging, direct, monkeypatch):
    """Requests of both protocols, of many sizes and signatures, some wrong."""
    calls = counted_runs(monkeypatch)
    rng = np.random.default_rng(1)
    kinds = ["classify", "encode_float", "generate", "classify_float"]
    batches = [rng.integers(0, 256, (1 + i % 5, 8, 8, 1), "uint8") for i in range(200)]
    inputs = [inputs_of(kinds[i % 4], batches[i]) for i in range(200)]
    wrong = range(3, 200, 20)
    for index in wrong:
        inputs[index]["images"][-1, 0, 0] = 2.0
    with (
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel,
        ThreadPoolExecutor(200) as pool,
    ):

        def ask(index):
            signature = kinds[index % 4]
            if index % 3:
                text = as_json(inputs[index])
                return predict(server, signature_name=signature, inputs=text)
            try:
                found = grpc_predict(channel, inputs[index], signature).outputs
            except grpc.RpcError as error:
                status = 400 if error.code() is grpc.StatusCode.INVALID_ARGUMENT else error.code()
                return status, {"error": error.details()}
            found = {name: tf.make_ndarray(value) for name, value in found.items()}
            return 200, {"outputs": found if len(found) > 1 else next(iter(found.values()))}

        answers = list(pool.map(ask, range(200)))
    for index, (status, answer) in enumerate(answers):
        if index in wrong:
            assert status == 400
            assert "images must be floats in 0..1" in answer["error"]
        else:
            assert status == 200, answer
            assert_same(answer["outputs"], outputs_of(direct, kinds[index % 4], inputs[index]))
    if server is merging:
        assert len(calls) < 170
        seeds = [call for call in calls if "seed" in call]
        assert [call["labels"] for call in seeds] == [(3,)] * 50
        assert max(call["images"][0] for call in calls if "images" in call) in range(8, 17)
    else:
        assert len(calls) == 200


def test_random_bytes_never_break_the_server(server, monkeypatch):
    rng = random.Random(0)
    valid = json.dumps({"signature_name": "encode", "instances": [ROW]}).encode()
    numbers = [b"NaN", b"1e999", b"-0", b"{}", b"[]", b"null", b'"\\ud800"', b"[[[[0]]]]", b"\x00"]
    address = ("127.0.0.1", server.rest)
    start = time.monotonic()
    with closing(http.client.HTTPConnection(*address, timeout=20)) as connection:
        for _ in range(300):
            body = bytearray(valid)
            for _ in range(rng.randint(1, 4)):
                place = rng.randrange(len(body))
                body[place : place + rng.randint(0, 5)] = rng.choice([*numbers, rng.randbytes(3)])
            connection.request("POST", PREDICT, bytes(body))
            answer = connection.getresponse()
            assert answer.status in (200, 400), (answer.status, bytes(body))
            json.loads(answer.read())
    monkeypatch.setattr(ImpatientProtocol, "seconds", 0.2)
    for _ in range(30):
        with closing(socket.create_connection(address, timeout=20)) as raw:
            raw.sendall(rng.randbytes(rng.randint(1, 200)) + rng.choice([b"", b"\r\n\r\n"]))
            assert all_of(raw)[9:12] in (b"", b"400", b"404")
    assert time.monotonic() - start < 20
    assert send(server, "GET", "/health")[0] == 200


def all_of(raw):
    """Return what the server sends until it closes the connection."""
    found = b""
    try:
        while part := raw.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def head(size, extra=""):
    return f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n{extra}\r\n".encode()


def test_a_large_body_is_refused_without_reading_it(plain):
    address = ("127.0.0.1", plain.rest)
    before = psutil.Process().memory_info().rss
    for extra in ("", "Expect: 100-continue\r\n"):
        with closing(socket.create_connection(address, timeout=20)) as raw:
            raw.sendall(head(10**12, extra))
            answer = raw.recv(65536)
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert b"connection: close" in answer
            assert b"larger than 1048576 bytes" in answer + raw.recv(65536)
    with closing(socket.create_connection(address, timeout=20)) as raw:
        raw.sendall(head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        answer = b""
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
            for _ in range(10_000):
                raw.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                raw.setblocking(False)
                with suppress(BlockingIOError):
                    answer += raw.recv(65536)
                raw.settimeout(20)
                if b"413" in answer:
                    time.sleep(0.1)
        assert answer.startswith(b"HTTP/1.1 413 ")
    assert psutil.Process().memory_info().rss - before < 100 * 2**20
    # A client that sends everything before it listens gets the answer, not a reset connection.
    assert send(plain, "POST", PREDICT, b" " * 8 * 2**20)[0] == 413


def test_slow_clients_are_cut_off(plain, monkeypatch):
    monkeypatch.setattr(ImpatientProtocol, "seconds", 0.3)
    address = ("127.0.0.1", plain.rest)
    start = time.monotonic()
    with closing(socket.create_connection(address, timeout=20)) as raw:
        raw.sendall(head(100) + b'{"inst')
        answer = all_of(raw)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"error": "the body did not arrive within 0.5 s"}' in answer
    for whole in (b"", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"):
        for part in (b"G", b"GET /v1/mod"):
            with closing(socket.create_connection(address, timeout=20)) as raw:
                if whole:
                    raw.sendall(whole)
                    assert b"200" in raw.recv(65536)
                raw.sendall(part or b"G")
                assert b"HTTP" not in all_of(raw)
    assert time.monotonic() - start < 4
    with closing(socket.create_connection(address, timeout=20)) as raw:
        body = json.dumps({"instances": [ROW]}).encode()
        request = head(len(body), "Connection: close\r\n") + body
        for part in (request[:20], request[20:200], request[200:]):
            raw.sendall(part)
            time.sleep(0.1)
        assert all_of(raw).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_away_harms_nobody(server):
    address = ("127.0.0.1", server.rest)
    body = json.dumps({"instances": [ROW]}).encode()
    for request in (head(len(body)) + body, head(len(body)) + body[:10], head(9)):
        for _ in range(5):
            with closing(socket.create_connection(address, timeout=20)) as raw:
                raw.sendall(request)
    assert predict(server, instances=[ROW])[0] == 200


def test_small_answers_are_not_held_back(plain):
    """Packets that wait for an acknowledgement take 40 ms each."""
    body, seconds = json.dumps({"instances": [ROW]}), []
    with closing(http.client.HTTPConnection("127.0.0.1", plain.rest, timeout=20)) as connection:
        for _ in range(30):
            start = time.perf_counter()
            connection.request("POST", PREDICT, body)
            connection.getresponse().read()
            seconds.append(time.perf_counter() - start)
    assert np.median(seconds) < 0.03


def eventually(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_new_versions_are_taken_up_and_broken_ones_are_not(folders, direct, tmp_path, caplog):
    root = tmp_path / "m"
    shutil.copytree(folders["m2"] / "1", root / "1")
    shutil.copytree(folders["m2"] / "2", root / ".partial-0a" / "2")
    (root / "notes").mkdir()
    (root / "4").write_text("a file")
    inputs = {"images": IMAGE[None]}
    wanted = {v: outputs_of(direct, "classify", inputs, v)["probabilities"] for v in ("1", "2")}

    with running({"m": root}, Settings(**SETTINGS)) as ports:

        def states():
            entries = send(ports, "GET", "/v1/models/m")[1]["model_version_status"]
            return {entry["version"]: entry["state"] for entry in entries}

        def served():
            status, answer = predict(ports, "/v1/models/m:predict", inputs=as_json(inputs))
            assert status == 200, answer
            found = answer["outputs"]["probabilities"]
            return [v for v, p in wanted.items() if np.allclose(found, p, rtol=1e-5)]

        assert states() == {"1": "AVAILABLE"}
        assert served() == ["1"]

        (root / "3").mkdir()
        (root / "3" / "saved_model.pb").write_bytes(b"half a model")
        eventually(lambda: states() == {"3": "END", "1": "AVAILABLE"})
        assert served() == ["1"]
        status, answer = predict(ports, "/v1/models/m/versions/3:predict", instances=[1])
        assert status == 404
        assert "Specific(m, 3)" in answer["error"]
        assert send(ports, "GET", "/health")[0] == 200

        found, stopped = [], threading.Event()

        def ask():
            while not stopped.is_set():
                found.extend(served())

        asking = threading.Thread(target=ask)
        asking.start()
        eventually(lambda: found)
        shutil.copytree(folders["m2"] / "2", root / "3", dirs_exist_ok=True)
        eventually(lambda: "2" in found)
        stopped.set()
        asking.join()
        assert states() == {"3": "AVAILABLE", "1": "AVAILABLE"}
        assert found == sorted(found)
        assert found[0] == "1"

        shutil.rmtree(root / "3")
        eventually(lambda: states() == {"1": "AVAILABLE"})
        assert served() == ["1"]
        shutil.rmtree(root / "1")
        eventually(lambda: send(ports, "GET", "/v1/models/m")[0] == 404)
        assert predict(ports, "/v1/models/m:predict", instances=[1])[0] == 404
        assert send(ports, "GET", "/health") == (503, {"error": "no version is served: m"})
    assert "version 3 cannot be loaded" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("batching", [False, True])
def test_memory_does_not_grow(folders, batching):
    settings = {**SETTINGS, **BATCHING, "batching": batching, "batch_timeout_ms": 1}
    body = json.dumps({"instances": [ROW] * 8})
    wrong = json.dumps({"instances": [ROW] * 8 + [[]]})

    def ask(ports, count):
        with (
            closing(http.client.HTTPConnection("127.0.0.1", ports.rest, timeout=20)) as connection,
            grpc.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel,
        ):
            for index in range(count):
                connection.request("POST", PREDICT, wrong if index % 10 == 0 else body)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == (400 if index % 10 == 0 else 200)
                if index % 5 == 0:
                    grpc_predict(channel, {"images": IMAGE[None]})

    def memory():
        gc.collect()
        return psutil.Process().memory_info().rss / 2**20

    with running(folders, Settings(**settings)) as ports:
        ask(ports, 2_000)
        before = memory()
        ask(ports, 10_000)
        growth = memory() - before
    print(f"{growth:.1f} MiB more after 10,000 requests")
    assert growth < 20
