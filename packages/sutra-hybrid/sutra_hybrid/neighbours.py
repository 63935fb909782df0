"""The three services that this one calls: what is asked of them, and what their answers have to look like."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, Field, FiniteFloat, ValidationError
from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_hybrid.requests import Citation

type Vector = list[float]

# Texts of one call to embedding or storage. 32 is the smallest batch limit of embedding's editions: whichever runs
# there takes it. Even with every character escaped (six bytes) 150,000 of them stay below a million bytes, embedding's
# smallest limit for a body, and with 32 vectors of 4096 numbers far below storage's eight.
BATCH_TEXTS = 32
BATCH_CHARACTERS = 150_000
# As many as Dependency keeps connections open.
CALLS_AT_ONCE = 8


class Hit(BaseModel):
    """A concept that a search found; `score` is BM25 or cosine."""

    id: str
    text: str
    score: FiniteFloat


class _Embeddings(BaseModel):
    embeddings: list[Annotated[list[FiniteFloat], Field(min_length=1)]]


class _Results(BaseModel):
    results: list[Hit]


class _Kept(BaseModel):
    ids: list[str]


class _Concept(BaseModel):
    vector: list[FiniteFloat] | None = None


class Answer(BaseModel):
    """What nlg says, and what it cites."""

    answer: str
    citations: list[Citation]
    mode: str


class Embedding:
    """sutra-embedding-service: vectors of texts."""

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """A vector for each text, in their order. Raises ServiceError as Dependency does."""
        vectors: list[Vector] = []
        for batch in _batches(texts, len):
            reply = await self._dependency.call("POST", "/embed", {"texts": batch})
            made = _understood(self._dependency, _Embeddings, reply).embeddings
            if len(made) != len(batch):
                raise _failed(self._dependency, f"answered {len(made)} vectors for {len(batch)} texts")
            vectors += made
        if len({len(vector) for vector in vectors}) > 1:
            raise _failed(self._dependency, "answered vectors of different dimensions")
        if not all(map(any, vectors)):
            raise _failed(self._dependency, "answered a vector that is all zero")
        return vectors


class Storage:
    """sutra-storage-server: concepts, kept and found."""

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency

    async def keep(self, concepts: Iterable[tuple[str, str, Vector]]) -> None:
        """Keep concepts (id, text, vector); returns when all are durable. Raises ServiceError as Dependency does.

        What was kept before a failure stays. The ids follow from the texts, so the same call may be made again.
        """
        for batch in _batches(concepts, lambda concept: len(concept[1])):
            body = {"concepts": [{"id": name, "text": text, "vector": vector} for name, text, vector in batch]}
            reply = await self._dependency.call("POST", "/v1/concepts", body)
            if _understood(self._dependency, _Kept, reply).ids != [name for name, _, _ in batch]:
                raise _failed(self._dependency, "did not confirm the concepts that it was given")

    async def search_text(self, text: str, limit: int) -> list[Hit]:
        """The concepts that share most words with `text`, by BM25."""
        return await self._search({"text": text, "limit": limit})

    async def search_vector(self, vector: Vector, limit: int) -> list[Hit]:
        """The concepts nearest to `vector`, by cosine."""
        return await self._search({"vector": vector, "limit": limit})

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The vectors of concepts, one call each; those that are gone or have none are left out."""
        free = asyncio.Semaphore(CALLS_AT_ONCE)

        async def fetch(name: str) -> Vector | None:
            async with free:
                try:
                    reply = await self._dependency.call("GET", f"/v1/concepts/{quote(name, safe='')}")
                except ServiceError as error:
                    # Deleted since the search: that is nobody's fault.
                    if error.upstream_status == HTTPStatus.NOT_FOUND:
                        return None
                    raise
            return _understood(self._dependency, _Concept, reply).vector

        found = await asyncio.gather(*map(fetch, ids))
        return {name: vector for name, vector in zip(ids, found, strict=True) if vector}

    async def _search(self, body: dict[str, Any]) -> list[Hit]:
        reply = await self._dependency.call("POST", "/v1/search", body)
        # A store may hold a blank text from before those were refused: it answers nothing, and nlg takes none.
        return [hit for hit in _understood(self._dependency, _Results, reply).results if hit.text.strip()]


class Nlg:
    """sutra-nlg-service: answers from facts, of which it reads `fact_characters`."""

    def __init__(self, dependency: Dependency, fact_characters: int) -> None:
        self._dependency = dependency
        self._fact_characters = fact_characters

    async def answer(self, question: str, facts: Sequence[Hit]) -> Answer:
        """An answer that cites nothing but `facts`. Raises ServiceError as Dependency does.

        nlg gets the beginning of a fact that is longer than what this edition learns: a store keeps what a
        larger edition learned. A citation has the whole text.
        """
        given = [{**fact.model_dump(), "text": fact.text.strip()[: self._fact_characters]} for fact in facts]
        reply = await self._dependency.call("POST", "/generate", {"question": question, "facts": given})
        answer = _understood(self._dependency, Answer, reply)
        whole = {fact.id: fact.text for fact in facts}
        for citation in answer.citations:
            if citation.id not in whole:
                raise _failed(self._dependency, f"cites {citation.id!r}, which it was not given")
            citation.text = whole[citation.id]
        return answer


def _batches[Item](items: Iterable[Item], characters_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    characters = 0
    for item in items:
        more = characters_of(item)
        if batch and (len(batch) == BATCH_TEXTS or characters + more > BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(item)
        characters += more
    if batch:
        yield batch


def _understood[Model: BaseModel](dependency: Dependency, model: type[Model], reply: Any) -> Model:
    try:
        return model.model_validate(reply)
    except ValidationError:
        raise _failed(dependency, "answered in a form that this version does not know") from None


def _failed(dependency: Dependency, what: str) -> ServiceError:
    message = f"{dependency.name} {what}; deploy all services at one version, or look at its log"
    return ServiceError(502, f"{dependency.name}_failed", message)
