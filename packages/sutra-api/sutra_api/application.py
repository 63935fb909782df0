"""The application: three routes that need an API key and forward to hybrid or storage."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import ValidationError
from sutra_service.application import create_app
from sutra_service.body import JsonRoute
from sutra_service.dependency import Dependency
from sutra_service.errors import ErrorReply, ServiceError
from sutra_service.rate import RateLimit
from sutra_service.settings import Environment, Settings

from sutra_api.gate import Gate
from sutra_api.keys import Keys
from sutra_api.limits import LIMITS, Limits
from sutra_api.requests import LearnRequest, QueryReply, QueryRequest, StatsReply

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
    hybrid = Dependency(
        "hybrid", environment.url("HYBRID_URL", "http://sutra-hybrid:8001"), "HYBRID_URL", deadline_s, clock
    )
    storage = Dependency(
        "storage", environment.url("STORAGE_URL", "http://storage-server:50051"), "STORAGE_URL", deadline_s, clock
    )
    app = create_app(
        settings,
        title="Sutra",
        max_body_bytes=limits.max_body_bytes,
        dependencies=(hybrid, storage),
        health_fields={"limits": limits.fields()},
        tells_via=True,
    )
    app.include_router(_routes(settings.edition, limits, hybrid, storage))
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


def _routes(edition: str, limits: Limits, hybrid: Dependency, storage: Dependency) -> APIRouter:
    router = APIRouter(
        prefix="/api", route_class=JsonRoute, dependencies=DOCUMENTED_KEYS, responses=DOCUMENTED_ERRORS, tags=["sutra"]
    )

    @router.post("/learn")
    async def learn(request: LearnRequest) -> dict[str, Any]:
        """Learn texts. Answers once they are stored durably."""
        if len(request.texts) > limits.max_texts:
            raise _over_limit("body.texts", f"{len(request.texts)} texts", f"{limits.max_texts}", edition)
        for index, text in enumerate(request.texts):
            _check_length(f"body.texts[{index}]", text, limits.max_text_characters, edition)
        return _expect_object(hybrid, await _forward(hybrid, "/learn", {"texts": request.texts}))

    @router.post("/query")
    async def query(request: QueryRequest) -> QueryReply:
        """Answer a question from the learned texts, with citations."""
        _check_length("body.question", request.question, limits.max_question_characters, edition)
        if request.limit > limits.max_citations:
            raise _over_limit("body.limit", f"{request.limit}", f"{limits.max_citations}", edition)
        answer = await _forward(hybrid, "/query", {"question": request.question, "limit": request.limit})
        try:
            return QueryReply.model_validate(answer)
        except ValidationError:
            raise _unexpected_answer(hybrid) from None

    @router.get("/stats")
    async def stats() -> StatsReply:
        """Return storage statistics and this edition's limits."""
        return StatsReply(
            edition=edition,
            limits=limits.fields(),
            storage=_expect_object(storage, await storage.call("GET", "/v1/stats")),
        )

    return router


async def _forward(hybrid: Dependency, path: str, body: Any) -> Any:
    """Call hybrid. Its client errors are passed on: the texts and the question come from the caller."""
    try:
        return await hybrid.call("POST", path, body, forward_client_errors=True)
    except ServiceError as error:
        # hybrid always has this route, so a 404 comes from another service.
        if error.status_code == HTTPStatus.NOT_FOUND:
            message = f"the service at HYBRID_URL is not hybrid: {error.detail}; correct HYBRID_URL"
            raise ServiceError(502, "hybrid_failed", message, upstream_status=404) from None
        raise


def _check_length(field: str, text: str, most: int, edition: str) -> None:
    if len(text) > most:
        raise _over_limit(field, f"{len(text)} characters", f"{most}", edition)


def _over_limit(field: str, given: str, most: str, edition: str) -> ServiceError:
    message = f"{field}: {given}, but edition {edition} allows at most {most}; send less per request"
    return ServiceError(422, "beyond_limit", message)


def _expect_object(dependency: Dependency, answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise _unexpected_answer(dependency)
    return answer


def _unexpected_answer(dependency: Dependency) -> ServiceError:
    message = f"unexpected answer from {dependency.name}; deploy both services at the same version"
    return ServiceError(502, f"{dependency.name}_failed", message)
