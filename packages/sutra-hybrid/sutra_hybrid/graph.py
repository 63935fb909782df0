"""The part of the concept graph around what a search found. Nobody keeps the graph: storage's vector search is it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sutra_hybrid.neighbours import CALLS_AT_ONCE, Hit, Storage

# How many concepts are expanded in each of the two steps, and how many neighbours each one gets. All in
# all at most 14 concepts are fetched and 14 searches made.
EXPANDED = (6, 8)
NEIGHBOURS = 8
# Below this cosine, two concepts are not neighbours.
LEAST_COSINE = 0.35


@dataclass
class Graph:
    """Concepts by id, and the cosine of those that are neighbours."""

    hits: dict[str, Hit] = field(default_factory=dict)
    edges: dict[tuple[str, str], float] = field(default_factory=dict)


async def explore(seeds: Sequence[str], storage: Storage) -> Graph:
    """The neighbours of the first six seeds, and the nearest eight's neighbours. Raises ServiceError."""
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
            # One more, because a concept is its own nearest neighbour.
            return await storage.search_vector(vector, NEIGHBOURS + 1)

    found = await asyncio.gather(*map(near, vectors.values()))
    for name, hits in zip(vectors, found, strict=True):
        for hit in hits:
            if hit.id != name and hit.score >= LEAST_COSINE:
                graph.hits.setdefault(hit.id, hit)
                graph.edges[name, hit.id] = hit.score


def _nearest(graph: Graph, expanded: set[str]) -> list[str]:
    best: dict[str, float] = {}
    for (_, end), cosine in graph.edges.items():
        if end not in expanded:
            best[end] = max(cosine, best.get(end, 0))
    return sorted(best, key=lambda name: (-best[name], name))
