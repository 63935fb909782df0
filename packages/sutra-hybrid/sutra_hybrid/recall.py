"""Finds the texts that may answer a question, with every method of the edition."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from sutra_hybrid import graph as concept_graph
from sutra_hybrid.capabilities import SPREADING, TYPO_TOLERANCE
from sutra_hybrid.embedding import Embedding
from sutra_hybrid.found import FoundText, group, rank, text_id
from sutra_hybrid.fusion import fuse
from sutra_hybrid.spelling import correct
from sutra_hybrid.spreading import spread
from sutra_hybrid.storage import MAX_RESULTS, Hit, Storage

# The minimum number of results to fetch for each ranking.
DEPTH = 50


@dataclass
class Candidates:
    """Texts by id, their fused scores (highest first), and the scores in each ranking.

    A text is ranked by its best passage in each ranking. `corrected` is the spell-checked question, if it differs.
    """

    found: dict[str, FoundText]
    fused: dict[str, float]
    by_text: dict[str, float]
    by_vector: dict[str, float]
    by_spreading: dict[str, float] = field(default_factory=dict)
    corrected: str | None = None


class Recall:
    """Finds candidates. Vector results with a cosine below `min_cosine` are ignored."""

    def __init__(
        self, embedding: Embedding, storage: Storage, min_cosine: float, capabilities: Collection[str]
    ) -> None:
        self._embedding = embedding
        self._storage = storage
        self._least_cosine = min_cosine
        self._capabilities = capabilities

    async def find(self, question: str, limit: int) -> Candidates:
        """Find candidates, usually more than `limit`. Raises ServiceError as Dependency does."""
        by_text, nearest = await asyncio.gather(self._by_text(question, limit), self._near(question, limit))
        corrected = None
        if TYPO_TOLERANCE in self._capabilities:
            by_text, corrected = await self._correct_spelling(question, by_text, nearest, limit)
        by_vector = [hit for hit in nearest if hit.score >= self._least_cosine]
        candidates = _fused(by_text, by_vector, corrected)
        if SPREADING in self._capabilities and candidates.fused:
            await self._spread(candidates)
        return candidates

    async def _by_text(self, question: str, limit: int) -> list[Hit]:
        return await _deep_enough(lambda depth: self._storage.search_text(question, depth), limit)

    async def _near(self, question: str, limit: int) -> list[Hit]:
        model, [vector] = await self._embedding.embed([question])
        return await _deep_enough(lambda depth: self._storage.search_vector(vector, depth, model), limit)

    async def _correct_spelling(
        self, question: str, by_text: list[Hit], nearest: list[Hit], limit: int
    ) -> tuple[list[Hit], str | None]:
        """Search again with corrected words. Only unknown words change, so no result of the first search is lost."""
        texts = [hit.text for hit in (*by_text, *nearest)]
        corrected = await asyncio.to_thread(correct, question, texts)
        if corrected is None:
            return by_text, None
        return await self._by_text(corrected, limit), corrected

    async def _spread(self, candidates: Candidates) -> None:
        """Spread activation from the first candidates, and add the result as a third ranking."""
        seeds = dict(list(candidates.fused.items())[: concept_graph.EXPANDED[0]])
        graph = await concept_graph.explore({name: candidates.found[name].best for name in seeds}, self._storage)
        candidates.by_spreading = await asyncio.to_thread(spread, seeds, graph.edges)
        further = [graph.hits[name] for name in candidates.by_spreading if name not in candidates.found]
        candidates.found |= group([further])
        candidates.fused = fuse([list(candidates.by_text), list(candidates.by_vector), list(candidates.by_spreading)])


def _fused(by_text: list[Hit], by_vector: list[Hit], corrected: str | None) -> Candidates:
    text_scores, vector_scores = rank(by_text), rank(by_vector)
    return Candidates(
        found=group([by_text, by_vector]),
        fused=fuse([list(text_scores), list(vector_scores)]),
        by_text=text_scores,
        by_vector=vector_scores,
        corrected=corrected,
    )


async def _deep_enough(search: Callable[[int], Awaitable[list[Hit]]], limit: int) -> list[Hit]:
    """Search again, for as many results as storage gives, if the first ones are passages of too few texts."""
    depth = max(DEPTH, limit)
    hits = await search(depth)
    if len(hits) < depth or depth >= MAX_RESULTS or len({text_id(hit) for hit in hits}) >= limit:
        return hits
    return await search(MAX_RESULTS)
