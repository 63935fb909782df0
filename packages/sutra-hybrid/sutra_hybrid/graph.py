"""Explores the concept graph around search results. The graph is not stored; its edges come from vector search."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sutra_hybrid.services import CALLS_AT_ONCE, Hit, Storage

# The number of concepts expanded in each of the two steps, and the number of neighbours of each: at most
# 14 fetches and 14 searches in total.
EXPANDED = (6, 8)
NEIGHBOURS = 8
# The minimum cosine of neighbours.
MIN_COSINE = 0.35


@dataclass
class Graph:
    """Concepts by id, and the cosines between neighbours."""

    hits: dict[str, Hit] = field(default_factory=dict)
    edges: dict[tuple[str, str], float] = field(default_factory=dict)


async def explore(seeds: Sequence[str], storage: Storage) -> Graph:
    """Find the neighbours of the first six seeds, and the neighbours of the nearest eight. Raises ServiceError."""
    graph = Graph()
    expanded: set[str] = set()
    front = list(seeds[: EXPANDED[0]])
    for step, _ in enumerate(EXPANDED):
        expanded.update(front)
        vectors = await storage.vectors(front)
        await _expand(graph, vectors, storage)
        if step + 1 < len(EXPANDED):
            front = _nearest(graph, expanded)[: EXPANDED[step + 1]]
    return graph


async def _expand(graph: Graph, vectors: Mapping[str, list[float]], storage: Storage) -> None:
    free = asyncio.Semaphore(CALLS_AT_ONCE)

    async def near(vector: list[float]) -> list[Hit]:
        async with free:
            # One more, because each concept finds itself.
            return await storage.search_vector(vector, NEIGHBOURS + 1)

    found = await asyncio.gather(*map(near, vectors.values()))
    for name, hits in zip(vectors, found, strict=True):
        for hit in hits:
            if hit.id != name and hit.score >= MIN_COSINE:
                graph.hits.setdefault(hit.id, hit)
                graph.edges[name, hit.id] = hit.score


def _nearest(graph: Graph, expanded: set[str]) -> list[str]:
    best: dict[str, float] = {}
    for (_, end), cosine in graph.edges.items():
        if end not in expanded:
            best[end] = max(cosine, best.get(end, 0))
    return sorted(best, key=lambda name: (-best[name], name))
