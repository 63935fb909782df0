"""What a request's body may be: how large, and of which type."""

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sutra_service.errors import ServiceError, reply

# Where this is not, no text needs a closer look.
HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class BodyLimit:
    """Refuses a body of more than `limit` bytes with 413.

    A declared length is refused before a byte is read; a body without one is counted as it
    arrives, so that no more than the limit is ever held.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its body counted."""
        if scope["type"] != "http":
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
        message = f"the body is larger than {self._limit} bytes; send it in several requests"
        # The rest of the body is never read, so the connection cannot carry another request.
        return ServiceError(413, "body_too_large", message, {"Connection": "close"})


class JsonRoute(APIRoute):
    """A route whose body says it is JSON (or 415), is UTF-8 (or 400) and holds texts that can be sent on (or 422)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler behind a check of the content type."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def checked(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            empty = not kind and request.headers.get("content-length", "0") == "0"
            streamed = "transfer-encoding" in request.headers
            is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
            if not is_json and not (empty and not streamed):
                message = f"a body of type {kind or 'unknown'!r} is not understood; send Content-Type: application/json"
                raise ServiceError(415, "unsupported_media_type", message)
            try:
                body = await request.body()
            except ClientDisconnect:
                # Nobody is left to read this.
                raise ServiceError(400, "incomplete_body", "the connection was closed within the body") from None
            refuse_other_encodings(body)
            if HALF_PAIR.search(body):
                refuse_half_pairs(body)
            return await handler(request)

        return checked


def refuse_other_encodings(body: bytes) -> None:
    """Raise 400 for what is not UTF-8: Python would read UTF-16 and UTF-32 too, and halves of pairs as three bytes."""
    try:
        if json.detect_encoding(body).startswith("utf-8"):
            body.decode()
            return
    except UnicodeDecodeError:
        pass
    raise ServiceError(400, "invalid_json", "the body is not UTF-8; send JSON in UTF-8")


def refuse_half_pairs(body: bytes) -> None:
    """Raise 422 for a JSON body with half of a surrogate pair: Python takes it for text, and nobody can send it on."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        message = f"the body holds {half} alone, half of a surrogate pair and no character; send both halves"
        raise ServiceError(422, "invalid_request", message) from None
    except (ValueError, RecursionError):
        return  # What is no JSON is said where it is read.
