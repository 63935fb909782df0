"""Stores texts as concepts."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple

from sutra_hybrid.deletions import Deletions, Learning
from sutra_hybrid.embedding import Embedding, Span
from sutra_hybrid.identity import identify
from sutra_hybrid.passages import About, Place, passage_id, stored_metadata
from sutra_hybrid.requests import LearnReply, LearnText
from sutra_hybrid.storage import BATCH_CONCEPTS, CALLS_AT_ONCE, Encoded, Storage, encode

# Storage commits each request to disk, which costs about as much as a few hundred concepts. Larger groups would leave
# more to store after the last text is embedded.
GROUP = 250


class _Concept(NamedTuple):
    place: Place
    text: str
    about: About


class _Ready(NamedTuple):
    """A concept with its vector, as JSON."""

    place: Place
    about: About
    encoded: Encoded


async def learn(texts: Sequence[LearnText], embedding: Embedding, storage: Storage, deletions: Deletions) -> LearnReply:
    """Store texts as concepts, and long ones as one for each passage; returns once storage has them on disk.

    Texts are stored while the next ones are embedded. What is stored before a failure remains; the call can be repeated
    safely, because equal texts have equal ids. A text that is deleted while it is stored is not stored any further.
    Raises ServiceError as Dependency does.
    """
    # In a thread, because megabytes of text would block other requests.
    ids = await asyncio.to_thread(lambda: [identify(text.text) for text in texts])
    # Of texts with the same id, the last one wins, as in separate calls.
    distinct = dict(zip(ids, texts, strict=True))
    spans = dict(zip(distinct, await embedding.cut([text.text for text in distinct.values()]), strict=True))
    concepts = [concept for name, text in distinct.items() for concept in _concepts(name, text, spans[name])]
    with deletions.learning() as learning:
        updated = await _store(concepts, embedding, _Storing(storage, deletions, learning))
        learning.check()
    if updated:
        await _delete_further({name: len(passages) for name, passages in spans.items()}, storage)
    return LearnReply(learned=len(distinct), ids=ids)


def _concepts(name: str, text: LearnText, spans: Sequence[Span]) -> Iterator[_Concept]:
    about = About(text.source, text.title, text.metadata)
    if len(spans) == 1:
        yield _Concept(Place(name), text.text[spans[0].start : spans[0].end], about)
        return
    for number, span in enumerate(spans, 1):
        yield _Concept(Place(name, number, len(spans), span.start), text.text[span.start : span.end], about)


async def _store(concepts: Sequence[_Concept], embedding: Embedding, storing: "_Storing") -> int:
    """Embed and store concepts; returns how many of them replace one."""
    left = iter(concepts)
    try:
        async with aclosing(embedding.embed_all([concept.text for concept in concepts])) as batches:
            async for model, vectors in batches:
                # The vectors come first, so that no concept is taken in vain.
                await storing.add(model, [_ready(concept, vector) for vector, concept in zip(vectors, left)])  # noqa: B905
        return await storing.finish()
    except BaseException:
        await storing.give_up()
        raise


def _ready(concept: _Concept, vector: list[float]) -> _Ready:
    place, text, about = concept
    name = passage_id(place.text_id, place.number)
    return _Ready(place, about, encode(name, text, stored_metadata(about, place), vector))


class _Storing:
    """Stores concepts in groups, one at a time, in the background."""

    def __init__(self, storage: Storage, deletions: Deletions, learning: Learning) -> None:
        self._storage = storage
        self._deletions = deletions
        self._learning = learning
        self._model = ""
        self._waiting: list[_Ready] = []
        self._running: asyncio.Task[int] | None = None
        self._updated = 0

    async def add(self, model: str, concepts: Sequence[_Ready]) -> None:
        """Add concepts. Waits for storage if it is slower. Raises its error."""
        self._model = model
        self._waiting += concepts
        busy = self._running is not None and not self._running.done()
        if len(self._waiting) >= (BATCH_CONCEPTS if busy else GROUP):
            await self._next()

    async def finish(self) -> int:
        """Store the rest; returns how many concepts replaced one."""
        await self._next()
        await self._next()
        return self._updated

    async def give_up(self) -> None:
        """Let a running request end, because storage completes it anyway, and ignore its error: another is raised."""
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    async def _next(self) -> None:
        if self._running is not None:
            # Storage completes a request even if this one is cancelled.
            self._updated += await asyncio.shield(self._running)
            self._running = None
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._running = asyncio.create_task(self._keep(waiting))

    async def _keep(self, ready: Sequence[_Ready]) -> int:
        async with self._deletions.storing(self._learning, ready) as kept:
            return await self._storage.keep(self._model, [each.encoded for each in kept])


async def _delete_further(counts: Mapping[str, int], storage: Storage) -> None:
    """Delete passages beyond a text's number of passages.

    The text had more of them if another model read less of it, or if it had more white space: that does not change its
    id.
    """
    free = asyncio.Semaphore(CALLS_AT_ONCE)

    async def further(name: str, count: int) -> list[str]:
        async with free:
            return [passage_id(name, number) for number in await storage.passages(name) if number > count]

    found = await asyncio.gather(*(further(name, count) for name, count in counts.items()))
    await storage.delete([name for names in found for name in names])
