"""Versions, metadata and status of a model, and waiting until it is served."""

import json
import threading
import time

import pytest

from tests.serving.client.model_and_addresses import NAME, address, free_port
from tests.serving.fake_serving import SERVERS, Refusal
from tfssvae.serving import Client, ServingError
from tfssvae.serving.client import VersionStatus

pytestmark = pytest.mark.xdist_group("client")


@pytest.mark.parametrize(
    ("options", "spec"),
    [({}, (None, None)), ({"version": 2}, (2, None)), ({"label": "stable"}, (None, "stable"))],
)
def test_model_version_and_label_reach_the_server(
    server, backend, transport, images, options, spec
):
    with Client(server.address, NAME, **options) as client:
        client.classify(images)
    name = "digits%20m2%3F" if transport == "rest" else NAME
    assert backend.requests[0][0] == (name, *spec)


def test_headers_go_with_every_request(server, backend, images):
    with Client(server.address, NAME, headers={"Authorization": "Bearer of news"}) as client:
        for ask in (client.status, client.metadata, lambda: client.classify(images)):
            backend.headers = {}
            ask()
            assert backend.headers["authorization"] == "Bearer of news"


def test_metadata_is_the_interface_of_the_export(client, path):
    interface = json.loads((path / "assets/interface.json").read_text())
    assert client.metadata() == interface["signatures"]


def test_status(server, backend):
    with Client(server.address, NAME) as client:
        assert client.status() == [(1, "AVAILABLE", ""), (2, "AVAILABLE", "")]
        backend.state = "END"
        assert client.status()[0] == VersionStatus(1, "END", "no such op")
    with Client(server.address, NAME, version=2) as client:
        assert [status.version for status in client.status()] == [2]


def test_waiting_until_the_model_is_loaded(client, backend, images):
    backend.state = "LOADING"
    timer = threading.Timer(0.5, lambda: setattr(backend, "state", "AVAILABLE"))
    timer.start()
    client.wait_until_ready(20)
    assert len(client.classify(images)["classes"]) == 12


def test_waiting_until_a_server_is_there(backend, transport):
    port = free_port()
    started = []
    timer = threading.Timer(0.5, lambda: started.append(SERVERS[transport](backend, port=port)))
    timer.start()
    try:
        with Client(address(transport, port), NAME) as client:
            client.wait_until_ready(20)
            assert started
            assert client.status()[0].state == "AVAILABLE"
    finally:
        timer.join()
        started[0].close()


def test_waiting_in_vain_says_what_the_server_said(client, backend):
    backend.state = "LOADING"
    start = time.monotonic()
    with pytest.raises(ServingError, match=r"not ready within 0\.5 s.*Servable not found") as error:
        client.wait_until_ready(0.5)
    assert error.value.code == "DEADLINE_EXCEEDED"
    assert 0.4 < time.monotonic() - start < 8


def test_an_answer_says_more_than_a_request_that_the_end_of_the_wait_cut_off(
    client, backend, monkeypatch
):
    answers, ended = [Refusal("NOT_FOUND", "Servable not found")], threading.Event()

    def describe(spec):
        if answers:
            raise answers.pop()
        ended.wait(10)
        raise Refusal("NOT_FOUND", "too late")

    monkeypatch.setattr(backend, "describe", describe)
    with pytest.raises(ServingError, match=r"last answer: .*Servable not found"):
        client.wait_until_ready(0.6)
    assert not answers
    ended.set()
