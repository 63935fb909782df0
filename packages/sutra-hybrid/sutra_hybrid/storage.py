"""Client of sutra-storage-server."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from pydantic import BaseModel, Field, FiniteFloat
from pydantic_core import to_json
from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_hybrid.embedding import Vector
from sutra_hybrid.passages import place_of
from sutra_hybrid.replies import failed, group, parse

# The batch size of calls to storage: its smallest limits are 1000 concepts and eight MiB.
BATCH_CONCEPTS = 1000
BATCH_BYTES = 7_000_000
# Its maximum number of search results.
MAX_RESULTS = 100
# The most concepts that storage lists at once.
MAX_PAGE = 1000
# For all concepts of a source. Less than the 120 s that sutra-api and sutra-control wait.
DELETE_SECONDS = 110
# The number of connections that Dependency keeps open.
CALLS_AT_ONCE = 8


class Stored(BaseModel):
    """A concept. Any client may have stored it, with any metadata."""

    id: str
    text: str
    metadata: Any = None
    vector: list[FiniteFloat] | None = None


class Hit(BaseModel):
    """A search result; `score` is BM25 or cosine."""

    id: str
    text: str
    score: FiniteFloat
    metadata: Any = None


class Page(BaseModel):
    """Concepts, in the order of their ids, and the cursor of the next page."""

    concepts: list[Stored]
    next: str | None = None


class SourceCount(BaseModel):
    """A source, and the number of concepts that storage has of it."""

    source: str
    concepts: int


class Sources(BaseModel):
    """Sources in order, and the cursor of the next page."""

    sources: list[SourceCount]
    next: str | None = None


class Encoded(NamedTuple):
    """A concept as JSON."""

    id: str
    json: bytes


class _Results(BaseModel):
    results: list[Hit]


class _Kept(BaseModel):
    ids: list[str]
    updated: Annotated[int, Field(ge=0)] = 0


class _Deleted(BaseModel):
    deleted: Annotated[int, Field(ge=0)]


def encode(concept_id: str, text: str, metadata: Mapping[str, Any] | None, vector: Vector) -> Encoded:
    """A concept to store."""
    concept = {"id": concept_id, "text": text, "vector": vector}
    return Encoded(concept_id, to_json(concept if metadata is None else {**concept, "metadata": metadata}))


class Storage:
    """Keeps and finds concepts. Raises ServiceError as Dependency does."""

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency

    async def keep(self, model: str, concepts: Iterable[Encoded]) -> int:
        """Store concepts with vectors of `model`; returns how many replace one, once all are durable.

        502 if the store has vectors of another model, 507 if it is full. Concepts stored before a failure remain. The
        call can be repeated safely.
        """
        updated = 0
        for batch in group(concepts, BATCH_CONCEPTS, lambda concept: len(concept.json) + 1, BATCH_BYTES):
            joined = b",".join(concept.json for concept in batch)
            body = b'{"model":%b,"concepts":[%b]}' % (to_json(model), joined)
            answer = await self._dependency.call("POST", "/v1/concepts", body, also_forward=(507,))
            reply = parse(self._dependency, _Kept, answer)
            if reply.ids != [concept.id for concept in batch]:
                raise failed(self._dependency, "did not confirm all concepts")
            updated += reply.updated
        return updated

    async def search_text(self, text: str, limit: int) -> list[Hit]:
        """Full text search, ranked by BM25."""
        return await self._search({"text": text, "limit": limit})

    async def search_vector(self, vector: Vector, limit: int, model: str | None = None) -> list[Hit]:
        """Vector search, ranked by cosine. `model` is not needed if the vector is from the store."""
        body = {"vector": vector, "limit": limit}
        return await self._search(body if model is None else {**body, "model": model})

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Fetch the vectors of concepts; omits deleted concepts and those without a vector."""
        found = await self.concepts(ids)
        return {name: concept.vector for name, concept in found.items() if concept.vector}

    async def concepts(self, ids: Sequence[str]) -> dict[str, Stored]:
        """Fetch concepts, one call each; omits those that are not there."""
        free = asyncio.Semaphore(CALLS_AT_ONCE)

        async def fetch(name: str) -> Stored | None:
            async with free:
                return await self.concept(name)

        found = await asyncio.gather(*map(fetch, ids))
        return {name: concept for name, concept in zip(ids, found, strict=True) if concept}

    async def concept(self, name: str) -> Stored | None:
        """Fetch a concept; None if there is none with this id, or if no concept can have it."""
        path = f"/v1/concepts/{quote(name, safe='')}"
        try:
            reply = await self._dependency.call("GET", path, forward_client_errors=True)
        except ServiceError as error:
            if error.upstream_status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                return None
            raise
        return parse(self._dependency, Stored, reply)

    async def passages(self, text_id: str) -> dict[int, Stored]:
        """The passages of a text but the first, by number."""
        found: dict[int, Stored] = {}
        cursor = None
        while True:
            reply = await self._list("/v1/concepts", limit=MAX_PAGE, cursor=cursor, prefix=f"{text_id}-")
            page = parse(self._dependency, Page, reply)
            for concept in page.concepts:
                place = place_of(concept.id, concept.metadata)
                if place.text_id == text_id:
                    found[place.number] = concept
            cursor = page.next
            if cursor is None:
                return found

    async def page(self, limit: int, cursor: str | None, source: str | None) -> Page:
        """A page of concepts, without vectors. Errors of the cursor or the source are the caller's."""
        return parse(
            self._dependency, Page, await self._list("/v1/concepts", limit=limit, cursor=cursor, source=source)
        )

    async def sources(self, limit: int, cursor: str | None) -> Sources:
        """A page of sources. Errors of the cursor are the caller's."""
        return parse(self._dependency, Sources, await self._list("/v1/sources", limit=limit, cursor=cursor))

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete concepts, in order; returns how many there were."""
        deleted = 0
        for batch in group(ids, BATCH_CONCEPTS, len, BATCH_BYTES):
            reply = await self._dependency.call("POST", "/v1/delete", {"ids": batch})
            deleted += parse(self._dependency, _Deleted, reply).deleted
        return deleted

    async def delete_source(self, source: str) -> int:
        """Delete the concepts of a source; returns how many there were."""
        path = f"/v1/concepts?{urlencode({'source': source})}"
        reply = await self._dependency.call("DELETE", path, forward_client_errors=True, deadline_s=DELETE_SECONDS)
        return parse(self._dependency, _Deleted, reply).deleted

    async def _list(self, path: str, **query: str | int | None) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        return await self._dependency.call("GET", f"{path}?{urlencode(given)}", forward_client_errors=True)

    async def _search(self, body: dict[str, Any]) -> list[Hit]:
        reply = await self._dependency.call("POST", "/v1/search", body)
        # Older versions could store blank texts, which nlg rejects.
        return [hit for hit in parse(self._dependency, _Results, reply).results if hit.text.strip()]
