"""Two development servers, one of which merges requests, and the models that both serve."""

import grpc
import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tests.serving.development_server.asking import BATCHING, SETTINGS
from tfssvae.serving import export
from tfssvae.serving.development.server import Settings, running


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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def direct(folders):
    return {version: tf.saved_model.load(str(folders["m2"] / version)) for version in ("1", "2")}


@pytest.fixture(scope="session")
def plain(folders):
    with running(folders, Settings(**SETTINGS, body_seconds=0.5)) as ports:
        yield ports


@pytest.fixture(scope="session")
def merging(folders):
    with running(folders, Settings(**SETTINGS, **BATCHING)) as ports:
        yield ports


@pytest.fixture(params=["plain", "merging"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def channel(plain):
    with grpc.insecure_channel(f"127.0.0.1:{plain.grpc}") as channel:
        yield channel


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), "uint8")
