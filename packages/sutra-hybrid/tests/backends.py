"""Fakes of the services that hybrid calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import fake_service
from fake_embedding import FakeEmbedding, vector_of_words
from fake_storage import FakeStorage, Reply, cosine, words
from starlette.testclient import TestClient
from sutra_service.settings import Environment

from sutra_hybrid import application

__all__ = ["Backends", "code", "cosine", "running", "vector_of_words", "words"]


class Routes(dict[str, Any]):
    """Replies that a test sets, before those of a fake."""

    def __init__(self, answer: Callable[[str, Any], Reply]) -> None:
        super().__init__()
        self._answer = answer

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name) or self[name]

    def __missing__(self, name: str) -> Callable[[Any], Reply]:
        return lambda body: self._answer(name, body)


@dataclass
class Backends:
    """Fakes of the three services. `meanings` overrides the vectors of texts."""

    embedding: fake_service.FakeService
    storage: fake_service.FakeService
    nlg: fake_service.FakeService
    meanings: dict[str, list[float]] = field(default_factory=dict)
    # The time of hybrid's clock, advanced by tests.
    now: float = 0.0

    def __post_init__(self) -> None:
        self.store = FakeStorage()
        self.encoder = FakeEmbedding(self.vector)
        self.storage.replies = Routes(self.store.answer)
        self.embedding.replies = Routes(self.encoder.answer)
        self.nlg.replies["POST /generate"] = self._generate

    @property
    def concepts(self) -> dict[str, dict[str, Any]]:
        return self.store.concepts

    def sizes(self, service: str, route: str, field: str) -> list[int]:
        """The number of items in each request."""
        requests = getattr(self, service).requests
        return [len(body[field]) for name, body in requests if name == route]

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
