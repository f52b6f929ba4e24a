"""The development server answers as TensorFlow Serving does, with the numbers of the SavedModel."""

import base64
from functools import partial

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.serving.development_server.asking import (
    as_json,
    assert_same,
    grpc_predict,
    inputs_of,
    outputs_of,
    predict,
)

pytestmark = pytest.mark.xdist_group("development server")
VIEWS = ["serving_default", "classify", "encode", "reconstruct"]
FLOAT_VIEWS = ["classify_float", "encode_float", "reconstruct_float"]


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
