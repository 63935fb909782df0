"""The FastAPI application that every service builds on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from sutra_service import errors, process_metrics
from sutra_service.body import BodyLimit, JsonRoute
from sutra_service.dependency_metrics import DependencyMetrics
from sutra_service.hosts import HostCheck
from sutra_service.metrics import Gauge, Metrics
from sutra_service.readiness import OK, Readiness
from sutra_service.request_ids import RequestIds
from sutra_service.request_metrics import RequestMetrics
from sutra_service.settings import Settings

if TYPE_CHECKING:
    # Loads an HTTP client, which services without dependencies do not need.
    from sutra_service.dependency import Dependency

DOCUMENTED_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": errors.ErrorReply} for status in (400, 413, 415, 422, 500)
}


class _Application(FastAPI):
    """An application whose requests are numbered and counted outside of everything else, so that no error is missed."""

    def __init__(self, metrics: Metrics, *, tells_via: bool, **options: Any) -> None:
        super().__init__(**options)
        self.state.metrics = metrics
        self._tells_via = tells_via

    def build_middleware_stack(self) -> ASGIApp:
        """Starlette's own, and what is outside of it."""
        inner = super().build_middleware_stack()
        return RequestIds(RequestMetrics(inner, self.state.metrics, self.routes, tells_via=self._tells_via))


async def _nothing() -> None:
    """The default `start` and `stop`."""


def create_app(
    settings: Settings,
    *,
    title: str,
    max_body_bytes: int,
    streamed: Collection[tuple[str, str]] = (),
    start: Callable[[], Awaitable[None]] = _nothing,
    stop: Callable[[], Awaitable[None]] = _nothing,
    dependencies: "Sequence[Dependency]" = (),
    health_fields: Mapping[str, Any] | None = None,
    tells_via: bool = False,
) -> FastAPI:
    """Create an application with `/health`, uniform errors, a body size limit, request ids and metrics.

    Requests in `streamed`, pairs of method and path, pass on their bodies and have no such limit.

    `start` runs in the background while the port opens; until it returns, `/health` answers 503.
    It should run blocking work with `asyncio.to_thread`. If it raises StartError, the service keeps
    running but is not ready, and `/health` shows the message as `reason`; any other error ends the
    process. `stop` runs after the last request, before the dependencies are closed.
    `app.state.readiness` holds the state. `health_fields` are added to the `/health` response.
    `app.state.metrics` holds the metrics; a service adds its own. `tells_via` is for the service that the client page
    calls, see RequestMetrics.
    """
    readiness = Readiness()
    metrics = _metrics(settings)
    if dependencies:
        calls = DependencyMetrics(metrics)
        for dependency in dependencies:
            dependency.measure(calls)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(readiness.follow(start))
        # Lets a `start` that never waits finish before the first request.
        await asyncio.sleep(0)
        yield
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await stop()
        for dependency in dependencies:
            await dependency.close()

    # Only the OpenAPI document is served: the interactive pages would load scripts from a CDN.
    app = _Application(
        metrics,
        tells_via=tells_via,
        title=title,
        version=settings.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=DOCUMENTED_ERRORS,
    )
    app.router.route_class = JsonRoute
    app.state.readiness = readiness
    app.add_middleware(BodyLimit, limit=max_body_bytes, streamed=streamed)
    app.add_middleware(HostCheck, allowed=settings.allowed_hosts)
    errors.install(app)

    @app.get("/health", tags=["operation"])
    async def health() -> JSONResponse:
        """Report whether this service is ready: 200 or 503. Dependencies are listed but do not change the status."""
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


def _metrics(settings: Settings) -> Metrics:
    metrics = Metrics()
    build = metrics.add(
        Gauge("sutra_build_info", "Service, version and edition; always 1.", ("service", "version", "edition"))
    )
    build.add(settings.service, settings.version, settings.edition)
    process_metrics.add(metrics)
    return metrics
