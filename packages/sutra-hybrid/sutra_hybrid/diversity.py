"""Diverse ranking: of several concepts that say the same, the best one first and the others later."""

from collections.abc import Mapping, Sequence

from sutra_hybrid.libraries import load
from sutra_hybrid.neighbours import Vector

# How much relevance counts against novelty.
RELEVANCE_SHARE = 0.7


def diversify(scores: Mapping[str, float], vectors: Mapping[str, Vector], limit: int) -> list[str]:
    """The `limit` ids of highest maximal marginal relevance, in the order they were chosen.

    Each choice is the id with the most of 0.7 x (score / best score) - 0.3 x (highest cosine to a chosen
    id). An id without a vector is like no other. Blocks.
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
    # A store keeps vectors of one dimension; two mean that it was emptied and filled anew in between.
    return [index for index, name in enumerate(ids) if name in vectors] if len(dimensions) == 1 else []
