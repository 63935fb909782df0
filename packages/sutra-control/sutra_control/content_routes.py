"""The routes of ingest jobs and concepts. The gate checks who may use them."""

from logging import getLogger
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from sutra_service.dependency import Dependency
from sutra_service.errors import ErrorReply

from sutra_control import concepts, jobs
from sutra_control.requests import DeletedReply

logger = getLogger(__name__)

ANSWERS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorReply} for status in (401, 403, 404, 502, 503, 504)}
# The limits of hybrid.
MAX_CONCEPTS = 200
MAX_SOURCE_CHARACTERS = 500

Id = Annotated[str, Path(min_length=1, max_length=256)]
# That of a source has twice as many bytes.
Cursor = Annotated[str, Query(max_length=8000)]
# No default: without a source, everything would go.
Source = Annotated[str, Query(min_length=1, max_length=MAX_SOURCE_CHARACTERS)]


def job_routes(ingester: Dependency) -> APIRouter:
    """Routes to list, show and cancel ingest jobs."""
    router = APIRouter(prefix="/api/jobs", tags=["jobs"], responses=ANSWERS)

    @router.get("")
    async def listing(
        limit: Annotated[int, Query(ge=1, le=jobs.MAX_LISTED)] = jobs.MAX_LISTED, cursor: Cursor = ""
    ) -> dict[str, Any]:
        """List ingest jobs, newest first. `next` is the cursor of the next page, or null."""
        return (await jobs.read_page(ingester, limit, cursor)).fields()

    @router.get("/{job_id}")
    async def show(job_id: Id) -> dict[str, Any]:
        """Return an ingest job with its bad lines."""
        return await jobs.read_job(ingester, job_id)

    @router.delete("/{job_id}", responses={409: {"model": ErrorReply}})
    async def cancel(job_id: Id, request: Request) -> dict[str, Any]:
        """Cancel an ingest job. What it has taught stays."""
        job = await jobs.cancel_job(ingester, job_id)
        logger.info("cancelled an ingest job", extra={"operator": operator_of(request), "job": job_id})
        return job

    return router


def concept_routes(hybrid: Dependency) -> APIRouter:
    """Routes to browse and delete what was taught."""
    router = APIRouter(prefix="/api", tags=["concepts"], responses=ANSWERS)
    limit = Query(ge=1, le=MAX_CONCEPTS)

    @router.get("/concepts")
    async def listing(
        limit: Annotated[int, limit] = 50,
        cursor: Cursor = "",
        source: Annotated[str, Query(max_length=MAX_SOURCE_CHARACTERS)] = "",
    ) -> dict[str, Any]:
        """List texts, of one source or of all. `next` is the cursor of the next page, or null."""
        return await concepts.read_page(hybrid, limit, cursor, source)

    @router.get("/concepts/{concept_id:path}")
    async def show(concept_id: Id) -> dict[str, Any]:
        """Return a whole text."""
        return await concepts.read_one(hybrid, concept_id)

    @router.delete("/concepts/{concept_id:path}")
    async def delete(concept_id: Id, request: Request) -> DeletedReply:
        """Delete a text with all its passages."""
        deleted = await concepts.delete_one(hybrid, concept_id)
        logger.info("deleted a text", extra={"operator": operator_of(request), "concept": concept_id})
        return DeletedReply(deleted=deleted)

    @router.delete("/concepts")
    async def delete_source(source: Source, request: Request) -> DeletedReply:
        """Delete everything of a source."""
        deleted = await concepts.delete_source(hybrid, source)
        logger.info("deleted a source", extra={"operator": operator_of(request), "source": source, "deleted": deleted})
        return DeletedReply(deleted=deleted)

    @router.get("/sources")
    async def sources(limit: Annotated[int, limit] = 200, cursor: Cursor = "") -> dict[str, Any]:
        """List sources with the number of their concepts. `next` is the cursor of the next page, or null."""
        return await concepts.read_sources(hybrid, limit, cursor)

    return router


def operator_of(request: Request) -> str:
    """The name of the signed-in operator."""
    return str(request.state.session.operator)
