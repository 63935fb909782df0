"""Tests of the time budget of a question, with a clock that the tests control."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from backends import Backends, code

from sutra_hybrid import capabilities

one_at_a_time = threading.Lock()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda name: name)


def learn(backends: Backends) -> None:
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": ["sea one", "ship two"]})
    backends.storage.requests.clear()
    backends.embedding.requests.clear()


def taking(backends: Backends, seconds: float, reply: Any) -> Callable[[Any], tuple[int, Any]]:
    """A reply that advances hybrid's clock by `seconds`."""

    def answer(body: Any) -> tuple[int, Any]:
        # Services answer concurrently, in threads.
        with one_at_a_time:
            backends.now += seconds
        result: tuple[int, Any] = reply(body)
        return result

    return answer


def test_time_used_by_embedding_and_storage_is_not_available_to_nlg(backends: Backends) -> None:
    learn(backends)
    backends.embedding.replies["POST /embed"] = taking(backends, 9, backends.embedding.replies["POST /embed"])
    backends.storage.replies["POST /v1/search"] = taking(backends, 9.5, backends.storage.replies["POST /v1/search"])
    with backends.hybrid() as client:
        answer = client.post("/query", json={"question": "sea"})
    # Two searches, one of them after embedding: 9 + 9.5 + 9.5 seconds.
    assert code(answer) == (504, "nlg_timeout")
    assert "limit of 28 s per question ended before nlg answered" in answer.json()["error"]["message"]
    assert backends.nlg.requests == []


def test_an_answer_in_the_last_second_counts(backends: Backends) -> None:
    learn(backends)
    backends.storage.replies["POST /v1/search"] = taking(backends, 9, backends.storage.replies["POST /v1/search"])
    backends.nlg.replies["POST /generate"] = taking(backends, 9.5, backends.nlg.replies["POST /generate"])
    with backends.hybrid() as client:
        assert client.post("/query", json={"question": "sea"}).status_code == 200
        # The next question has its own budget.
        assert client.post("/query", json={"question": "sea"}).status_code == 200


def test_the_call_to_nlg_is_cancelled_when_the_time_is_over(backends: Backends) -> None:
    learn(backends)
    # 0.01 s is left when nlg is called, which never answers.
    backends.storage.replies["POST /v1/search"] = taking(backends, 13.995, backends.storage.replies["POST /v1/search"])
    backends.nlg.gate.clear()
    with backends.hybrid(SUTRA_HYBRID_NLG_DEADLINE_SECONDS="600") as client:
        answer = client.post("/query", json={"question": "sea"})
        state = client.get("/health").json()["dependencies"]["nlg"]
        backends.nlg.gate.set()
    assert code(answer) == (504, "nlg_timeout")
    assert "28 s per question" in answer.json()["error"]["message"]
    # nlg's own deadline was not reached, so its state is unchanged.
    assert state == "unknown"


def test_concurrent_calls_share_the_budget(backends: Backends) -> None:
    learn(backends)
    backends.embedding.replies["POST /embed"] = taking(backends, 28, backends.embedding.replies["POST /embed"])
    with backends.hybrid() as client:
        answer = client.post("/query", json={"question": "sea"})
    assert code(answer) == (504, "storage_timeout")
    assert not any("vector" in body for name, body in backends.storage.requests if name == "POST /v1/search")


def test_topics_have_the_same_budget(backends: Backends, installed: None) -> None:
    learn(backends)
    backends.embedding.replies["POST /embed"] = taking(backends, 5, backends.embedding.replies["POST /embed"])
    with backends.hybrid(SUTRA_EDITION="community", SUTRA_HYBRID_QUESTION_SECONDS="5") as client:
        answer = client.post("/topics", json={"question": "sea"})
    assert code(answer) == (504, "storage_timeout")
    assert "5 s per question" in answer.json()["error"]["message"]


def test_learning_has_no_budget(backends: Backends) -> None:
    backends.embedding.replies["POST /embed"] = taking(backends, 100, backends.embedding.replies["POST /embed"])
    with backends.hybrid() as client:
        assert client.post("/learn", json={"texts": ["a"]}).status_code == 200
