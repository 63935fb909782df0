"""The waiting line before the model: one batch is computed at a time, with all threads."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sutra_service.errors import ServiceError

from sutra_embedding.batches import portions
from sutra_embedding.encoder import Batch, Encoder, Tokenized, Vectors, split

RETRY = {"Retry-After": "1"}
# A text of so many characters takes a few milliseconds, and the way to another thread and back a sixth of that.
SHORT = 256


class Line:
    """Requests take turns by portions to tokenize and by batches: a short one does not wait for all of a long one.

    At most `places` requests are in the line; one that is not done within `deadline_s` seconds leaves it. While nobody
    else is there, one text of at most `short` characters is computed at once, on the event loop itself.
    """

    def __init__(self, places: int, deadline_s: float, short: int = SHORT) -> None:
        self._places = places
        self._deadline_s = deadline_s
        self._short = short
        self._taken = 0
        # Its queue is the line. The event loop stays free for /health.
        self._worker = ThreadPoolExecutor(1, "model")

    async def embed(self, encoder: Encoder, texts: list[str]) -> Vectors:
        """The vectors of texts, float32, one row for each. Raises ServiceError 503 overloaded."""
        if self._taken >= self._places:
            raise self._overloaded(f"{self._taken} requests are waiting")
        if not self._taken and len(texts) == 1 and len(texts[0]) <= self._short:
            return _begin(encoder, [], texts)[1]
        self._taken += 1
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._compute(encoder, texts)
        except TimeoutError:
            raise self._overloaded(f"the texts were not embedded within {self._deadline_s:g} s") from None
        finally:
            self._taken -= 1

    async def _compute(self, encoder: Encoder, texts: list[str]) -> Vectors:
        loop = asyncio.get_running_loop()
        *early, last = portions(texts)
        tokenized: list[Tokenized] = []
        for portion in early:
            tokenized += await loop.run_in_executor(self._worker, encoder.tokenize, portion)
        batches, first = await loop.run_in_executor(self._worker, _begin, encoder, tokenized, last)
        if len(batches) == 1:
            return first[np.argsort(batches[0].indexes)]
        vectors = np.empty((len(texts), encoder.dimension), np.float32)
        vectors[batches[0].indexes] = first
        for batch in batches[1:]:
            vectors[batch.indexes] = await loop.run_in_executor(self._worker, encoder.run, batch)
        return vectors

    def _overloaded(self, why: str) -> ServiceError:
        return ServiceError(503, "overloaded", f"too much to do: {why}; send less at a time and try again", RETRY)


def _begin(encoder: Encoder, tokenized: list[Tokenized], last: list[str]) -> tuple[list[Batch], Vectors]:
    # In one go, since most requests are one portion and one batch.
    batches = split(tokenized + encoder.tokenize(last))
    return batches, encoder.run(batches[0])
