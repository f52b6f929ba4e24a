"""The development server: both protocols over the same models."""

import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import uvicorn

from tfssvae.checks import InputError
from tfssvae.serving.development.batching import Batcher, OneByOne, Runner
from tfssvae.serving.development.grpc_service import add_services
from tfssvae.serving.development.impatient_protocol import ImpatientProtocol
from tfssvae.serving.development.model_store import ModelStore
from tfssvae.serving.development.page_routes import page_routes
from tfssvae.serving.development.rest_app import make_app

_log = logging.getLogger("tfssvae.serving.development")
_GRPC_THREADS = 64  # they only wait, and a batch is made of requests that wait
_STOP_SECONDS = 5


@dataclass(frozen=True)
class Settings:
    """How the server listens and runs.

    Args:
        host: the address to listen at; anything but this machine's own is open to others.
        rest_port: 0 takes any that is free.
        grpc_port: 0 takes any that is free.
        batching: whether requests are merged.
        max_batch_size: the rows of a merged request.
        batch_timeout_ms: how long a request waits for others.
        max_request_mb: larger requests are refused; 1 MB is 2^20 bytes.
        body_seconds: an HTTP body that has not arrived by then is refused.
        poll_seconds: how often the folders are looked at for new versions.
    """

    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    batching: bool = False
    max_batch_size: int = 128
    batch_timeout_ms: float = 5.0
    max_request_mb: float = 64.0
    body_seconds: float = 30.0
    poll_seconds: float = 1.0


@dataclass(frozen=True)
class Ports:
    """The ports that a running server listens at."""

    rest: int
    grpc: int


def serve(models: Mapping[str, Path], settings: Settings) -> None:
    """Serve models until the process gets SIGINT (Ctrl-C) or SIGTERM.

    Args:
        models: name -> the folder that holds numbered versions.
        settings: how to serve them.

    Raises:
        InputError: a folder has no version that can be loaded, or a port cannot be had.
    """
    handler = logging.StreamHandler(sys.stdout)
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False
    stopped = threading.Event()
    with _handlers(lambda *_: stopped.set()), running(models, settings) as ports:
        host = _in_address(settings.host)
        for name in models:
            print(f"{name}: http://{host}:{ports.rest}/v1/models/{name}")
        print(f"a page to try them on: http://{host}:{ports.rest}/")
        print(f"REST at {host}:{ports.rest}, gRPC at {host}:{ports.grpc}; Ctrl-C stops", flush=True)
        stopped.wait()


@contextmanager
def _handlers(handler: Callable) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, earlier in zip(numbers, before, strict=True):
            signal.signal(number, earlier)


@contextmanager
def running(models: Mapping[str, Path], settings: Settings) -> Iterator[Ports]:
    """Serve models in threads of this process while the context is open.

    Args:
        models: name -> the folder that holds numbered versions.
        settings: how to serve them.

    Yields:
        The ports.

    Raises:
        InputError: a folder has no version that can be loaded, or a port cannot be had.
    """
    listener = _listen("--rest-port", settings.host, settings.rest_port)
    rpc = _grpc_server(settings)
    try:
        ports = Ports(listener.getsockname()[1], _bind(rpc, settings))
        store = ModelStore(models, settings.poll_seconds)
    except BaseException:
        rpc.stop(None)
        listener.close()
        raise
    pool = ThreadPoolExecutor(_cores(), "tensorflow")
    runner = _runner(settings, pool)
    limit = int(settings.max_request_mb * 2**20)
    add_services(rpc, store, runner, limit)
    app = make_app(store, runner, pool, limit, settings.body_seconds, page_routes(store))
    web = _web_server(app)
    thread = threading.Thread(target=web.run, args=([listener],), name="rest", daemon=True)
    rpc.start()
    thread.start()
    try:
        _wait_for(web, thread)
        yield ports
    finally:
        web.should_exit = True
        rpc.stop(_STOP_SECONDS).wait()
        thread.join()
        runner.close()
        pool.shutdown()
        store.close()
        listener.close()


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("::1")
    (True, False, True)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _runner(settings: Settings, pool: ThreadPoolExecutor) -> Runner:
    if not settings.batching:
        return OneByOne(pool)
    return Batcher(pool, settings.max_batch_size, settings.batch_timeout_ms / 1000)


def _web_server(app) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return uvicorn.Server(config)


def _wait_for(web: uvicorn.Server, thread: threading.Thread) -> None:
    while not web.started:
        if not thread.is_alive():
            raise RuntimeError("the REST server did not start")
        time.sleep(0.01)


def _listen(option: str, host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
    except OSError as error:
        raise InputError(
            f"--host {host} is no address of this machine ({error.strerror})"
        ) from None
    # With the protocol's number: asyncio turns off the delay of small packets for TCP alone.
    listener = socket.socket(family, kind, protocol)
    # Ports of connections that were closed a moment ago can be had at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Listening shows at once whether another server has the port.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _no_port(option, host, port, str(error.strerror)) from None
    return listener


def _grpc_server(settings: Settings) -> grpc.Server:
    return grpc.server(
        ThreadPoolExecutor(_GRPC_THREADS, "grpc"),
        options=[
            # Otherwise a second server shares the port, and gets some of the requests.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", int(settings.max_request_mb * 2**20)),
            ("grpc.max_send_message_length", -1),
        ],
    )


def _bind(rpc: grpc.Server, settings: Settings) -> int:
    host, port = settings.host, settings.grpc_port
    # gRPC itself does not say why it cannot have a port.
    _listen("--grpc-port", host, port).close()
    try:
        return rpc.add_insecure_port(f"{_in_address(host)}:{port}")
    except RuntimeError:
        raise _no_port("--grpc-port", host, port, "it was taken a moment ago") from None


def _no_port(option: str, host: str, port: int, reason: str) -> InputError:
    return InputError(
        f"cannot listen at port {port} of {host} ({reason}): give another {option}, or 0 for any"
    )


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
