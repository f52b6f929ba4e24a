"""TensorFlow Serving's REST interface as a Starlette app."""

import asyncio
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tfssvae.serving.development import json_tensors, messages
from tfssvae.serving.development.batching import OneByOne, Runner
from tfssvae.serving.development.closing_response import ClosingResponse
from tfssvae.serving.development.failure import Failure, invalid
from tfssvae.serving.development.loaded_model import DEFAULT_SIGNATURE, require_signature
from tfssvae.serving.development.model_store import ModelStore

_TALKING = 4  # threads that read and write JSON
_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_CALL = re.compile(_MODEL + r":(?P<verb>predict|classify|regress)")
_LOOK = re.compile(_MODEL + r"(?P<metadata>/metadata)?")


def make_app(
    store: ModelStore,
    runner: Runner | None = None,
    pool: ThreadPoolExecutor | None = None,
    max_request_bytes: int = 64 * 2**20,
    body_seconds: float = 30.0,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Return the app that answers REST requests.

    Args:
        store: the models.
        runner: what runs them; None is each request by itself.
        pool: the threads of TensorFlow where there is no runner; None is one for each core.
        max_request_bytes: a larger body is refused.
        body_seconds: a body that has not arrived by then is refused.
        routes: further routes, such as a page.
    """
    pool = pool or ThreadPoolExecutor(os.cpu_count())
    api = _Api(store, runner or OneByOne(pool), max_request_bytes, body_seconds)
    app = Starlette(
        routes=[
            Route("/v1/{rest:path}", api.answer, methods=_METHODS),
            Route("/health", api.health, methods=["GET"]),
            *routes,
        ],
        exception_handlers={HTTPException: _http_error, Failure: _failure, Exception: _bug},
    )
    app.router.redirect_slashes = False
    return app


class _Api:
    def __init__(
        self,
        store: ModelStore,
        runner: Runner,
        max_request_bytes: int,
        body_seconds: float,
    ) -> None:
        self.store, self.runner = store, runner
        self.max_request_bytes, self.body_seconds = max_request_bytes, body_seconds
        # Not the threads of TensorFlow: the states of models are told while all of those work.
        self.talk = ThreadPoolExecutor(_TALKING, "talk")

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        if request.method == "GET" and path in ("/v1/models", "/v1/models/metadata"):
            raise invalid("Missing model name in request.")
        call = _CALL.fullmatch(path) if request.method == "POST" else None
        look = _LOOK.fullmatch(path) if request.method == "GET" else None
        if call:
            body = await self._read_body(request)
            if isinstance(body, Response):
                return body
            return await self._call(call, body)
        if look:
            return await self._in_pool(self._look, look)
        raise invalid(f"Malformed request: {request.method} {path}")

    async def health(self, request: Request) -> Response:
        """Answer 200 once every model has a version that is served, which is so from the start."""
        unserved = [name for name in self.store.names if not self._is_served(name)]
        if unserved:
            return JSONResponse({"error": f"no version is served: {', '.join(unserved)}"}, 503)
        return JSONResponse({"status": "ok"})

    def _is_served(self, name: str) -> bool:
        try:
            return any(entry.state == "AVAILABLE" for entry in self.store.status(name))
        except Failure:
            return False

    async def _call(self, call: re.Match, body: bytes) -> Response:
        version = _version(call)
        if call["verb"] != "predict":
            await self._in_pool(self._refuse_verb, call, version, body)
        model, signature, form, inputs = await self._in_pool(self._decode, call, version, body)
        outputs = await asyncio.wrap_future(self.runner.submit(model, signature, inputs))
        content = await self._in_pool(json_tensors.write_outputs, form, outputs)
        return Response(content, media_type="application/json")

    def _decode(self, call: re.Match, version: int | None, body: bytes) -> tuple:
        request = json_tensors.parse(body)
        signature = json_tensors.signature_name(request)
        model = self.store.find(call["name"], version)
        message = f'Serving signature name: "{signature or DEFAULT_SIGNATURE}" not found'
        require_signature(model, signature, "INVALID_ARGUMENT", f"{message} in signature def")
        infos = model.signatures[signature or DEFAULT_SIGNATURE].inputs
        form, inputs = json_tensors.read_inputs(request, infos)
        model.check(signature, inputs)
        return model, signature, form, inputs

    def _refuse_verb(self, call: re.Match, version: int | None, body: bytes) -> None:
        request = json_tensors.parse(body)
        signature = json_tensors.signature_name(request)
        if not request.get("examples") or not isinstance(request["examples"], list):
            raise invalid(f"When method is {call['verb']}, key 'examples' is expected to be a list")
        model = self.store.find(call["name"], version)
        raise messages.wrong_method(model, signature, call["verb"])

    def _look(self, look: re.Match) -> Response:
        name, version = look["name"], _version(look)
        if look["metadata"]:
            return JSONResponse(messages.metadata_as_json(self.store.find(name, version)))
        return JSONResponse(messages.as_json(messages.status(self.store.status(name, version))))

    async def _in_pool(self, function, *arguments) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.talk, function, *arguments)

    async def _read_body(self, request: Request) -> bytes | Response:
        limit = self.max_request_bytes
        message = f"the body is larger than {limit} bytes (--max-request-mb)"
        too_large = ClosingResponse(413, message, still_sending=True)
        # uvicorn has refused anything but digits here.
        if int(request.headers.get("content-length", 0)) > limit:
            return too_large
        body = bytearray()

        async def read() -> Response | None:
            async for chunk in request.stream():
                body.extend(chunk)
                if len(body) > limit:
                    return too_large
            return None

        try:
            return await asyncio.wait_for(read(), self.body_seconds) or bytes(body)
        except asyncio.TimeoutError:
            message = f"the body did not arrive within {self.body_seconds:g} s"
            return ClosingResponse(408, message, still_sending=False)
        except ClientDisconnect:
            return ClosingResponse(400, "the client went away", still_sending=False)


def _version(match: re.Match) -> int | None:
    if match["label"]:
        raise invalid(f"Unrecognized servable version label: {match['label']}")
    if match["version"] is None:
        return None
    if len(match["version"].lstrip("0")) > 19 or int(match["version"]) >= 2**63:
        raise invalid(f"Failed to convert version: {match['version'][:40]} to numeric.")
    return int(match["version"])


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


async def _http_error(request: Request, error: Any) -> Response:
    return _error(error.status_code, f"{error.detail}: {request.method} {request.url.path}")


async def _failure(request: Request, error: Any) -> Response:
    return _error(error.http_status, error.message)


async def _bug(request: Request, error: Exception) -> Response:
    return _error(500, f"{type(error).__name__}: {error}")
