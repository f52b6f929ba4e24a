"""An answer to a request whose body is not read."""

import asyncio
import json

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_LINGER_SECONDS = 2.0


class ClosingResponse(Response):
    """A refusal, `{"error": message}`, after which the connection is closed.

    Args:
        status: the HTTP status.
        message: what the client is told.
        still_sending: whether the client is in the middle of its body.
    """

    def __init__(self, status: int, message: str, still_sending: bool) -> None:
        self.still_sending = still_sending
        super().__init__(
            json.dumps({"error": message}),
            status,
            {"connection": "close"},
            media_type="application/json",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        # A connection that is closed while the client still sends is reset, and many clients then
        # never see the answer. One that waits for "100 Continue" sends nothing.
        if self.still_sending and not any(name == b"expect" for name, _ in scope["headers"]):
            await _drop_body(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drop_body(receive: Receive) -> None:
    async def drop() -> None:
        while (await receive()).get("more_body"):
            pass

    try:
        await asyncio.wait_for(drop(), _LINGER_SECONDS)
    except asyncio.TimeoutError:
        return
