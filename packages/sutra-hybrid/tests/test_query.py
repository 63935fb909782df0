import threading
from typing import Any

import fake_service
import pytest
from backends import Backends, code

from sutra_hybrid.asking import NOTHING_KNOWN
from sutra_hybrid.identity import identify

TEXTS = ["Paris is the capital of France.", "Rome is the capital of Italy.", "Bread needs flour."]


def learned(backends: Backends, client: Any, texts: list[str] = TEXTS) -> list[str]:
    ids: list[str] = client.post("/learn", json={"texts": texts}).json()["ids"]
    backends.storage.requests.clear()
    backends.embedding.requests.clear()
    return ids


def test_an_answer_with_its_citations_and_scores(backends: Backends) -> None:
    with backends.hybrid() as client:
        ids = learned(backends, client)
        answer = client.post("/query", json={"question": "capital of France", "limit": 2})
    reply = answer.json()
    assert answer.status_code == 200
    assert (reply["answer"], reply["mode"]) == ("known [1][2]", "grounded")
    assert sorted(reply) == ["answer", "citations", "mode", "scores"]
    assert reply["citations"][0] == {"number": 1, "id": ids[0], "text": TEXTS[0], "score": pytest.approx(1)}
    assert [citation["id"] for citation in reply["citations"]] == ids[:2]
    assert list(reply["scores"]) == ids[:2]
    assert reply["scores"][ids[0]] == {
        "fused": pytest.approx(1),
        "text": 3.0,
        "vector": pytest.approx(0.7, abs=0.1),
    }
    assert reply["scores"][ids[1]]["fused"] == pytest.approx((2 / 62) / (2 / 61))


def test_nlg_gets_the_fused_results_of_both_searches(backends: Backends) -> None:
    with backends.hybrid() as client:
        ids = learned(backends, client)
        client.post("/query", json={"question": " capital of France ", "limit": 1})
    searches = [body for name, body in backends.storage.requests if name == "POST /v1/search"]
    assert sorted("text" if "text" in body else "vector" for body in searches) == ["text", "vector"]
    assert {body["limit"] for body in searches} == {50}
    [(_, generate)] = [request for request in backends.nlg.requests if request[0] == "POST /generate"]
    assert generate == {
        "question": "capital of France",
        "facts": [{"id": ids[0], "text": TEXTS[0], "score": pytest.approx(1)}],
    }


def test_both_searches_run_in_parallel(backends: Backends) -> None:
    # Each search waits for the other one to arrive.
    arrived = threading.Barrier(2, timeout=5)

    def search(_body: Any) -> tuple[int, Any]:
        arrived.wait()
        return 200, {"results": []}

    backends.storage.replies["POST /v1/search"] = search
    with backends.hybrid() as client:
        assert client.post("/query", json={"question": "a"}).status_code == 200
    assert not arrived.broken


def test_nlg_gets_texts_truncated_to_the_editions_limit(backends: Backends) -> None:
    long = "word " * 10_000
    hit = {"id": "from another edition", "text": long, "score": 1.0}
    backends.storage.replies["POST /v1/search"] = (200, {"results": [hit]})
    with backends.hybrid() as client:
        reply = client.post("/query", json={"question": "word"}).json()
    [(_, generate)] = [request for request in backends.nlg.requests if request[0] == "POST /generate"]
    assert generate["facts"][0]["text"] == long[:10_000]
    assert [citation["text"] for citation in reply["citations"]] == [long]


def test_stored_blank_texts_are_ignored(backends: Backends) -> None:
    hits = [{"id": "blank", "text": "\x1c", "score": 2.0}, {"id": "fact", "text": "a word", "score": 1.0}]
    backends.storage.replies["POST /v1/search"] = (200, {"results": hits})
    with backends.hybrid() as client:
        assert list(client.post("/query", json={"question": "word"}).json()["scores"]) == ["fact"]
        backends.storage.replies["POST /v1/search"] = (200, {"results": hits[:1]})
        assert client.post("/query", json={"question": "word"}).json()["answer"] == NOTHING_KNOWN
    [(_, generate)] = [request for request in backends.nlg.requests if request[0] == "POST /generate"]
    assert [fact["id"] for fact in generate["facts"]] == ["fact"]


def test_results_of_only_one_search_are_used(backends: Backends) -> None:
    backends.meanings = {"feline": [1.0, 0.0], "a cat": [0.9, 0.1], "feline facts": [0.0, 1.0]}
    with backends.hybrid() as client:
        ids = learned(backends, client, ["a cat", "feline facts"])
        reply = client.post("/query", json={"question": "feline"}).json()
    assert {name: sorted(scores) for name, scores in reply["scores"].items()} == {
        ids[0]: ["fused", "vector"],
        ids[1]: ["fused", "text"],
    }


def test_an_empty_store(backends: Backends) -> None:
    with backends.hybrid() as client:
        answer = client.post("/query", json={"question": "why?"})
    assert answer.json() == {"answer": NOTHING_KNOWN, "citations": [], "mode": "grounded", "scores": {}}
    assert backends.nlg.requests == []


def test_vector_results_below_the_minimum_cosine_are_ignored(backends: Backends) -> None:
    backends.meanings = {"far": [0.0, 1.0], "near": [0.5, 0.5], "question": [1.0, 0.0]}
    with backends.hybrid() as client:
        learned(backends, client, ["far"])
        assert client.post("/query", json={"question": "question"}).json()["answer"] == NOTHING_KNOWN
        learned(backends, client, ["near"])
        assert len(client.post("/query", json={"question": "question"}).json()["citations"]) == 1
    with backends.hybrid(SUTRA_HYBRID_MIN_COSINE_PERCENT="80") as client:
        assert client.post("/query", json={"question": "question"}).json()["citations"] == []
    with backends.hybrid(SUTRA_HYBRID_MIN_COSINE_PERCENT="0") as client:
        assert len(client.post("/query", json={"question": "question"}).json()["citations"]) == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"question": ""}, "body.question"),
        ({"question": "\x1c"}, "body.question: must not be blank"),
        ({"question": 3}, "body.question"),
        ({"question": "a" * 2_001}, "body.question: 2001 characters, but edition simple allows at most 2000"),
        ({"question": "a", "limit": 0}, "body.limit"),
        ({"question": "a", "limit": "5"}, "body.limit"),
        ({"question": "a", "limit": True}, "body.limit"),
        ({"question": "a", "limit": 11}, "body.limit: 11, but edition simple allows at most 10"),
        ({"limit": 3}, "body.question"),
        ({"question": "a", "top": 3}, "body.top"),
    ],
)
def test_an_invalid_request_is_explained_and_not_forwarded(backends: Backends, body: Any, words: str) -> None:
    with backends.hybrid() as client:
        answer = client.post("/query", json=body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]
    assert backends.embedding.requests == backends.storage.requests == []


@pytest.mark.parametrize("name", ["embedding", "storage", "nlg"])
def test_an_unreachable_service_is_named(backends: Backends, name: str) -> None:
    with backends.hybrid() as client:
        learned(backends, client)
    with backends.hybrid(**{f"{name.upper()}_URL": fake_service.closed_url()}) as client:
        answer = client.post("/query", json={"question": "capital"})
        assert client.get("/health").status_code == 200
    assert code(answer) == (503, f"{name}_unreachable")


@pytest.mark.parametrize("name", ["embedding", "storage", "nlg"])
def test_a_slow_service_is_named(backends: Backends, name: str) -> None:
    with backends.hybrid() as client:
        learned(backends, client)
    service = getattr(backends, name)
    service.gate.clear()
    with backends.hybrid(SUTRA_HYBRID_DEADLINE_SECONDS="1", SUTRA_HYBRID_NLG_DEADLINE_SECONDS="1") as client:
        answer = client.post("/query", json={"question": "capital"})
        service.gate.set()
    assert code(answer) == (504, f"{name}_timeout")


@pytest.mark.parametrize("name", ["embedding", "storage", "nlg"])
def test_a_service_that_is_not_ready_is_named(backends: Backends, name: str) -> None:
    with backends.hybrid() as client:
        learned(backends, client)
        path = {"embedding": "/embed", "storage": "/v1/search", "nlg": "/generate"}[name]
        error = {"error": {"code": "not_ready", "message": "loading"}}
        getattr(backends, name).replies[f"POST {path}"] = (503, error)
        answer = client.post("/query", json={"question": "capital"})
    assert code(answer) == (503, f"{name}_not_ready")
    assert "Retry-After" in answer.headers


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize(
    ("name", "route"), [("embedding", "POST /embed"), ("storage", "POST /v1/search"), ("nlg", "POST /generate")]
)
def test_client_errors_of_other_services_become_502(backends: Backends, name: str, route: str, status: int) -> None:
    with backends.hybrid() as client:
        learned(backends, client)
        getattr(backends, name).replies[route] = (status, {"error": {"code": "its_code", "message": "facts[1]: empty"}})
        answer = client.post("/query", json={"question": "capital"})
    assert code(answer) == (502, f"{name}_failed")
    assert f"{status} its_code: facts[1]: empty" in answer.json()["error"]["message"]


def test_a_service_that_timed_out_itself_is_named(backends: Backends) -> None:
    with backends.hybrid() as client:
        learned(backends, client)
        backends.nlg.replies["POST /generate"] = (504, {"error": {"code": "timeout", "message": "no word in time"}})
        answer = client.post("/query", json={"question": "capital"})
    assert code(answer) == (504, "nlg_timeout")
    assert "no word in time" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        [],
        {"answer": "a", "citations": []},
        {"answer": 1, "citations": [], "mode": "grounded"},
        {"answer": "a", "citations": [{"number": 1, "id": "?", "text": "t", "score": 1.0}], "mode": "grounded"},
        {"answer": "a", "citations": [{"number": 0, "id": "?", "text": "t", "score": 1.0}], "mode": "grounded"},
    ],
)
def test_an_invalid_answer_of_nlg(backends: Backends, content: Any) -> None:
    backends.nlg.replies["POST /generate"] = (200, content)
    with backends.hybrid() as client:
        learned(backends, client)
        assert code(client.post("/query", json={"question": "capital"})) == (502, "nlg_failed")


@pytest.mark.parametrize("content", [{"results": [{"id": "a"}]}, {"results": 1}, {"hits": []}])
def test_an_invalid_answer_of_storage(backends: Backends, content: Any) -> None:
    backends.storage.replies["POST /v1/search"] = (200, content)
    with backends.hybrid() as client:
        assert code(client.post("/query", json={"question": "capital"})) == (502, "storage_failed")


def test_an_answer_without_citations_is_passed_on(backends: Backends) -> None:
    reply = {"answer": "No fact says that.", "citations": [], "mode": "grounded"}
    backends.nlg.replies["POST /generate"] = (200, reply)
    with backends.hybrid() as client:
        [first, *_] = learned(backends, client)
        answer = client.post("/query", json={"question": "capital of France", "limit": 1}).json()
    assert {name: answer[name] for name in reply} == reply
    assert list(answer["scores"]) == [first]
    assert identify(TEXTS[0]) == first
