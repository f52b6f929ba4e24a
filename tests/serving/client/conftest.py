"""A stand-in for TensorFlow Serving over either transport, and a client of it."""

import numpy as np
import pytest

from tests.serving.client.model_and_addresses import NAME, small_model
from tests.serving.fake_serving import SERVERS, Backend
from tfssvae.serving import Client, export


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    return export(small_model(), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), "uint8")


@pytest.fixture(params=["rest", "grpc"])
def transport(request):
    return request.param


@pytest.fixture
def backend(path):
    return Backend(path)


@pytest.fixture
def server(backend, transport):
    server = SERVERS[transport](backend)
    yield server
    backend.stalled.set()
    server.close()


@pytest.fixture
def client(server):
    with Client(server.address, NAME, timeout=20) as client:
        yield client
