"""Warm-up requests: read back and sent to the signatures, and where the model comes from."""

import json
import logging

import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae.library_errors import install_hint
from tfssvae.serving import export, warm_up

prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")


@pytest.fixture(scope="module")
def images():
    return tfssvae.data.load("digits").x_test[:30]


@pytest.fixture(scope="module")
def path(images, tmp_path_factory):
    model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=4, hidden=(16,))
    origin = {"data": {"name": "digits", "labels": 100}}
    return export(model, tmp_path_factory.mktemp("m2"), examples=images, provenance=origin)


def requests(path):
    file = str(path / "assets.extra" / "tf_serving_warmup_requests")
    logs = (
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(file)
    )
    return [log.predict_log.request for log in logs]


def test_every_signature_answers_its_warm_up_requests(path, images):
    served = tf.saved_model.load(str(path)).signatures
    found = requests(path)
    merged = set(served) - {"generate"}  # its seed is a scalar, which servers that merge refuse
    assert len(found) == 3 * len(merged)
    assert {request.model_spec.signature_name for request in found} == merged
    rows = set()
    for request in found:
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        assert all(value.ndim > 0 for value in inputs.values())
        outputs = served[request.model_spec.signature_name](
            **{name: tf.constant(value) for name, value in inputs.items()}
        )
        assert all(np.isfinite(value).all() for value in outputs.values())
        rows.add(max((len(value) for value in inputs.values() if value.ndim), default=0))
        if "images" in inputs:  # real images, not zeros
            scale = 1 if inputs["images"].dtype == np.uint8 else 255
            np.testing.assert_allclose(inputs["images"][0] * scale, images[0], atol=1e-3)
    assert rows == {1, 8, 64}


def test_there_are_none_without_examples(tmp_path):
    model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=4, hidden=(16,))
    path = export(model, tmp_path)
    assert not (path / "assets.extra").exists()
    assert "plane" not in json.loads((path / "assets/interface.json").read_text())


def test_without_the_messages_the_export_says_so(images, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tfssvae.serving.saved_model.can_write", lambda: False)
    model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=4, hidden=(16,))
    with caplog.at_level(logging.WARNING, "tfssvae"):
        path = export(model, tmp_path, examples=images)
    assert install_hint("serving") in caplog.text
    assert not (path / warm_up.FILE).exists()


def test_an_export_says_where_its_model_comes_from(path):
    origin = json.loads((path / "assets/provenance.json").read_text())
    assert origin["data"] == {"name": "digits", "labels": 100}
    assert origin["exported"].startswith("20")
