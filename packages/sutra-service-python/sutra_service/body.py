"""Checks on request bodies: size, content type and encoding."""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sutra_service.errors import ServiceError, reply

# A quick filter: without such an escape there can be no lone surrogate.
SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
# How much of a rejected streamed body is read, and for how long, so that its client reads the error instead of a reset.
DISCARD_BYTES = 64 * 1024 * 1024
DISCARD_S = 5.0


# Set in the scope of a request whose body is passed on as it arrives, so that it does not count as held.
STREAMED = "sutra_service.streamed"
# In the state of each request: a function that resets its connection, so that its client does not take an unfinished
# answer for a whole one.
RESET = "sutra_service.reset"


class BodyLimit:
    """Middleware that answers 413 to bodies larger than `limit` bytes.

    Checks Content-Length before reading anything, and counts the bytes of bodies without one as
    they arrive, so that memory use stays within the limit. Requests in `streamed`, pairs of method and
    path, have no limit: their bodies must not be held.
    """

    def __init__(self, app: ASGIApp, limit: int, streamed: Collection[tuple[str, str]] = ()) -> None:
        self._app = app
        self._limit = limit
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (scope["method"], scope["path"]) in self._streamed:
            scope[STREAMED] = True
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            error = self._error()
            await reply(error.status_code, error.code, error.detail, error.headers)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise self._error()
            return message

        await self._app(scope, counted, send)

    def _error(self) -> ServiceError:
        message = f"the body exceeds {self._limit} bytes; split it into several requests"
        # The rest of the body is never read, so the connection cannot be reused.
        return ServiceError(413, "body_too_large", message, {"Connection": "close"})


class JsonRoute(APIRoute):
    """A route whose body must have a JSON content type (else 415), be UTF-8 (400) and hold no lone surrogates (422)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route's handler in the checks."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def checked(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            empty = not kind and request.headers.get("content-length", "0") == "0"
            streamed = "transfer-encoding" in request.headers
            is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
            if not is_json and not (empty and not streamed):
                message = f"unsupported content type: {kind or 'none'}; send Content-Type: application/json"
                raise ServiceError(415, "unsupported_media_type", message)
            try:
                body = await request.body()
            except ClientDisconnect:
                # The client never sees this answer.
                raise ServiceError(400, "incomplete_body", "connection closed before the end of the body") from None
            require_utf_8(body)
            if SURROGATE_ESCAPE.search(body):
                reject_lone_surrogates(body)
            return await handler(request)

        return checked


async def discard(request: Request) -> None:
    """Read what is left of a rejected streamed body, within limits."""
    size = 0
    # RuntimeError: all of it has been read.
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(DISCARD_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > DISCARD_BYTES:
                    break


def require_utf_8(body: bytes) -> None:
    """Raise 400 for a body that is not UTF-8: `json.loads` also accepts UTF-16, UTF-32 and encoded surrogates."""
    try:
        if json.detect_encoding(body).startswith("utf-8"):
            body.decode()
            return
    except UnicodeDecodeError:
        pass
    raise ServiceError(400, "invalid_json", "the body is not UTF-8; send JSON encoded as UTF-8")


def reject_lone_surrogates(body: bytes) -> None:
    """Raise 422 for a JSON body with a lone surrogate: Python accepts it, but the text cannot be encoded again."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        surrogate = f"\\u{ord(error.object[error.start]):04x}"
        message = f"the body has a lone surrogate: {surrogate}; send both halves of the pair"
        raise ServiceError(422, "invalid_request", message) from None
    except (ValueError, RecursionError):
        return  # FastAPI reports invalid JSON.
