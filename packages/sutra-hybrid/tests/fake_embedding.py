"""A sutra-embedding-service whose tokens are words, that honours its limits and reads `max_tokens` of a text."""

import re
from collections.abc import Callable
from typing import Any

DIMENSION = 64
SPECIAL_TOKENS = 2

type Reply = tuple[int, Any]


def vector_of_words(text: str) -> list[float]:
    """A vector of hashed words: texts are as similar as the words that they share."""
    vector = [0.0] * DIMENSION
    for word in set(re.findall(r"\w+", text.lower())):
        vector[sum(ord(letter) * place for place, letter in enumerate(word, 1)) % DIMENSION] += 1.0
    return vector if any(vector) else [1.0] * DIMENSION


class FakeEmbedding:
    """`vector` computes the vector of a text that is short enough."""

    def __init__(self, vector: Callable[[str], list[float]]) -> None:
        self._vector = vector
        self.max_texts = 32
        self.max_text_characters = 10_000
        self.max_tokens = 256
        self.model = "fake"

    def answer(self, name: str, body: Any) -> Reply:
        """Answer a request by `METHOD /path`."""
        match name:
            case "GET /health":
                limits = {"max_texts": self.max_texts, "max_text_characters": self.max_text_characters}
                return 200, {"status": "ok", "limits": limits, "max_tokens": self.max_tokens}
            case "POST /embed":
                return self._refusal(body["texts"], self.max_text_characters) or self._embed(body["texts"])
            case "POST /passages":
                return self._refusal(body["texts"], None) or (
                    200,
                    {"passages": [self._cut(text) for text in body["texts"]], "max_tokens": self.max_tokens},
                )
        return 404, {}

    def _refusal(self, texts: list[str], most: int | None) -> Reply | None:
        long = most is not None and any(len(text) > most for text in texts)
        if 1 <= len(texts) <= self.max_texts and not long:
            return None
        return 422, {"error": {"code": "beyond_limit", "message": f"{len(texts)} texts, or a text of over {most}"}}

    def _embed(self, texts: list[str]) -> Reply:
        read = [text if len(text.split()) <= self._room else " ".join(text.split()[: self._room]) for text in texts]
        vectors = [self._vector(text) for text in read]
        return 200, {"embeddings": vectors, "dimension": len(vectors[0]), "model": self.model}

    @property
    def _room(self) -> int:
        return self.max_tokens - SPECIAL_TOKENS

    def _cut(self, text: str) -> list[dict[str, int]]:
        """Passages of at most `max_tokens` words and `max_text_characters`, which share a word."""
        passages: list[dict[str, int]] = []
        part: list[tuple[int, int]] = []
        for match in re.finditer(r"\S{1,1000}", text):
            if part and (len(part) == self._room or match.end() - part[0][0] > self.max_text_characters):
                passages.append({"start": part[0][0], "end": part[-1][1]})
                part = part[-1:]
            part.append(match.span())
        return [*passages, {"start": part[0][0], "end": part[-1][1]}] if part else []
