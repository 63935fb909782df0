"""Client of sutra-embedding-service."""

import json
import unicodedata
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from http import HTTPStatus
from logging import getLogger
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field, FiniteFloat
from sutra_service.dependency import PROBE_DEADLINE_S, Dependency
from sutra_service.errors import ServiceError

from sutra_hybrid.passages import MAX_PASSAGES
from sutra_hybrid.replies import failed, group, parse

logger = getLogger(__name__)

type Vector = list[float]

# The smallest limit of its editions, and the maximum length of its default model: used until it is asked for its own.
BATCH_TEXTS = 32
MAX_TOKENS = 256
SPECIAL_TOKENS = 2
# Of an /embed request: about 8,000 tokens, which take a second on two cores, of its deadline of nine.
EMBED_CHARACTERS = 32_000
# Of a /passages request: below its smallest body limit of a million bytes, even if all are escaped to six bytes. A
# longer text is sent alone.
CUT_CHARACTERS = 150_000


class Vectors(NamedTuple):
    """Vectors, and the name of the model that made them."""

    model: str
    vectors: list[Vector]


class Span(BaseModel):
    """A passage of a text: offsets in code points, the end excluded."""

    start: Annotated[int, Field(ge=0)]
    end: int


class _Limits(NamedTuple):
    texts: int
    tokens: int


class _Embeddings(BaseModel):
    model: str
    embeddings: list[Annotated[list[FiniteFloat], Field(min_length=1)]]


class _Passages(BaseModel):
    passages: list[Annotated[list[Span], Field(min_length=1, max_length=MAX_PASSAGES)]]


class Embedding:
    """Computes vectors and cuts long texts, in batches of the service's own limit.

    Raises ServiceError as Dependency does.
    """

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency
        self._limits: _Limits | None = None
        self._model = ""

    async def embed(self, texts: list[str]) -> Vectors:
        """Compute a vector per text, in order, in one request."""
        reply = parse(self._dependency, _Embeddings, await self._dependency.call("POST", "/embed", {"texts": texts}))
        vectors = reply.embeddings
        if len(vectors) != len(texts):
            raise failed(self._dependency, f"returned {len(vectors)} vectors for {len(texts)} texts")
        if len({len(vector) for vector in vectors}) > 1:
            raise failed(self._dependency, "returned vectors of different dimensions")
        if not all(map(any, vectors)):
            raise failed(self._dependency, "returned a vector that is all zero")
        if self._model not in ("", reply.model):
            # It was restarted, and its limits may be others too.
            self._limits = None
        self._model = reply.model
        return Vectors(reply.model, vectors)

    async def embed_all(self, texts: Sequence[str]) -> AsyncGenerator[Vectors]:
        """Compute a vector per text, in order, batch by batch; all of the same model."""
        first: Vectors | None = None
        async with aclosing(self._in_batches(texts, EMBED_CHARACTERS, self.embed)) as batches:
            async for found in batches:
                first = first or found
                if (found.model, len(found.vectors[0])) != (first.model, len(first.vectors[0])):
                    raise failed(self._dependency, "returned vectors of different models or dimensions")
                yield found

    async def cut(self, texts: Sequence[str]) -> list[list[Span]]:
        """The passages of texts; a single one if the model reads the whole text, without blanks around it."""
        limits = self._limits or await self._read_limits()
        whole = [[Span(start=0, end=len(text))] for text in texts]
        long = [index for index, text in enumerate(texts) if not _is_short(text, limits.tokens - SPECIAL_TOKENS)]
        found: list[list[Span]] = []
        async with aclosing(self._in_batches([texts[index] for index in long], CUT_CHARACTERS, self._cut)) as batches:
            async for passages in batches:
                found += passages
        for index, passages in zip(long, found, strict=True):
            whole[index] = passages
        return whole

    async def _cut(self, texts: list[str]) -> list[list[Span]]:
        reply = parse(self._dependency, _Passages, await self._dependency.call("POST", "/passages", {"texts": texts}))
        if len(reply.passages) != len(texts):
            raise failed(self._dependency, f"returned passages of {len(reply.passages)} texts for {len(texts)}")
        for text, passages in zip(texts, reply.passages, strict=True):
            before = -1
            for span in passages:
                if not before < span.start < span.end <= len(text) or text[span.start : span.end].isspace():
                    raise failed(self._dependency, "returned passages that are empty, or not in order")
                before = span.start
        return reply.passages

    async def _in_batches[Result](
        self, texts: Sequence[str], characters: int, send: Callable[[list[str]], Awaitable[Result]]
    ) -> AsyncGenerator[Result]:
        """Send texts in batches. If the service's limit is lower than it was, the rest is sent in smaller ones."""
        sent = 0
        while sent < len(texts):
            limits = self._limits or await self._read_limits()
            batch = next(group(texts[sent : sent + limits.texts], limits.texts, len, characters))
            try:
                result = await send(batch)
            except ServiceError as error:
                refused = error.upstream_status == HTTPStatus.UNPROCESSABLE_ENTITY
                if refused and (await self._read_limits()).texts < len(batch):
                    continue
                raise
            yield result
            sent += len(batch)

    async def _read_limits(self) -> _Limits:
        """Ask the service for its limits, which depend on its edition and model."""
        try:
            _, content = await self._dependency.exchange("GET", "/health", deadline_s=PROBE_DEADLINE_S)
            health = json.loads(content)
            limits = _Limits(_whole(health["limits"]["max_texts"], 1), _whole(health.get("max_tokens", MAX_TOKENS), 3))
        except (ServiceError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("cannot read the limits of %s: %s", self._dependency.name, error)
            # Not kept: the next request asks again.
            return _Limits(BATCH_TEXTS, MAX_TOKENS)
        self._limits = limits
        return limits


def _whole(value: Any, least: int) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"not a whole number of at least {least}: {value!r}")
    return value


def _is_short(text: str, tokens: int) -> bool:
    """Whether a text cannot have more than this many tokens, because each is at least one character when decomposed."""
    if len(text) > tokens:
        return False
    return text.isascii() or len(unicodedata.normalize("NFKD", text)) <= tokens
