"""Clients of the three services that this one calls; they validate the answers."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, Field, FiniteFloat, ValidationError
from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_hybrid.requests import Citation

type Vector = list[float]

# The batch size of calls to embedding. 32 texts is the smallest limit of its editions. 150,000 characters, even if all
# are escaped to six bytes, stay below a million bytes, its smallest body limit.
BATCH_TEXTS = 32
BATCH_CHARACTERS = 150_000
# The batch size of calls to storage: its smallest limits are 1000 concepts and eight million bytes.
BATCH_CONCEPTS = 1000
BATCH_BYTES = 7_000_000
# The most bytes that a character and a number of a vector take in JSON.
CHARACTER_BYTES = 6
NUMBER_BYTES = 26
# The number of connections that Dependency keeps open.
CALLS_AT_ONCE = 8


class Hit(BaseModel):
    """A search result; `score` is BM25 or cosine."""

    id: str
    text: str
    score: FiniteFloat


class Vectors(NamedTuple):
    """Vectors, and the name of the model that made them."""

    model: str
    vectors: list[Vector]


class _Embeddings(BaseModel):
    model: str
    embeddings: list[Annotated[list[FiniteFloat], Field(min_length=1)]]


class _Results(BaseModel):
    results: list[Hit]


class _Kept(BaseModel):
    ids: list[str]


class _Concept(BaseModel):
    vector: list[FiniteFloat] | None = None


class Answer(BaseModel):
    """The answer of nlg, with its citations."""

    answer: str
    citations: list[Citation]
    mode: str


class Embedding:
    """Client of sutra-embedding-service."""

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Compute a vector per text, in order; at least one text. Raises ServiceError as Dependency does."""
        vectors: list[Vector] = []
        models: set[str] = set()
        for batch in _batches(texts, BATCH_TEXTS, len, BATCH_CHARACTERS):
            reply = _parse(
                self._dependency, _Embeddings, await self._dependency.call("POST", "/embed", {"texts": batch})
            )
            if len(reply.embeddings) != len(batch):
                raise _failed(self._dependency, f"returned {len(reply.embeddings)} vectors for {len(batch)} texts")
            vectors += reply.embeddings
            models.add(reply.model)
        if len(models) > 1 or len({len(vector) for vector in vectors}) > 1:
            raise _failed(self._dependency, "returned vectors of different models or dimensions")
        if not all(map(any, vectors)):
            raise _failed(self._dependency, "returned a vector that is all zero")
        return Vectors(models.pop(), vectors)


class Storage:
    """Client of sutra-storage-server."""

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency

    async def keep(self, model: str, concepts: Iterable[tuple[str, str, Vector]]) -> None:
        """Store concepts (id, text, vector of this model); returns once all are durable.

        Raises ServiceError as Dependency does; 502 if the store has vectors of another model. Concepts stored before a
        failure remain. The call can be repeated safely.
        """

        def size(concept: tuple[str, str, Vector]) -> int:
            name, text, vector = concept
            return CHARACTER_BYTES * (len(name) + len(text)) + NUMBER_BYTES * len(vector)

        for batch in _batches(concepts, BATCH_CONCEPTS, size, BATCH_BYTES):
            kept = [{"id": name, "text": text, "vector": vector} for name, text, vector in batch]
            body = {"model": model, "concepts": kept}
            reply = await self._dependency.call("POST", "/v1/concepts", body)
            if _parse(self._dependency, _Kept, reply).ids != [name for name, _, _ in batch]:
                raise _failed(self._dependency, "did not confirm all concepts")

    async def search_text(self, text: str, limit: int) -> list[Hit]:
        """Full text search, ranked by BM25."""
        return await self._search({"text": text, "limit": limit})

    async def search_vector(self, vector: Vector, limit: int, model: str | None = None) -> list[Hit]:
        """Vector search, ranked by cosine. `model` is not needed if the vector is from the store."""
        body = {"vector": vector, "limit": limit}
        return await self._search(body if model is None else {**body, "model": model})

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Fetch the vectors of concepts, one call each; omits deleted concepts and those without a vector."""
        free = asyncio.Semaphore(CALLS_AT_ONCE)

        async def fetch(name: str) -> Vector | None:
            async with free:
                try:
                    reply = await self._dependency.call("GET", f"/v1/concepts/{quote(name, safe='')}")
                except ServiceError as error:
                    # Deleted since the search: not an error.
                    if error.upstream_status == HTTPStatus.NOT_FOUND:
                        return None
                    raise
            return _parse(self._dependency, _Concept, reply).vector

        found = await asyncio.gather(*map(fetch, ids))
        return {name: vector for name, vector in zip(ids, found, strict=True) if vector}

    async def _search(self, body: dict[str, Any]) -> list[Hit]:
        reply = await self._dependency.call("POST", "/v1/search", body)
        # Older versions could store blank texts, which nlg rejects.
        return [hit for hit in _parse(self._dependency, _Results, reply).results if hit.text.strip()]


class Nlg:
    """Client of sutra-nlg-service, which accepts facts of up to `fact_characters` characters."""

    def __init__(self, dependency: Dependency, fact_characters: int) -> None:
        self._dependency = dependency
        self._fact_characters = fact_characters

    async def answer(self, question: str, facts: Sequence[Hit]) -> Answer:
        """Answer a question, citing only `facts`. Raises ServiceError as Dependency does.

        Facts are truncated to nlg's limit, because the store may contain longer texts that a larger edition
        learned. Citations have the whole text.
        """
        given = [{**fact.model_dump(), "text": fact.text.strip()[: self._fact_characters]} for fact in facts]
        reply = await self._dependency.call("POST", "/generate", {"question": question, "facts": given})
        answer = _parse(self._dependency, Answer, reply)
        whole = {fact.id: fact.text for fact in facts}
        for citation in answer.citations:
            if citation.id not in whole:
                raise _failed(self._dependency, f"cited an unknown fact: {citation.id!r}")
            citation.text = whole[citation.id]
        return answer


def _batches[Item](
    items: Iterable[Item], most: int, size_of: Callable[[Item], int], most_size: int
) -> Iterator[list[Item]]:
    """Groups of at most `most` items, and of at most `most_size` unless a single item is larger."""
    batch: list[Item] = []
    size = 0
    for item in items:
        more = size_of(item)
        if batch and (len(batch) == most or size + more > most_size):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch


def _parse[Model: BaseModel](dependency: Dependency, model: type[Model], reply: Any) -> Model:
    try:
        return model.model_validate(reply)
    except ValidationError:
        raise _failed(dependency, "returned an unexpected answer") from None


def _failed(dependency: Dependency, what: str) -> ServiceError:
    message = f"{dependency.name} {what}; deploy all services at the same version, or check its log"
    return ServiceError(502, f"{dependency.name}_failed", message)
