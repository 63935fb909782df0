"""The routes of the status. The gate checks who may use them."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import JSONResponse
from sutra_service.errors import ErrorReply, not_in_edition

from sutra_control.export import as_csv
from sutra_control.limits import CAPABILITIES, EXPORT, LIMITS, TIMELINE
from sutra_control.requests import Format
from sutra_control.status import Status
from sutra_control.watch import Watch

# Enough for a sparkline.
MAX_POINTS = 60
REFUSED: dict[int | str, dict[str, Any]] = {401: {"model": ErrorReply}, 403: {"model": ErrorReply}}


def open_routes(edition: str) -> APIRouter:
    """Routes without sign-in."""
    router = APIRouter(tags=["operation"])

    @router.get("/capabilities")
    async def capabilities() -> dict[str, Any]:
        """List the capabilities of this edition."""
        return {"edition": edition, "capabilities": list(CAPABILITIES[edition])}

    return router


def status_routes(edition: str, status: Status, watch: Watch) -> APIRouter:
    """Routes for operators."""
    router = APIRouter(prefix="/api", tags=["status"], responses=REFUSED)
    most = LIMITS[edition].history_samples

    @router.get("/status")
    async def now() -> dict[str, Any]:
        """Return the current status of services, concepts, ingest jobs and image sizes."""
        return await status.now()

    @router.get("/history", dependencies=[Depends(_needs(edition, TIMELINE))])
    async def history(samples: Annotated[int, Query(ge=1, le=most)] = most) -> dict[str, Any]:
        """Return the latest samples of each service, as at most 60 points [slowest ms or null, share that was ok]."""
        names = [watched.name for watched in watch.watched]
        points = {name: watch.history.points(name, samples, MAX_POINTS) for name in names}
        return {"sample_every_s": watch.every_s, "samples": samples, "services": points}

    @router.get("/export", dependencies=[Depends(_needs(edition, EXPORT))])
    async def export(form: Annotated[Format, Query(alias="format")]) -> Response:
        """Return the status as a file: JSON with all samples, or CSV with one line per service."""
        content = await status.now()
        headers = {"Content-Disposition": f'attachment; filename="sutra-status.{form}"'}
        if form == "csv":
            return Response(as_csv(content), media_type="text/csv; charset=utf-8", headers=headers)
        samples = {watched.name: watch.history.samples(watched.name) for watched in watch.watched}
        return JSONResponse({**content, "samples": samples}, headers=headers)

    return router


def _needs(edition: str, capability: str) -> Callable[[], None]:
    def check() -> None:
        if capability not in CAPABILITIES[edition]:
            having = [name for name, has in CAPABILITIES.items() if capability in has]
            raise not_in_edition(capability, edition, having)

    return check
