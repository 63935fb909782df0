"""Routes that teach, list and delete texts."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from sutra_api.checks import Checks
from sutra_api.forwarding import Forwarder, under, with_query
from sutra_api.requests import ConceptsQuery, LearnRequest, PageQuery, SourceQuery


def add_routes(router: APIRouter, checks: Checks, hybrid: Forwarder, learn_s: float) -> None:
    """Add the routes. Learning and deleting may take `learn_s` seconds."""

    @router.post("/learn")
    async def learn(request: LearnRequest) -> dict[str, Any]:
        """Learn texts. Answers once they are stored durably. Safe to repeat."""
        checks.texts([text.text for text in request.texts])
        body = {"texts": [text.forwarded() for text in request.texts]}
        return await hybrid.send("POST", "/learn", body, also_forward=(507,), deadline_s=learn_s)

    @router.get("/concepts")
    async def list_concepts(query: Annotated[ConceptsQuery, Query()]) -> dict[str, Any]:
        """List the learned texts, optionally those of one source. `next` is the cursor of the next page."""
        return await hybrid.send("GET", with_query("/concepts", query))

    @router.delete("/concepts")
    async def delete_source(query: Annotated[SourceQuery, Query()]) -> dict[str, Any]:
        """Delete all texts of a source."""
        return await hybrid.send("DELETE", with_query("/concepts", query), deadline_s=learn_s)

    # Paths, because other clients of storage may use ids with a slash.
    @router.get("/concepts/{id:path}")
    async def get_concept(id: str) -> dict[str, Any]:  # noqa: A002 - the name in the path
        """Return a learned text, all of it."""
        return await hybrid.send("GET", under("/concepts", id), may_be_missing=True)

    @router.delete("/concepts/{id:path}")
    async def delete_concept(id: str) -> dict[str, Any]:  # noqa: A002
        """Delete a learned text."""
        return await hybrid.send("DELETE", under("/concepts", id), may_be_missing=True)

    @router.get("/sources")
    async def list_sources(query: Annotated[PageQuery, Query()]) -> dict[str, Any]:
        """List the sources of the learned texts. `next` is the cursor of the next page."""
        return await hybrid.send("GET", with_query("/sources", query))
