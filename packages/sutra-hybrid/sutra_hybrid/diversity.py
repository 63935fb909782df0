"""Diverse ranking: moves concepts that are similar to better ones down."""

from collections.abc import Mapping, Sequence

from sutra_hybrid.embedding import Vector
from sutra_hybrid.libraries import load

# The weight of relevance; the rest is the weight of novelty.
RELEVANCE_SHARE = 0.7


def diversify(scores: Mapping[str, float], vectors: Mapping[str, Vector], limit: int) -> list[str]:
    """Choose `limit` ids by maximal marginal relevance, in order.

    Each step chooses the id with the highest 0.7 x (score / best score) - 0.3 x (highest cosine to a chosen
    id). An id without a vector counts as dissimilar to all others. Blocks.
    """
    numpy = load("numpy")
    ids = list(scores)
    relevance = numpy.array([scores[name] for name in ids])
    relevance = relevance / relevance.max()
    alike = numpy.zeros((len(ids), len(ids)))
    known = _comparable(ids, vectors)
    if known:
        matrix = numpy.array([vectors[ids[index]] for index in known])
        alike[numpy.ix_(known, known)] = load("sklearn.metrics.pairwise").cosine_similarity(matrix).clip(min=0)

    chosen: list[int] = []
    left = numpy.ones(len(ids), dtype=bool)
    nearest = numpy.zeros(len(ids))
    while len(chosen) < min(limit, len(ids)):
        gain = RELEVANCE_SHARE * relevance - (1 - RELEVANCE_SHARE) * nearest
        pick = int(numpy.where(left, gain, -numpy.inf).argmax())
        chosen.append(pick)
        left[pick] = False
        nearest = numpy.maximum(nearest, alike[pick])
    return [ids[index] for index in chosen]


def _comparable(ids: Sequence[str], vectors: Mapping[str, Vector]) -> list[int]:
    dimensions = {len(vector) for vector in vectors.values()}
    # A store has vectors of one dimension; two mean that it was emptied and refilled between the calls.
    return [index for index, name in enumerate(ids) if name in vectors] if len(dimensions) == 1 else []
