"""What is wrong in a request over REST is refused with the words of TensorFlow Serving."""

import json
import re
from functools import partial

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

from tests.serving.development_server.asking import PREDICT, ROW, predict, refused, send

pytestmark = pytest.mark.xdist_group("development server")
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
        r"^assertion failed: \[labels must be in 0\.\.9; found labels from\] \[10\] \[to\] \[10\]$",
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
    assert re.search(message, answer["error"])
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
