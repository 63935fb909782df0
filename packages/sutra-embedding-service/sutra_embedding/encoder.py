"""What turns texts into vectors, whichever engine computes."""

from dataclasses import dataclass
from typing import Any, Protocol

from sutra_embedding.batches import batches

# What is embedded once before the service is ready: it shows that the model works, and the first caller does not wait
# for what is prepared at a first use.
TRIAL = "ready"

# float32, one row for each text.
type Vectors = Any


@dataclass(frozen=True)
class Tokenized:
    """A text, and the ids of its tokens, cut to the model's length."""

    text: str
    ids: list[int]


@dataclass(frozen=True)
class Batch:
    """Texts of one request that are computed together, the one of most tokens first; `indexes` says which they are."""

    indexes: list[int]
    texts: list[Tokenized]


class Encoder(Protocol):
    """A loaded model. `dimension` is the length of its vectors."""

    name: str
    dimension: int

    def tokenize(self, texts: list[str]) -> list[Tokenized]:
        """The texts with their tokens."""

    def run(self, batch: Batch) -> Vectors:
        """The vectors of a batch, in the order of its indexes."""


def split(texts: list[Tokenized]) -> list[Batch]:
    """The texts in batches of like length, each short enough to let other requests in between."""
    groups = batches([len(text.ids) for text in texts])
    return [Batch(indexes, [texts[index] for index in indexes]) for indexes in groups]
