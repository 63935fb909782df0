"""Routes that answer questions, and describe what this edition can do."""

from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from sutra_service.dependency import Dependency

from sutra_api.checks import Checks
from sutra_api.forwarding import Forwarder, expect_object, unexpected_answer
from sutra_api.requests import QueryReply, QueryRequest, StatsReply, TopicsRequest


def add_routes(router: APIRouter, checks: Checks, hybrid: Dependency, storage: Dependency) -> None:
    """Add the routes."""
    to_hybrid = Forwarder(hybrid, "HYBRID_URL")

    @router.post("/query")
    async def query(request: QueryRequest) -> QueryReply:
        """Answer a question from the learned texts, with citations."""
        checks.question(request.question)
        checks.citations(request.limit)
        answer = await to_hybrid.send("POST", "/query", {"question": request.question, "limit": request.limit})
        try:
            return QueryReply.model_validate(answer)
        except ValidationError:
            raise unexpected_answer(hybrid) from None

    @router.post("/topics")
    async def topics(request: TopicsRequest) -> dict[str, Any]:
        """List the topics of the learned texts that match a question. 403 in an edition without topics."""
        checks.question(request.question)
        return await to_hybrid.send("POST", "/topics", request.model_dump(exclude_none=True), also_forward=(403,))

    @router.get("/capabilities")
    async def capabilities() -> dict[str, Any]:
        """List the capabilities of this edition."""
        return await to_hybrid.send("GET", "/capabilities")

    @router.get("/stats")
    async def stats() -> StatsReply:
        """Return storage statistics and this edition's limits."""
        return StatsReply(
            edition=checks.edition,
            limits=checks.limits.fields(),
            storage=expect_object(storage, await storage.call("GET", "/v1/stats")),
        )
