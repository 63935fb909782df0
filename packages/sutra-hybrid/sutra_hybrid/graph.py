"""Explores the graph of texts around search results. The graph is not stored; its edges come from vector search."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from sutra_hybrid.found import text_id
from sutra_hybrid.passages import place_of
from sutra_hybrid.storage import CALLS_AT_ONCE, Hit, Storage

# The number of texts expanded in each of the two steps, and the number of neighbours of each: at most 14 fetches and 14
# searches in total.
EXPANDED = (6, 8)
NEIGHBOURS = 8
# The minimum cosine of neighbours.
MIN_COSINE = 0.35


@dataclass
class Graph:
    """Texts by id, each with its passage nearest to another text, and the cosines between neighbours."""

    hits: dict[str, Hit] = field(default_factory=dict)
    edges: dict[tuple[str, str], float] = field(default_factory=dict)


async def explore(seeds: Mapping[str, Hit], storage: Storage) -> Graph:
    """Find the neighbours of the first six texts, and the neighbours of the nearest eight. Raises ServiceError.

    A seed is the passage that stands for its text.
    """
    graph = Graph()
    expanded: set[str] = set()
    front = dict(list(seeds.items())[: EXPANDED[0]])
    for step, _ in enumerate(EXPANDED):
        expanded.update(front)
        await _expand(graph, front, storage)
        if step + 1 < len(EXPANDED):
            front = {name: graph.hits[name] for name in _nearest(graph, expanded)[: EXPANDED[step + 1]]}
    return graph


async def _expand(graph: Graph, front: Mapping[str, Hit], storage: Storage) -> None:
    vectors = await storage.vectors([hit.id for hit in front.values()])
    known = {name: hit for name, hit in front.items() if hit.id in vectors}
    free = asyncio.Semaphore(CALLS_AT_ONCE)

    async def near(hit: Hit) -> list[Hit]:
        # Each passage finds itself, and perhaps others of its text.
        own = min(place_of(hit.id, hit.metadata).of, NEIGHBOURS)
        async with free:
            return await storage.search_vector(vectors[hit.id], NEIGHBOURS + own)

    found = await asyncio.gather(*map(near, known.values()))
    for name, hits in zip(known, found, strict=True):
        _connect(graph, name, hits)


def _connect(graph: Graph, name: str, hits: list[Hit]) -> None:
    best: dict[str, Hit] = {}
    for hit in hits:
        if hit.score >= MIN_COSINE and text_id(hit) != name:
            best.setdefault(text_id(hit), hit)
    for other, hit in list(best.items())[:NEIGHBOURS]:
        graph.hits.setdefault(other, hit)
        graph.edges[name, other] = hit.score


def _nearest(graph: Graph, expanded: set[str]) -> list[str]:
    best: dict[str, float] = {}
    for (_, end), cosine in graph.edges.items():
        if end not in expanded:
            best[end] = max(cosine, best.get(end, 0))
    return sorted(best, key=lambda name: (-best[name], name))
