"""What the development server tells of its models and of itself."""

import json

import pytest
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tests.serving.development_server.asking import send

pytestmark = pytest.mark.xdist_group("development server")
DTYPES = {"uint8": "DT_UINT8", "int32": "DT_INT32", "float32": "DT_FLOAT"}


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
