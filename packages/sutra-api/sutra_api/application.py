"""The application: routes that need an API key and forward to hybrid, storage or the bulk ingester."""

import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from sutra_service.application import create_app
from sutra_service.body import JsonRoute
from sutra_service.dependency import Dependency
from sutra_service.errors import ErrorReply
from sutra_service.rate import RateLimit
from sutra_service.settings import Environment, Settings

from sutra_api import asking, concepts, jobs
from sutra_api.checks import Checks
from sutra_api.forwarding import Forwarder, check_query
from sutra_api.gate import Gate
from sutra_api.keys import Keys
from sutra_api.limits import LIMITS

SERVICE = "api"
PORT = 8000

# For the OpenAPI document only: the gate checks the key.
DOCUMENTED_KEYS = [
    Security(HTTPBearer(auto_error=False)),
    Security(APIKeyHeader(name="X-API-Key", auto_error=False)),
]
DOCUMENTED_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply} for status in (401, 429, 502, 503, 504)
}


def read_settings(environment: Environment) -> Settings:
    """Read the settings of this service."""
    return Settings.read(environment, SERVICE, PORT)


def create(settings: Settings, environment: Environment, clock: Callable[[], float] = time.monotonic) -> FastAPI:
    """Create the application. Raises SettingError for an invalid environment variable.

    `clock` returns monotonic seconds; the rate limits use it.
    """
    limits = LIMITS[settings.edition]
    deadline_s = environment.integer("SUTRA_API_DEADLINE_SECONDS", 30, 1, 600)
    learn_s = environment.integer("SUTRA_API_LEARN_SECONDS", 120, 1, 3600)

    def dependency(name: str, variable: str, address: str) -> Dependency:
        return Dependency(name, environment.url(variable, address), variable, deadline_s, clock)

    hybrid = dependency("hybrid", "HYBRID_URL", "http://sutra-hybrid:8001")
    storage = dependency("storage", "STORAGE_URL", "http://storage-server:50051")
    ingester = dependency("ingester", "INGESTER_URL", "http://bulk-ingester:8005")
    app = create_app(
        settings,
        title="Sutra",
        max_body_bytes=limits.max_body_bytes,
        streamed=jobs.STREAMED,
        dependencies=(hybrid, storage, ingester),
        health_fields={"limits": limits.fields()},
        tells_via=True,
    )
    router = APIRouter(
        prefix="/api",
        route_class=JsonRoute,
        dependencies=[*DOCUMENTED_KEYS, Depends(check_query)],
        responses=DOCUMENTED_ERRORS,
        tags=["sutra"],
    )
    checks = Checks(settings.edition, limits)
    concepts.add_routes(router, checks, Forwarder(hybrid, "HYBRID_URL"), learn_s)
    asking.add_routes(router, checks, hybrid, storage)
    jobs.add_routes(router, ingester, jobs.Uploads(limits.max_uploads))
    app.include_router(router)
    app.add_middleware(
        Gate,
        keys=Keys.read(environment),
        calls=RateLimit(
            environment.integer("SUTRA_API_RATE_PER_MINUTE", 120, 1, 1_000_000),
            environment.integer("SUTRA_API_RATE_BURST", 30, 1, 1_000_000),
            clock,
        ),
        failures=RateLimit(
            environment.integer("SUTRA_API_FAILURES_PER_MINUTE", 10, 1, 1_000_000),
            environment.integer("SUTRA_API_FAILURES_BURST", 10, 1, 1_000_000),
            clock,
        ),
        refused=app.state.metrics.counter(
            "sutra_api_refused_total", "Requests without a valid key, and beyond a rate limit.", ("reason",)
        ),
    )
    return app
