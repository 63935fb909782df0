"""Reciprocal rank fusion: merges rankings without comparing their scores."""

from collections import defaultdict
from collections.abc import Sequence

# Dampens the lead of the first ranks. 60 is the value from the original paper, commonly used, and also
# used in sutra-storage-server.
DAMPING = 60


def fuse(rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    """Ids with their fused scores, highest first; equal scores are sorted by id.

    The score is the sum of 1 / (60 + rank) over the rankings with the id, divided by the maximum: 1 means
    first in all rankings, about 0.5 first in one of two.
    """
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, name in enumerate(ranking, 1):
            scores[name] += 1 / (DAMPING + rank)
    best = len(rankings) / (DAMPING + 1)
    ordered = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
    return {name: score / best for name, score in ordered}
