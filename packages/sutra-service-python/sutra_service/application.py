"""The FastAPI application that every service starts from."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import JSONResponse

from sutra_service import errors
from sutra_service.body import BodyLimit, JsonRoute
from sutra_service.readiness import OK, Readiness
from sutra_service.settings import Settings

if TYPE_CHECKING:
    # With its client for HTTP, which those need alone that call somebody.
    from sutra_service.dependency import Dependency

DOCUMENTED_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": errors.ErrorReply} for status in (400, 413, 415, 422, 500)
}


async def _nothing() -> None:
    """Start of a service that is ready as soon as it listens, and stop of one that leaves nothing behind."""


def create_app(
    settings: Settings,
    *,
    title: str,
    max_body_bytes: int,
    start: Callable[[], Awaitable[None]] = _nothing,
    stop: Callable[[], Awaitable[None]] = _nothing,
    dependencies: "Sequence[Dependency]" = (),
    health_fields: Mapping[str, Any] | None = None,
) -> FastAPI:
    """An application with `/health`, the one error shape and a limit on bodies.

    `start` runs in the background once the port is open; until it returns, `/health` answers
    503. Blocking work in it belongs into `asyncio.to_thread`. A StartError from it leaves the
    service up, not ready, with its message as `reason` in `/health`; any other error ends the
    process. `stop` runs once no request is left, before the dependencies are closed.
    `app.state.readiness` holds the state. `health_fields` are shown in `/health` beside the
    dependencies.
    """
    readiness = Readiness()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(readiness.follow(start))
        # A start that waits for nothing is over before the first request can come.
        await asyncio.sleep(0)
        yield
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await stop()
        for dependency in dependencies:
            await dependency.close()

    # The interactive pages load their scripts from elsewhere, so only the document itself is served.
    app = FastAPI(
        title=title,
        version=settings.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=DOCUMENTED_ERRORS,
    )
    app.router.route_class = JsonRoute
    app.state.readiness = readiness
    app.add_middleware(BodyLimit, limit=max_body_bytes)
    errors.install(app)

    @app.get("/health", tags=["operation"])
    async def health() -> JSONResponse:
        """The service's own readiness: 200 once it can work, else 503. Dependencies never change it."""
        content = {
            "status": readiness.status,
            "service": settings.service,
            "version": settings.version,
            "edition": settings.edition,
            "dependencies": {dependency.name: dependency.refresh() for dependency in dependencies},
            **(health_fields or {}),
        }
        if readiness.reason:
            content["reason"] = readiness.reason
        return JSONResponse(content, 200 if readiness.status == OK else 503)

    return app
