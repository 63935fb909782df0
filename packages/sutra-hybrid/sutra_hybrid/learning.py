"""Stores texts as concepts."""

import asyncio
from collections.abc import Sequence

from sutra_hybrid.identity import identify
from sutra_hybrid.requests import LearnReply
from sutra_hybrid.services import Embedding, Storage


async def learn(texts: Sequence[str], embedding: Embedding, storage: Storage) -> LearnReply:
    """Store texts as concepts; returns once storage has them on disk.

    All texts are embedded before the first is stored, so nothing is stored if embedding fails. If storage
    fails between two batches, the earlier ones remain; the call can be repeated safely, because equal texts
    have equal ids. Raises ServiceError as Dependency does.
    """
    # In a thread, because megabytes of text would block other requests.
    ids = await asyncio.to_thread(lambda: [identify(text) for text in texts])
    # Of texts with the same id, the last one wins, as in separate calls.
    distinct = dict(zip(ids, texts, strict=True))
    model, vectors = await embedding.embed(list(distinct.values()))
    pairs = zip(distinct.items(), vectors, strict=True)
    await storage.keep(model, ((name, text, vector) for (name, text), vector in pairs))
    return LearnReply(learned=len(distinct), ids=ids)
