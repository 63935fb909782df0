"""Learning: texts become concepts that are kept for good."""

import asyncio
from collections.abc import Sequence

from sutra_hybrid.identity import identify
from sutra_hybrid.neighbours import Embedding, Storage
from sutra_hybrid.requests import LearnReply


async def learn(texts: Sequence[str], embedding: Embedding, storage: Storage) -> LearnReply:
    """Keep the texts as concepts; returns when storage has them on disk.

    Every text is embedded before the first one is kept, so a failing embedding leaves nothing behind.
    Where storage fails between two of its batches, the earlier ones stay: the call may be repeated as it
    is, since equal texts have equal ids. Raises ServiceError as Dependency does.
    """
    # Megabytes of text take a while, in which others are served.
    ids = await asyncio.to_thread(lambda: [identify(text) for text in texts])
    # Of texts that are one concept, the last one is kept, as if they had come one after the other.
    distinct = dict(zip(ids, texts, strict=True))
    vectors = await embedding.embed(list(distinct.values()))
    await storage.keep((name, text, vector) for (name, text), vector in zip(distinct.items(), vectors, strict=True))
    return LearnReply(learned=len(distinct), ids=ids)
