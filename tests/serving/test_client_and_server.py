"""The client, the development server and saved_model_cli, on one exported model."""

import subprocess
import sys

import numpy as np
import pytest
import requests
import tensorflow as tf

import tfssvae
from tfssvae.checks import InputError
from tfssvae.serving import Client, ServingError, export

server = pytest.importorskip("tfssvae.serving.development.server")


@pytest.fixture(scope="module")
def images():
    return tfssvae.data.load("digits").x_test[:9]


@pytest.fixture(scope="module")
def path(images, tmp_path_factory):
    model = tfssvae.models.M2((8, 8, 1), 10, latent_dim=4, hidden=(16,))
    return export(model, tmp_path_factory.mktemp("models") / "m2", examples=images)


@pytest.fixture(scope="module", params=[False, True], ids=["single", "batching"])
def ports(request, path):
    settings = server.Settings(rest_port=0, grpc_port=0, batching=request.param)
    with server.running({"m2": path.parent}, settings) as found:
        yield found


@pytest.fixture(params=["REST", "gRPC"])
def client(request, ports):
    rest = f"http://127.0.0.1:{ports.rest}"
    address = rest if request.param == "REST" else f"127.0.0.1:{ports.grpc}"
    with Client(address, "m2", timeout=20) as found:
        yield found


def test_every_signature_answers_as_the_saved_model_does(client, path, images):
    served = tf.saved_model.load(str(path)).signatures
    client.wait_until_ready(20)
    labels = np.arange(9, dtype="int32")
    codes = served["encode"](images=tf.constant(images))["codes"].numpy()
    for name in set(served) - {"generate", "decode", "serving_default"}:
        x = images if not name.endswith("_float") else images.astype("float32") / 255
        wanted = served[name](images=tf.constant(x))
        found = client.call(name, images=x)
        assert set(found) == set(wanted)
        for key, value in wanted.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(client.encode(images), codes, rtol=1e-4, atol=1e-5)
    drawn = client.generate(labels, seed=3)
    wanted = served["generate"](labels=tf.constant(labels), seed=tf.constant(3))
    np.testing.assert_allclose(drawn, wanted["generated_images"], atol=1e-5)
    decoded = client.call("decode", codes=codes, labels=labels)["decoded_images"]
    wanted = served["decode"](codes=tf.constant(codes), labels=tf.constant(labels))
    np.testing.assert_allclose(decoded, wanted["decoded_images"], atol=1e-5)


def test_what_is_refused_says_why(client, images):
    with pytest.raises(ServingError, match=r"labels must be in 0\.\.9"):
        client.call("generate", labels=[3, 10], seed=0)
    with pytest.raises(InputError, match=r"labels must be in 0\.\.9"):  # before it is sent
        client.generate([3, 10])
    with pytest.raises(InputError, match="shape"):
        client.classify(images[:, :7])
    with pytest.raises((ServingError, InputError), match="nothing"):
        client.call("nothing", images=images)


def test_saved_model_cli_reads_it(path, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    common = ["--dir", str(path), "--tag_set", "serve", "--signature_def", "classify"]
    shown = subprocess.run([*command, "show", *common], capture_output=True, text=True, check=True)
    assert "probabilities" in shown.stdout
    inputs = ["--inputs", f"images={tmp_path / 'images.npy'}", "--outdir", str(tmp_path)]
    subprocess.run([*command, "run", *common, *inputs], capture_output=True, check=True)
    served = tf.saved_model.load(str(path)).signatures["classify"](images=tf.constant(images))
    found = np.load(tmp_path / "probabilities.npy")
    np.testing.assert_allclose(found, served["probabilities"], rtol=1e-5)


def test_requests_with_too_many_rows_are_refused(ports):
    address = f"http://127.0.0.1:{ports.rest}/v1/models/m2:predict"
    body = {"signature_name": "generate", "inputs": {"labels": [0] * 5000, "seed": 0}}
    answer = requests.post(address, json=body, timeout=20)
    assert answer.status_code == 400
    assert "send at most 4096" in answer.json()["error"]
