"""Simplified fakes of the services that hybrid calls."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import fake_service
from starlette.testclient import TestClient
from sutra_service.settings import Environment

from sutra_hybrid import application

DIMENSION = 64


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def vector_of_words(text: str) -> list[float]:
    """A vector of hashed words: texts are as similar as the words that they share."""
    vector = [0.0] * DIMENSION
    for word in words(text):
        vector[sum(ord(letter) * place for place, letter in enumerate(word, 1)) % DIMENSION] += 1.0
    return vector if any(vector) else [1.0] * DIMENSION


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


@dataclass
class Backends:
    """Fakes of the three services. `meanings` overrides the vectors of texts."""

    embedding: fake_service.FakeService
    storage: fake_service.FakeService
    nlg: fake_service.FakeService
    meanings: dict[str, list[float]] = field(default_factory=dict)
    concepts: dict[str, dict[str, Any]] = field(default_factory=dict)
    # The time of hybrid's clock, advanced by tests.
    now: float = 0.0

    def __post_init__(self) -> None:
        self.embedding.replies["POST /embed"] = self._embed
        self.storage.replies["POST /v1/concepts"] = self._keep
        self.storage.replies["POST /v1/search"] = self._search
        self.nlg.replies["POST /generate"] = self._generate

    def hybrid(self, **variables: str) -> TestClient:
        environment = Environment(
            {
                "EMBEDDING_URL": self.embedding.url,
                "STORAGE_URL": self.storage.url,
                "NLG_URL": self.nlg.url,
                **variables,
            }
        )
        app = application.create(application.read_settings(environment), environment, lambda: self.now)
        return TestClient(app, raise_server_exceptions=False)

    def vector(self, text: str) -> list[float]:
        return self.meanings.get(text) or vector_of_words(text)

    def _embed(self, body: Any) -> tuple[int, Any]:
        vectors = [self.vector(text) for text in body["texts"]]
        return 200, {"embeddings": vectors, "dimension": len(vectors[0]), "model": "fake"}

    def _keep(self, body: Any) -> tuple[int, Any]:
        for concept in body["concepts"]:
            self.concepts[concept["id"]] = concept
            self.storage.replies[f"GET /v1/concepts/{concept['id']}"] = (200, concept)
        return 200, {"ids": [concept["id"] for concept in body["concepts"]], "created": 0, "updated": 0}

    def _search(self, body: Any) -> tuple[int, Any]:
        score: Callable[[dict[str, Any]], float]
        if "text" in body:
            asked = words(body["text"])
            score = lambda concept: len(asked & words(concept["text"]))  # noqa: E731
        else:
            score = lambda concept: cosine(body["vector"], concept["vector"])  # noqa: E731
        scored = [(score(concept), concept) for concept in self.concepts.values()]
        found = [entry for entry in scored if "vector" in body or entry[0] > 0]
        found.sort(key=lambda entry: (-entry[0], entry[1]["id"]))
        return 200, {
            "results": [
                {"id": concept["id"], "text": concept["text"], "score": value}
                for value, concept in found[: body["limit"]]
            ]
        }

    def _generate(self, body: Any) -> tuple[int, Any]:
        facts = body["facts"]
        citations = [{"number": number, **fact} for number, fact in enumerate(facts, 1)]
        marks = "".join(f"[{citation['number']}]" for citation in citations)
        return 200, {"answer": f"known {marks}", "citations": citations, "mode": "grounded"}


@contextmanager
def running() -> Iterator[Backends]:
    with fake_service.running() as embedding, fake_service.running() as storage, fake_service.running() as nlg:
        yield Backends(embedding, storage, nlg)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]
