"""The client gives the numbers of the signatures, over either transport, or says what is wrong."""

import contextlib
import json
import pickle
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from fake_serving import SERVERS, Backend

import tfssvae
from tfssvae.checks import InputError
from tfssvae.serving import Client, ServingError, export
from tfssvae.serving.client import VersionStatus

NAME = "digits m2?"  # names are escaped in addresses


def small_model(shape=(8, 8, 1), seed=0):
    return tfssvae.models.M2(shape, 10, latent_dim=4, hidden=(16,), seed=seed)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return export(small_model(), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
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


def direct(backend, signature, **arrays):
    outputs = backend.signatures[signature](**{k: tf.constant(v) for k, v in arrays.items()})
    return {key: value.numpy() for key, value in outputs.items()}


def assert_same(found, wanted):
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)
        found[key][:1] = 0  # not a read-only view of a message


def test_methods_give_the_numbers_of_the_signatures(client, backend, images):
    for x, suffix in ((images, ""), ((images / 255).astype("float32"), "_float")):
        assert_same(client.classify(x), direct(backend, f"classify{suffix}", images=x))
        encoded = direct(backend, f"encode{suffix}", images=x)
        assert_same({"codes": client.encode(x)}, encoded)
        reconstructed = direct(backend, f"reconstruct{suffix}", images=x)
        assert_same({"reconstructions": client.reconstruct(x)}, reconstructed)
    labels, seed = np.array([3, 3, 9], "int32"), np.int32(-7)
    drawn = direct(backend, "generate", labels=labels, seed=seed)
    assert_same({"generated_images": client.generate([3, 3, 9], -7)}, drawn)
    assert not np.allclose(client.generate([3, 3, 9]), client.generate([3, 3, 9], 1))


def test_call_reaches_any_signature(client, backend, images):
    assert_same(
        client.call("serving_default", images=images.astype("int64")),
        direct(backend, "classify", images=images),
    )
    labels = np.array([1, 2], "int32")
    assert_same(
        client.call("generate", labels=[1, 2], seed=5),
        direct(backend, "generate", labels=labels, seed=np.int32(5)),
    )


def test_images_without_channel_and_of_other_types(client, backend, images):
    wanted = direct(backend, "classify", images=images)
    assert_same(client.classify(images[..., 0]), wanted)
    assert_same(client.classify(images.astype("int32")), wanted)
    wanted = direct(backend, "classify_float", images=(images / 255).astype("float32"))
    assert_same(client.classify(images / 255), wanted)


def test_large_batches_are_cut_and_put_together(server, backend, images):
    with Client(server.address, NAME, batch_size=5) as client:
        found = client.classify(images)
    assert [len(inputs["images"]) for _, _, inputs in backend.requests] == [5, 5, 2]
    wanted = direct(backend, "classify", images=images)
    np.testing.assert_array_equal(found["classes"], wanted["classes"])
    np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], rtol=1e-5)


def test_generation_is_never_cut(server, backend):
    labels = np.arange(10, dtype="int32")
    with Client(server.address, NAME, batch_size=3) as client:
        found = client.generate(labels, 4)
    assert len(backend.requests) == 1
    wanted = direct(backend, "generate", labels=labels, seed=np.int32(4))
    assert_same({"generated_images": found}, wanted)


def test_grpc_answers_beyond_four_mebibytes(tmp_path):
    backend = Backend(export(small_model((64, 64, 1)), tmp_path))
    server = SERVERS["grpc"](backend)
    images = np.zeros((300, 64, 64, 1), "uint8")
    try:
        with Client(server.address, NAME, batch_size=300) as client:
            found = client.reconstruct(images)
    finally:
        server.close()
    assert found.nbytes > 4 << 20
    assert_same({"reconstructions": found}, direct(backend, "reconstruct", images=images))


@pytest.mark.parametrize(
    ("dtypes", "signatures"),
    [
        (("float32", "uint8"), {"uint8": "encode_uint8", "float32": "encode"}),
        (("uint8",), {"uint8": "encode"}),
        (("float32",), {"float32": "encode"}),
    ],
)
def test_images_go_to_the_signature_of_their_type(tmp_path, images, transport, dtypes, signatures):
    backend = Backend(export(small_model(), tmp_path, input_dtypes=dtypes))
    server = SERVERS[transport](backend)
    try:
        with Client(server.address, NAME) as client:
            for dtype in ("uint8", "float32"):
                x = images if dtype == "uint8" else (images / 255).astype("float32")
                if dtype not in signatures:
                    with pytest.raises(InputError, match=f"takes {dtypes[0]} images only, got"):
                        client.encode(x)
                    continue
                assert_same(
                    {"codes": client.encode(x)}, direct(backend, signatures[dtype], images=x)
                )
                assert backend.requests[-1][1] == signatures[dtype]
    finally:
        server.close()


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


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def address(transport, port):
    return f"http://127.0.0.1:{port}" if transport == "rest" else f"127.0.0.1:{port}"


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, x: c.classify(x[:, :7]), r"shape \(n, 8, 8, 1\), got \(12, 7, 8, 1\)"),
        (lambda c, x: c.classify(x.astype("float32")), r"must be in 0\.\.1: divide by 255"),
        (lambda c, x: c.classify(np.where(x > 250, np.nan, x / 255)), "NaN or infinite"),
        (lambda c, x: c.classify(x[:0]), "images is empty"),
        (lambda c, x: c.encode("images.png"), "images"),
        (lambda c, x: c.generate([0, 10]), "labels has labels 10"),
        (lambda c, x: c.generate([0.5]), "whole numbers"),
        (lambda c, x: c.generate([1], seed=0.5), "seed must be a whole number"),
        (lambda c, x: c.call("clasify", images=x), 'did you mean "classify"'),
        (lambda c, x: c.call("classify", image=x), "takes images, got image"),
        (lambda c, x: c.call("classify"), "takes images, got nothing"),
        (lambda c, x: c.call("classify", images=x / 255), "must be uint8, got float64"),
        (lambda c, x: c.call("classify", images=x + 1000), "0 to 255: got 1"),
        (lambda c, x: c.call("classify_float", images=x), "must be float32, got uint8"),
        (lambda c, x: c.call("classify", images=[[1], [1, 2]]), "images must be an array of"),
        (lambda c, x: c.call("classify_float", images=x * np.inf), "NaN or infinite"),
        (lambda c, x: c.call("classify_float", images=x * 1e300), "NaN or infinite"),
        (lambda c, x: c.call("classify", images=x[:0]), "images must have at least one row"),
        (lambda c, x: c.call("generate", labels=[1], seed=[1]), r"seed must have shape \(\)"),
        (lambda c, x: c.classify(x, timeout=0), "timeout must be"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply:RuntimeWarning")
def test_bad_input_is_refused_before_it_is_sent(client, backend, images, call, message):
    with pytest.raises(InputError, match=message):
        call(client, images.astype("int64") if "got 1" in message else images)
    assert backend.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ftp://host", NAME), "address must be"),
        (("", NAME), "address must be"),
        (("http://", NAME), "address must be"),
        (("host:8500", ""), "model must be the name"),
    ],
)
def test_bad_addresses(arguments, message):
    with pytest.raises(InputError, match=message):
        Client(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 1, "label": "stable"}, "a version or a label, not both"),
        ({"version": "1"}, "version must be"),
        ({"timeout": float("nan")}, "timeout must be"),
        ({"retries": -1}, "retries must be"),
        ({"batch_size": 0}, "batch_size must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        Client("host:8500", NAME, **options)


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


def test_a_refusal_makes_the_client_ask_for_the_signatures_again(client, backend, tmp_path, images):
    client.classify(images)
    larger = np.zeros((2, 6, 6, 1), "uint8")
    backend.load(export(small_model((6, 6, 1)), tmp_path))
    with pytest.raises(ServingError, match="INVALID_ARGUMENT"):
        client.classify(images)
    assert len(client.classify(larger)["classes"]) == 2


def test_threads_share_a_client(client, backend, images):
    wanted = direct(backend, "classify", images=images)["classes"]
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(client.classify(images)["classes"]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, [wanted] * 8)


@pytest.mark.parametrize("transport_needs", ["urllib3", "grpc"])
def test_a_transport_needs_its_own_packages_only(transport_needs):
    """TensorFlow cannot be imported, neither can the packages of the other transport."""
    without = {"urllib3": ["grpc", "google.protobuf"], "grpc": ["urllib3"]}[transport_needs]
    mine, other = ("http://localhost:1", "localhost:1")[
        :: 1 if transport_needs == "urllib3" else -1
    ]
    code = f"""
import sys
for name in ["tensorflow", "tensorflow_serving", *{without}]:
    sys.modules[name] = None
import tfssvae
client = tfssvae.serving.Client({mine!r}, "m2", retries=0)
try:
    client.metadata()
except tfssvae.serving.ServingError as error:
    print(error.code)
try:
    tfssvae.serving.Client({other!r}, "m2")
except ImportError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    unavailable, missing = result.stdout.splitlines()
    assert unavailable == "UNAVAILABLE"
    assert missing.endswith("pip install 'tfssvae[serving]'")
