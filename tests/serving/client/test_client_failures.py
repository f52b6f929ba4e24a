"""Servers that are away, come back or refuse: when the client asks again, and what it says."""

import pickle
import socket
import threading
import time

import numpy as np
import pytest

from tests.serving.client.model_and_addresses import (
    NAME,
    address,
    assert_same,
    direct,
    free_port,
    small_model,
)
from tests.serving.fake_serving import SERVERS
from tfssvae.serving import Client, ServingError, export

pytestmark = pytest.mark.xdist_group("client")


@pytest.mark.parametrize("problem", ["UNAVAILABLE", "reset"])
def test_an_unavailable_server_is_asked_again(client, backend, images, problem):
    client.metadata()
    backend.script = [problem] * 2
    assert_same(client.classify(images), direct(backend, "classify", images=images))
    assert len(backend.requests) == 3


def test_no_more_retries_than_asked_for(server, backend, images):
    backend.script = ["UNAVAILABLE"] * 9
    with (
        Client(server.address, NAME, retries=2) as client,
        pytest.raises(ServingError, match="no luck") as error,
    ):
        client.classify(images)
    assert error.value.code == "UNAVAILABLE"
    assert len(backend.requests) == 3


@pytest.mark.parametrize(
    "code",
    [
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "RESOURCE_EXHAUSTED",
        "INTERNAL",
        "UNIMPLEMENTED",
        "DEADLINE_EXCEEDED",
    ],
)
def test_other_errors_are_passed_on_at_once(client, backend, images, code):
    backend.script = [code]
    with pytest.raises(ServingError) as error:
        client.classify(images)
    assert error.value.code == code
    assert error.value.message == f"no luck: \"{code}\" as 'planned'"
    assert str(error.value) == f"{code}: {error.value.message}"
    assert len(backend.requests) == 1
    copy = pickle.loads(pickle.dumps(error.value))
    assert (copy.code, copy.message) == (code, error.value.message)


def test_the_words_of_the_model_come_through(client):
    with pytest.raises(ServingError, match=r"images must be floats in 0\.\.1") as error:
        client.call("classify_float", images=np.full((1, 8, 8, 1), 2.0))
    assert error.value.code == "INVALID_ARGUMENT"


def test_nobody_there(transport, images):
    with (
        Client(address(transport, free_port()), NAME, retries=1) as client,
        pytest.raises(ServingError, match="UNAVAILABLE") as error,
    ):
        client.classify(images)
    assert error.value.code == "UNAVAILABLE"


def test_a_server_that_restarts_is_found_again(server, backend, transport, images):
    with Client(server.address, NAME, retries=50, timeout=20) as client:
        wanted = client.classify(images)
        server.close()
        again = []
        timer = threading.Timer(
            0.5, lambda: again.append(SERVERS[transport](backend, port=server.port))
        )
        timer.start()
        try:
            assert_same(client.classify(images), wanted)
        finally:
            timer.join()
            again[0].close()


def test_every_retry_over_grpc_is_a_new_connection():
    """With the pause of a second that gRPC makes by itself there would be fewer."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections = []

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(time.monotonic())
            connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    with Client(f"127.0.0.1:{listener.getsockname()[1]}", NAME, retries=4) as client:
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            client.metadata()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
    assert len(connections) >= 4


def test_a_refusal_makes_the_client_ask_for_the_signatures_again(client, backend, tmp_path, images):
    client.classify(images)
    larger = np.zeros((2, 6, 6, 1), "uint8")
    backend.load(export(small_model((6, 6, 1)), tmp_path))
    with pytest.raises(ServingError, match="INVALID_ARGUMENT"):
        client.classify(images)
    assert len(client.classify(larger)["classes"]) == 2
