"""Deadlines hold, whatever the server does."""

import contextlib
import socket
import threading
import time

import pytest

from tests.serving.client.model_and_addresses import NAME
from tfssvae.serving import Client, ServingError

pytestmark = pytest.mark.xdist_group("client")


def test_retries_stop_at_the_deadline(server, backend, images):
    backend.script = ["UNAVAILABLE"] * 1000
    with Client(server.address, NAME, retries=1000) as client:
        client.metadata()
        start = time.monotonic()
        with pytest.raises(ServingError, match="UNAVAILABLE: no luck"):
            client.classify(images, timeout=2.0)
        assert time.monotonic() - start < 8
    assert 3 <= len(backend.requests) <= 6  # pauses of 0.05 .. 0.1, 0.1 .. 0.2, 0.2 .. 0.4 ...


def test_a_slow_server_meets_the_deadline(client, backend, images):
    client.metadata()
    backend.stalled.clear()
    start = time.monotonic()
    with pytest.raises(ServingError) as error:
        client.classify(images, timeout=0.4)
    assert error.value.code == "DEADLINE_EXCEEDED"
    assert 0.35 < time.monotonic() - start < 8  # the server takes 10 s
    backend.stalled.set()
    assert len(client.classify(images)["classes"]) == len(images)


def test_the_deadline_is_that_of_all_requests_together(server, backend, images):
    with Client(server.address, NAME, batch_size=1) as client:
        client.metadata()
        answer = backend.predict

        def slow(*arguments):
            time.sleep(0.2)
            return answer(*arguments)

        backend.predict = slow
        with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
            client.classify(images, timeout=0.7)
        assert len(backend.requests) < 6


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    ],
    ids=["body", "headers"],
)
def test_an_answer_that_trickles_meets_the_deadline(head, drop):
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def trickle():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(head)
            with contextlib.suppress(OSError):  # the client has hung up
                while not done.wait(0.05):
                    connection.sendall(drop)

    thread = threading.Thread(target=trickle)
    thread.start()
    start = time.monotonic()
    try:
        with (
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}", NAME) as client,
            pytest.raises(ServingError, match="DEADLINE_EXCEEDED"),
        ):
            client.metadata(timeout=0.4)
        assert time.monotonic() - start < 8
    finally:
        done.set()
        thread.join()
        listener.close()
