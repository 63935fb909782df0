"""Finds the concepts that may answer a question, with every method of the edition."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from sutra_hybrid import graph as concept_graph
from sutra_hybrid.capabilities import SPREADING, TYPO_TOLERANCE
from sutra_hybrid.fusion import fuse
from sutra_hybrid.services import Embedding, Hit, Storage
from sutra_hybrid.spelling import correct
from sutra_hybrid.spreading import spread

# The minimum number of results to fetch for each ranking.
DEPTH = 50


@dataclass
class Candidates:
    """Concepts by id, their fused scores (highest first), and the scores in each ranking.

    `corrected` is the spell-checked question, if it differs.
    """

    texts: dict[str, str]
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
        depth = max(DEPTH, limit)
        by_text, nearest = await asyncio.gather(self._storage.search_text(question, depth), self._near(question, depth))
        corrected = None
        if TYPO_TOLERANCE in self._capabilities:
            by_text, corrected = await self._correct_spelling(question, by_text, nearest, depth)
        by_vector = [hit for hit in nearest if hit.score >= self._least_cosine]
        candidates = _fused(by_text, by_vector, corrected)
        if SPREADING in self._capabilities and candidates.fused:
            await self._spread(candidates)
        return candidates

    async def _near(self, question: str, depth: int) -> list[Hit]:
        model, [vector] = await self._embedding.embed([question])
        return await self._storage.search_vector(vector, depth, model)

    async def _correct_spelling(
        self, question: str, by_text: list[Hit], nearest: list[Hit], depth: int
    ) -> tuple[list[Hit], str | None]:
        """Search again with corrected words. Only unknown words change, so no result of the first search is lost."""
        texts = [hit.text for hit in (*by_text, *nearest)]
        corrected = await asyncio.to_thread(correct, question, texts)
        if corrected is None:
            return by_text, None
        return await self._storage.search_text(corrected, depth), corrected

    async def _spread(self, candidates: Candidates) -> None:
        """Spread activation from the first candidates, and add the result as a third ranking."""
        seeds = dict(list(candidates.fused.items())[: concept_graph.EXPANDED[0]])
        graph = await concept_graph.explore(list(seeds), self._storage)
        candidates.by_spreading = await asyncio.to_thread(spread, seeds, graph.edges)
        for name in candidates.by_spreading:
            if name not in candidates.texts:
                candidates.texts[name] = graph.hits[name].text
        candidates.fused = fuse([list(candidates.by_text), list(candidates.by_vector), list(candidates.by_spreading)])


def _fused(by_text: list[Hit], by_vector: list[Hit], corrected: str | None) -> Candidates:
    rankings = [[hit.id for hit in hits] for hits in (by_text, by_vector)]
    return Candidates(
        texts={hit.id: hit.text for hit in (*by_text, *by_vector)},
        fused=fuse(rankings),
        by_text={hit.id: hit.score for hit in by_text},
        by_vector={hit.id: hit.score for hit in by_vector},
        corrected=corrected,
    )
