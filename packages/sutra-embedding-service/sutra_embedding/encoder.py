"""The interface and types that all engines share."""

import math
from dataclasses import dataclass
from typing import Protocol

from sutra_embedding.batches import batches
from sutra_embedding.passages import Measured

# Embedded once before the service is ready: proves that the model works and initializes everything that is lazy.
WARM_UP_TEXT = "ready"

# The precision of a float32; full float64 digits would double the size of the answer.
DECIMALS = 8
# One per text, rounded to DECIMALS.
type Vectors = list[list[float]]


@dataclass(frozen=True)
class Tokenized:
    """A text and its token ids, truncated to the model's maximum length."""

    text: str
    ids: list[int]


@dataclass(frozen=True)
class Batch:
    """Texts of a request that are computed together, longest first; `indexes` are their positions in the request."""

    indexes: list[int]
    texts: list[Tokenized]


class Encoder(Protocol):
    """A loaded model.

    `dimension` is the length of its vectors; `max_tokens` is what it reads of a text, special tokens included.
    """

    name: str
    dimension: int
    max_tokens: int

    def tokenize(self, texts: list[str]) -> list[Tokenized]:
        """Tokenize texts."""

    def measure(self, text: str) -> Measured:
        """Find out how much of a text the model reads."""

    def run(self, batch: Batch) -> Vectors:
        """Compute the vectors of a batch, in the order of its texts."""


def split(texts: list[Tokenized]) -> list[Batch]:
    """Split texts into batches of similar length, small enough to interleave with other requests."""
    groups = batches([len(text.ids) for text in texts])
    return [Batch(indexes, [texts[index] for index in indexes]) for indexes in groups]


def finite(vectors: Vectors) -> bool:
    """Whether all numbers are finite."""
    return all(math.isfinite(value) for vector in vectors for value in vector)
