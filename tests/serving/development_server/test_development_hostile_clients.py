"""Random bytes, endless bodies, and clients that dawdle or leave do the server no harm."""

import http.client
import json
import random
import socket
import time
from contextlib import closing, suppress

import psutil
import pytest

from tests.serving.development_server.asking import PREDICT, ROW, predict, send
from tfssvae.serving.development.impatient_protocol import ImpatientProtocol

pytestmark = pytest.mark.xdist_group("development server")


def test_random_bytes_never_break_the_server(server, monkeypatch):
    rng = random.Random(0)
    valid = json.dumps({"signature_name": "encode", "instances": [ROW]}).encode()
    numbers = [b"NaN", b"1e999", b"-0", b"{}", b"[]", b"null", b'"\\ud800"', b"[[[[0]]]]", b"\x00"]
    address = ("127.0.0.1", server.rest)
    start = time.monotonic()
    with closing(http.client.HTTPConnection(*address, timeout=20)) as connection:
        for _ in range(300):
            body = bytearray(valid)
            for _ in range(rng.randint(1, 4)):
                place = rng.randrange(len(body))
                body[place : place + rng.randint(0, 5)] = rng.choice([*numbers, rng.randbytes(3)])
            connection.request("POST", PREDICT, bytes(body))
            answer = connection.getresponse()
            assert answer.status in (200, 400), (answer.status, bytes(body))
            json.loads(answer.read())
    monkeypatch.setattr(ImpatientProtocol, "seconds", 0.2)
    for _ in range(30):
        with closing(socket.create_connection(address, timeout=20)) as raw:
            raw.sendall(rng.randbytes(rng.randint(1, 200)) + rng.choice([b"", b"\r\n\r\n"]))
            assert all_of(raw)[9:12] in (b"", b"400", b"404")
    assert time.monotonic() - start < 20
    assert send(server, "GET", "/health")[0] == 200


def all_of(raw):
    """Return what the server sends until it closes the connection."""
    found = b""
    try:
        while part := raw.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def head(size, extra=""):
    return f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n{extra}\r\n".encode()


def test_a_large_body_is_refused_without_reading_it(plain):
    address = ("127.0.0.1", plain.rest)
    before = psutil.Process().memory_info().rss
    for extra in ("", "Expect: 100-continue\r\n"):
        with closing(socket.create_connection(address, timeout=20)) as raw:
            raw.sendall(head(10**12, extra))
            answer = raw.recv(65536)
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert b"connection: close" in answer
            assert b"larger than 1048576 bytes" in answer + raw.recv(65536)
    with closing(socket.create_connection(address, timeout=20)) as raw:
        raw.sendall(head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        answer = b""
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
            for _ in range(10_000):
                raw.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                raw.setblocking(False)
                with suppress(BlockingIOError):
                    answer += raw.recv(65536)
                raw.settimeout(20)
                if b"413" in answer:
                    time.sleep(0.1)
        assert answer.startswith(b"HTTP/1.1 413 ")
    assert psutil.Process().memory_info().rss - before < 100 * 2**20
    # A client that sends everything before it listens gets the answer, not a reset connection.
    assert send(plain, "POST", PREDICT, b" " * 8 * 2**20)[0] == 413


def test_slow_clients_are_cut_off(plain, monkeypatch):
    monkeypatch.setattr(ImpatientProtocol, "seconds", 0.3)
    address = ("127.0.0.1", plain.rest)
    start = time.monotonic()
    with closing(socket.create_connection(address, timeout=20)) as raw:
        raw.sendall(head(100) + b'{"inst')
        answer = all_of(raw)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"error": "the body did not arrive within 0.5 s"}' in answer
    for whole in (b"", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"):
        for part in (b"G", b"GET /v1/mod"):
            with closing(socket.create_connection(address, timeout=20)) as raw:
                if whole:
                    raw.sendall(whole)
                    assert b"200" in raw.recv(65536)
                raw.sendall(part or b"G")
                assert b"HTTP" not in all_of(raw)
    assert time.monotonic() - start < 4
    with closing(socket.create_connection(address, timeout=20)) as raw:
        body = json.dumps({"instances": [ROW]}).encode()
        request = head(len(body), "Connection: close\r\n") + body
        for part in (request[:20], request[20:200], request[200:]):
            raw.sendall(part)
            time.sleep(0.1)
        assert all_of(raw).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_away_harms_nobody(server):
    address = ("127.0.0.1", server.rest)
    body = json.dumps({"instances": [ROW]}).encode()
    for request in (head(len(body)) + body, head(len(body)) + body[:10], head(9)):
        for _ in range(5):
            with closing(socket.create_connection(address, timeout=20)) as raw:
                raw.sendall(request)
    assert predict(server, instances=[ROW])[0] == 200
