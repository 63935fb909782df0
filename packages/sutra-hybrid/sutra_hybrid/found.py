"""Texts that a search found: passages of the same text are one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sutra_hybrid.fusion import fuse
from sutra_hybrid.passages import About, Place, about, join, place_of
from sutra_hybrid.storage import Hit

# Passages of a text that answer a question; more would push other texts out of a language model's prompt.
MAX_PASSAGES = 5


@dataclass
class FoundText:
    """A text, and the passages of it that were found, best first."""

    id: str
    passages: list[tuple[Place, Hit]]

    @property
    def best(self) -> Hit:
        """The best passage, which stands for the text where one vector is needed."""
        return self.passages[0][1]

    @property
    def about(self) -> About:
        """What is known about the text."""
        return about(self.best.metadata)

    def text(self, most: int) -> str:
        """The best passages, joined in order: up to five, with `most` characters unless a single one has more."""
        chosen, characters = [], 0
        for place, hit in self.passages[:MAX_PASSAGES]:
            characters += len(hit.text)
            if chosen and characters > most:
                break
            chosen.append((place, hit.text))
        return join(chosen)


def text_id(hit: Hit) -> str:
    """The id of the text that a search result belongs to."""
    return place_of(hit.id, hit.metadata).text_id


def group(rankings: Sequence[Sequence[Hit]]) -> dict[str, FoundText]:
    """The texts of several rankings, by id. The passages of each are in the order of their fused ranks."""
    hits = {hit.id: hit for ranking in rankings for hit in ranking}
    found: dict[str, FoundText] = {}
    for name in fuse([[hit.id for hit in ranking] for ranking in rankings]):
        place = place_of(name, hits[name].metadata)
        found.setdefault(place.text_id, FoundText(place.text_id, [])).passages.append((place, hits[name]))
    return found


def rank(hits: Sequence[Hit]) -> dict[str, float]:
    """The texts of one ranking, in order, with the score of their first passage."""
    scores: dict[str, float] = {}
    for hit in hits:
        scores.setdefault(text_id(hit), hit.score)
    return scores
