"""The queue in front of the model, which computes one batch at a time with all threads."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import islice

from sutra_service.errors import ServiceError

from sutra_embedding.batches import portions
from sutra_embedding.encoder import Batch, Encoder, Tokenized, Vectors, split
from sutra_embedding.passages import Passage, cut_all

RETRY = {"Retry-After": "1"}
# A text of this many characters takes a few milliseconds; switching threads would add a sixth.
SHORT = 256
# Passages that are cut at a time: about 30 ms, and a quarter of a second at most.
PASSAGES = 16


class WorkQueue:
    """Interleaves the portions and batches of requests, so that a short request need not wait for a whole long one.

    Holds at most `places` requests; one that takes more than `deadline_s` seconds is dropped. If the queue is empty, a
    single text of at most `short` characters is computed immediately, on the event loop.
    """

    def __init__(self, places: int, deadline_s: float, short: int = SHORT) -> None:
        self._places = places
        self._deadline_s = deadline_s
        self._short = short
        self._taken = 0
        # A thread, so that the event loop stays free for /health.
        self._worker = ThreadPoolExecutor(1, "model")

    def waiting(self) -> int:
        """The number of requests that are being computed or wait for it."""
        return self._taken

    async def embed(self, encoder: Encoder, texts: list[str]) -> Vectors:
        """Compute the vectors of texts. Raises ServiceError 503 overloaded."""
        if not self._taken and len(texts) == 1 and len(texts[0]) <= self._short:
            return _begin(encoder, [], texts)[1]
        async with self._place("embedded"):
            return await self._compute(encoder, texts)

    async def cut(self, encoder: Encoder, texts: list[str]) -> list[list[Passage]]:
        """Cut texts into passages. Raises ServiceError 503 overloaded."""
        loop = asyncio.get_running_loop()
        found: list[list[Passage]] = [[] for _ in texts]
        passages = cut_all(texts, encoder.measure)
        async with self._place("cut"):
            while some := await loop.run_in_executor(self._worker, _take, passages):
                for index, passage in some:
                    found[index].append(passage)
        return found

    @asynccontextmanager
    async def _place(self, what: str) -> AsyncIterator[None]:
        """Take a place in the queue until the deadline. Raises ServiceError 503 overloaded."""
        if self._taken >= self._places:
            raise self._overloaded(f"{self._taken} requests are waiting")
        self._taken += 1
        try:
            async with asyncio.timeout(self._deadline_s):
                yield
        except TimeoutError:
            raise self._overloaded(f"the texts were not {what} within {self._deadline_s:g} s") from None
        finally:
            self._taken -= 1

    async def _compute(self, encoder: Encoder, texts: list[str]) -> Vectors:
        loop = asyncio.get_running_loop()
        *early, last = portions(texts)
        tokenized: list[Tokenized] = []
        for portion in early:
            tokenized += await loop.run_in_executor(self._worker, encoder.tokenize, portion)
        batches, first = await loop.run_in_executor(self._worker, _begin, encoder, tokenized, last)
        vectors: Vectors = [[] for _ in texts]
        _fill(vectors, batches[0], first)
        for batch in batches[1:]:
            _fill(vectors, batch, await loop.run_in_executor(self._worker, encoder.run, batch))
        return vectors

    def _overloaded(self, why: str) -> ServiceError:
        return ServiceError(503, "overloaded", f"overloaded: {why}; send less per request or try again later", RETRY)


def _begin(encoder: Encoder, tokenized: list[Tokenized], last: list[str]) -> tuple[list[Batch], Vectors]:
    # In one step, because most requests have one portion and one batch.
    batches = split(tokenized + encoder.tokenize(last))
    return batches, encoder.run(batches[0])


def _fill(vectors: Vectors, batch: Batch, computed: Vectors) -> None:
    for index, vector in zip(batch.indexes, computed, strict=True):
        vectors[index] = vector


def _take(passages: Iterator[tuple[int, Passage]]) -> list[tuple[int, Passage]]:
    return list(islice(passages, PASSAGES))
