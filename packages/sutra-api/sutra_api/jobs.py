"""Routes that upload files of texts to the bulk ingester, and follow its jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from sutra_service.body import discard
from sutra_service.dependency import Dependency
from sutra_service.errors import ErrorReply, ServiceError

from sutra_api.forwarding import Forwarder, expect_object, under, with_query
from sutra_api.gate import OWNER
from sutra_api.requests import JobsQuery, UploadQuery

# Uploads are passed on as they arrive.
STREAMED = (("POST", "/api/jobs"),)
PASSED_ON_HEADERS = ("content-type", "content-encoding", "content-length")
# The ingester's errors that are about the upload, or tell the client to wait.
PASSED_ON_ERRORS = (400, 408, 413, 415, 422, 429, 507)

BINARY = {"schema": {"type": "string", "format": "binary"}}
UPLOAD_DOCUMENTATION = {
    "requestBody": {"required": True, "content": {"application/x-ndjson": BINARY, "text/csv": BINARY}}
}


class Uploads:
    """Uploads in progress, by key: one key must not take all places of the ingester."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[str, int] = {}

    @contextmanager
    def place(self, owner: str) -> Iterator[None]:
        """Hold a place for an upload with the key `owner` until the end of the block. Raises 429 if it has too many."""
        count = self._counts.get(owner, 0)
        if count >= self._most:
            message = (
                f"{count} uploads for key {owner} are in progress; the maximum is {self._most}; "
                "try again when one has finished"
            )
            raise ServiceError(429, "too_many_uploads", message, {"Retry-After": "30"})
        self._counts[owner] = count + 1
        try:
            yield
        finally:
            self._counts[owner] -= 1
            if not self._counts[owner]:
                del self._counts[owner]


def add_routes(router: APIRouter, ingester: Dependency, uploads: Uploads) -> None:
    """Add the routes."""
    to_ingester = Forwarder(ingester, "INGESTER_URL")

    @router.post(
        "/jobs",
        status_code=202,
        openapi_extra=UPLOAD_DOCUMENTATION,
        responses={status: {"model": ErrorReply} for status in (408, 507)},
    )
    async def upload(request: Request, query: Annotated[UploadQuery, Query()]) -> JSONResponse:
        """Upload a file of texts, JSON lines or CSV. Answers with its job once the file is stored durably."""
        headers = {name: request.headers[name] for name in PASSED_ON_HEADERS if name in request.headers}
        if "transfer-encoding" in request.headers:
            # The length of such a body is not what Content-Length says.
            headers.pop("content-length", None)
        try:
            path = with_query("/v1/jobs", query)
            with uploads.place(request.scope[OWNER]):
                answer = await ingester.upload(path, headers, request.stream(), PASSED_ON_ERRORS)
        except ClientDisconnect:
            # The client never sees this answer.
            raise ServiceError(400, "incomplete_body", "connection closed before the end of the body") from None
        except ServiceError:
            await discard(request)
            raise
        job = expect_object(ingester, answer)
        location = under("/api/jobs", str(job.get("id", "")))
        return JSONResponse(job, 202, {"Location": location})

    @router.get("/jobs")
    async def list_jobs(query: Annotated[JobsQuery, Query()]) -> dict[str, Any]:
        """List the jobs, newest first, without their bad lines. `next` is the cursor of the next page."""
        return await to_ingester.send("GET", with_query("/v1/jobs", query))

    @router.get("/jobs/{id}")
    async def get_job(id: str) -> dict[str, Any]:  # noqa: A002 - the name in the path
        """Return a job: its state, progress and bad lines."""
        return await to_ingester.send("GET", under("/v1/jobs", id), may_be_missing=True)
