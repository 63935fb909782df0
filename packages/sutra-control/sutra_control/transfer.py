"""The routes that export everything that was taught, and import it. The gate checks who may use them."""

import asyncio
from collections.abc import AsyncIterator
from logging import getLogger
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from sutra_service.body import RESET, discard
from sutra_service.dependency import Dependency
from sutra_service.errors import ErrorReply, ServiceError

from sutra_control.content_routes import operator_of
from sutra_control.jobs import is_number
from sutra_control.neighbour import unexpected
from sutra_control.requests import ImportReply

logger = getLogger(__name__)

IMPORT = "/api/import/concepts"
# Imports are passed on as they arrive.
STREAMED = (("POST", IMPORT),)
# Storage's errors that are about the request, or tell the operator to wait or to make room.
PASSED_ON = (400, 409, 413, 503, 507)
ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply} for status in (401, 403, 409, 502, 503, 504, 507)
}
JSON_LINES = "application/x-ndjson"
FILE = {JSON_LINES: {"schema": {"type": "string", "format": "binary"}}}
HEADERS = {"Content-Disposition": 'attachment; filename="sutra-concepts.jsonl"', "Cache-Control": "no-store"}
# The largest integer that every JSON reader can hold.
MAX_LINES = 2**53 - 1


def transfer_routes(storage: Dependency) -> APIRouter:
    """Routes to export and import all concepts."""
    router = APIRouter(prefix="/api", tags=["concepts"], responses=ANSWERS)

    @router.get(
        "/export/concepts",
        response_class=Response,
        responses={200: {"content": FILE}, 505: {"model": ErrorReply}},
    )
    async def export(request: Request) -> Response:
        """Export everything that was taught, with vectors, as JSON lines. An export that fails never looks complete."""
        if request.scope["http_version"] == "1.0":
            # Such an answer ends with the connection, so a proxy would take a part for everything.
            message = "an export needs HTTP/1.1; in nginx, set proxy_http_version 1.1"
            raise ServiceError(505, "http_version_not_supported", message)
        return _Export(storage, operator_of(request))

    @router.post("/import/concepts", openapi_extra={"requestBody": {"required": True, "content": FILE}})
    async def import_(request: Request, skip: Annotated[int, Query(ge=0, le=MAX_LINES)] = 0) -> ImportReply:
        """Import an export. Concepts with known ids are replaced; the first `skip` lines are not read again."""
        who = {"operator": operator_of(request)}
        try:
            imported = await _import(storage, request, skip)
        except ClientDisconnect:
            logger.warning("an import ended early", extra={**who, "reason": "the client disconnected"})
            # The client never sees this answer.
            raise ServiceError(400, "incomplete_body", "connection closed before the end of the body") from None
        except ServiceError as error:
            logger.warning("an import ended early", extra={**who, "reason": error.detail})
            await discard(request)
            raise
        logger.info(
            "imported concepts",
            extra={**who, "lines": imported.lines, "new": imported.created, "replaced": imported.updated},
        )
        return imported

    return router


async def _import(storage: Dependency, request: Request, skip: int) -> ImportReply:
    headers = {"Content-Type": JSON_LINES}
    # The length of a body with a transfer encoding is not what Content-Length says.
    if "content-length" in request.headers and "transfer-encoding" not in request.headers:
        headers["Content-Length"] = request.headers["content-length"]
    answer = await storage.upload(f"/v1/import?skip={skip}", headers, request.stream(), PASSED_ON)
    numbers = {name: answer.get(name) for name in ImportReply.model_fields} if isinstance(answer, dict) else {}
    if not numbers or not all(map(is_number, numbers.values())):
        raise unexpected(storage)
    return ImportReply(**numbers)


class _Export(Response):
    """Everything that storage exports, passed on as it arrives."""

    def __init__(self, storage: Dependency, operator: str) -> None:
        super().__init__()
        self._storage = storage
        self._operator = operator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises storage's errors before anything is sent."""
        async with self._storage.download("/v1/export", PASSED_ON) as pieces:
            logger.info("exporting all concepts", extra={"operator": self._operator})
            file = _File(pieces)
            try:
                await file(scope, receive, send)
            finally:
                self._end(scope, file)
        # Lets the server notice that the connection is closed.
        await asyncio.sleep(0)

    def _end(self, scope: Scope, file: "_File") -> None:
        extra = {"operator": self._operator, "bytes": file.size}
        if not file.problem:
            logger.info("exported all concepts", extra=extra)
            return
        logger.warning("an export ended early", extra={**extra, "reason": file.problem})
        reset = scope["state"].get(RESET)
        if reset is not None:
            reset()


class _File(StreamingResponse):
    """A response that is left without an end if its content fails. `problem` says why, and is empty if it is whole."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        super().__init__(self._counted(pieces), headers=HEADERS, media_type=JSON_LINES)
        self.size = 0
        self.problem = "the client disconnected"

    async def stream_response(self, send: Send) -> None:
        """Send the content, and the end only after all of it."""
        try:
            await super().stream_response(send)
        except ServiceError as error:
            self.problem = str(error.detail)
        else:
            self.problem = ""

    async def _counted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self.size += len(piece)
            yield piece
