"""Request ids: one for each request, in the answer, in every line logged meanwhile, and in calls to other services."""

import os
import re
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-Id"
VALID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

# The id of the request that is being answered; empty outside of one. Tasks and `asyncio.to_thread` inherit it.
current: ContextVar[str] = ContextVar("request_id", default="")


class RequestIds:
    """Middleware that gives each request an id: the valid one that it came with, or a new one of 32 hex digits."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given(scope) or os.urandom(16).hex()
        # Not reset afterwards: the server logs an exception only once this has returned. Each request is a task of its
        # own, with its own context.
        current.set(request_id)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id.encode())]}
            await send(message)

        await self._app(scope, receive, marked)


def _given(scope: Scope) -> str:
    """The valid id in the request's header; empty if there is none."""
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    return given[0].decode() if len(given) == 1 and VALID.fullmatch(given[0]) else ""
