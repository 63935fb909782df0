"""Reciprocal rank fusion: rankings become one without comparing their scores."""

from collections import defaultdict
from collections.abc import Sequence

# Dampens the lead of the first ranks; 60 is the value of the method's authors and in general use, in
# sutra-storage-server too.
DAMPING = 60


def fuse(rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    """Ids with their fused score, highest first; equal scores in the order of ids.

    The score is the sum of 1 / (60 + rank) over the rankings that name the id, divided by what the first
    of every ranking would get: 1 means first in all of them, about 0.5 first in one of two.
    """
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, name in enumerate(ranking, 1):
            scores[name] += 1 / (DAMPING + rank)
    best = len(rankings) / (DAMPING + 1)
    ordered = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
    return {name: score / best for name, score in ordered}
