import threading
from typing import Any

import fake_service
import pytest
from world import World, code

from sutra_hybrid.asking import NOTHING_KNOWN
from sutra_hybrid.identity import identify

TEXTS = ["Paris is the capital of France.", "Rome is the capital of Italy.", "Bread needs flour."]


def learned(world: World, client: Any, texts: list[str] = TEXTS) -> list[str]:
    ids: list[str] = client.post("/learn", json={"texts": texts}).json()["ids"]
    world.storage.requests.clear()
    world.embedding.requests.clear()
    return ids


def test_an_answer_with_its_citations_and_scores(world: World) -> None:
    with world.hybrid() as client:
        ids = learned(world, client)
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


def test_both_searches_are_asked_and_nlg_gets_the_fused_facts(world: World) -> None:
    with world.hybrid() as client:
        ids = learned(world, client)
        client.post("/query", json={"question": " capital of France ", "limit": 1})
    searches = [body for name, body in world.storage.requests if name == "POST /v1/search"]
    assert sorted("text" if "text" in body else "vector" for body in searches) == ["text", "vector"]
    assert {body["limit"] for body in searches} == {50}
    [(_, generate)] = [request for request in world.nlg.requests if request[0] == "POST /generate"]
    assert generate == {
        "question": "capital of France",
        "facts": [{"id": ids[0], "text": TEXTS[0], "score": pytest.approx(1)}],
    }


def test_both_searches_are_under_way_at_once(world: World) -> None:
    # Text search waits for the vector search to arrive: one after the other would end in the deadline.
    arrived = threading.Barrier(2, timeout=5)

    def search(_body: Any) -> tuple[int, Any]:
        arrived.wait()
        return 200, {"results": []}

    world.storage.replies["POST /v1/search"] = search
    with world.hybrid() as client:
        assert client.post("/query", json={"question": "a"}).status_code == 200
    assert not arrived.broken


def test_nlg_reads_no_more_of_a_text_than_the_edition_learns(world: World) -> None:
    long = "word " * 10_000
    hit = {"id": "from another edition", "text": long, "score": 1.0}
    world.storage.replies["POST /v1/search"] = (200, {"results": [hit]})
    with world.hybrid() as client:
        reply = client.post("/query", json={"question": "word"}).json()
    [(_, generate)] = [request for request in world.nlg.requests if request[0] == "POST /generate"]
    assert generate["facts"][0]["text"] == long[:10_000]
    assert [citation["text"] for citation in reply["citations"]] == [long]


def test_a_blank_text_that_is_stored_stands_in_no_answer(world: World) -> None:
    hits = [{"id": "blank", "text": "\x1c", "score": 2.0}, {"id": "fact", "text": "a word", "score": 1.0}]
    world.storage.replies["POST /v1/search"] = (200, {"results": hits})
    with world.hybrid() as client:
        assert list(client.post("/query", json={"question": "word"}).json()["scores"]) == ["fact"]
        world.storage.replies["POST /v1/search"] = (200, {"results": hits[:1]})
        assert client.post("/query", json={"question": "word"}).json()["answer"] == NOTHING_KNOWN
    [(_, generate)] = [request for request in world.nlg.requests if request[0] == "POST /generate"]
    assert [fact["id"] for fact in generate["facts"]] == ["fact"]


def test_what_only_one_search_finds_is_found(world: World) -> None:
    world.meanings = {"feline": [1.0, 0.0], "a cat": [0.9, 0.1], "feline facts": [0.0, 1.0]}
    with world.hybrid() as client:
        ids = learned(world, client, ["a cat", "feline facts"])
        reply = client.post("/query", json={"question": "feline"}).json()
    assert {name: sorted(scores) for name, scores in reply["scores"].items()} == {
        ids[0]: ["fused", "vector"],
        ids[1]: ["fused", "text"],
    }


def test_nothing_was_learned(world: World) -> None:
    with world.hybrid() as client:
        answer = client.post("/query", json={"question": "why?"})
    assert answer.json() == {"answer": NOTHING_KNOWN, "citations": [], "mode": "grounded", "scores": {}}
    assert world.nlg.requests == []


def test_what_is_only_far_away_is_nothing(world: World) -> None:
    world.meanings = {"far": [0.0, 1.0], "near": [0.5, 0.5], "question": [1.0, 0.0]}
    with world.hybrid() as client:
        learned(world, client, ["far"])
        assert client.post("/query", json={"question": "question"}).json()["answer"] == NOTHING_KNOWN
        learned(world, client, ["near"])
        assert len(client.post("/query", json={"question": "question"}).json()["citations"]) == 1
    with world.hybrid(SUTRA_HYBRID_MIN_COSINE_PERCENT="80") as client:
        assert client.post("/query", json={"question": "question"}).json()["citations"] == []
    with world.hybrid(SUTRA_HYBRID_MIN_COSINE_PERCENT="0") as client:
        assert len(client.post("/query", json={"question": "question"}).json()["citations"]) == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"question": ""}, "body.question"),
        ({"question": "\x1c"}, "body.question: must hold more than white space"),
        ({"question": 3}, "body.question"),
        ({"question": "a" * 2_001}, "body.question: 2001 characters given, at most 2000 in edition simple"),
        ({"question": "a", "limit": 0}, "body.limit"),
        ({"question": "a", "limit": "5"}, "body.limit"),
        ({"question": "a", "limit": True}, "body.limit"),
        ({"question": "a", "limit": 11}, "body.limit: 11 given, at most 10"),
        ({"limit": 3}, "body.question"),
        ({"question": "a", "top": 3}, "body.top"),
    ],
)
def test_what_is_wrong_is_named_and_goes_no_further(world: World, body: Any, words: str) -> None:
    with world.hybrid() as client:
        answer = client.post("/query", json=body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]
    assert world.embedding.requests == world.storage.requests == []


@pytest.mark.parametrize("name", ["embedding", "storage", "nlg"])
def test_a_dependency_that_is_down_is_named(world: World, name: str) -> None:
    with world.hybrid() as client:
        learned(world, client)
    with world.hybrid(**{f"{name.upper()}_URL": fake_service.closed_url()}) as client:
        answer = client.post("/query", json={"question": "capital"})
        assert client.get("/health").status_code == 200
    assert code(answer) == (503, f"{name}_unreachable")


@pytest.mark.parametrize("name", ["embedding", "storage", "nlg"])
def test_a_dependency_that_is_slow_is_named(world: World, name: str) -> None:
    with world.hybrid() as client:
        learned(world, client)
    service = getattr(world, name)
    service.gate.clear()
    with world.hybrid(SUTRA_HYBRID_DEADLINE_SECONDS="1", SUTRA_HYBRID_NLG_DEADLINE_SECONDS="1") as client:
        answer = client.post("/query", json={"question": "capital"})
        service.gate.set()
    assert code(answer) == (504, f"{name}_timeout")


@pytest.mark.parametrize("name", ["embedding", "storage", "nlg"])
def test_a_dependency_that_is_not_ready_is_named(world: World, name: str) -> None:
    with world.hybrid() as client:
        learned(world, client)
        path = {"embedding": "/embed", "storage": "/v1/search", "nlg": "/generate"}[name]
        error = {"error": {"code": "not_ready", "message": "loading"}}
        getattr(world, name).replies[f"POST {path}"] = (503, error)
        answer = client.post("/query", json={"question": "capital"})
    assert code(answer) == (503, f"{name}_not_ready")
    assert "Retry-After" in answer.headers


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize(
    ("name", "route"), [("embedding", "POST /embed"), ("storage", "POST /v1/search"), ("nlg", "POST /generate")]
)
def test_whoever_asks_is_not_blamed_for_what_hybrid_asked(world: World, name: str, route: str, status: int) -> None:
    with world.hybrid() as client:
        learned(world, client)
        getattr(world, name).replies[route] = (status, {"error": {"code": "its_code", "message": "facts[1]: empty"}})
        answer = client.post("/query", json={"question": "capital"})
    assert code(answer) == (502, f"{name}_failed")
    assert f"{status} its_code: facts[1]: empty" in answer.json()["error"]["message"]


def test_a_neighbour_that_waited_too_long_itself_is_named(world: World) -> None:
    with world.hybrid() as client:
        learned(world, client)
        world.nlg.replies["POST /generate"] = (504, {"error": {"code": "timeout", "message": "no word in time"}})
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
def test_an_nlg_that_makes_no_sense(world: World, content: Any) -> None:
    world.nlg.replies["POST /generate"] = (200, content)
    with world.hybrid() as client:
        learned(world, client)
        assert code(client.post("/query", json={"question": "capital"})) == (502, "nlg_failed")


@pytest.mark.parametrize("content", [{"results": [{"id": "a"}]}, {"results": 1}, {"hits": []}])
def test_a_storage_that_makes_no_sense(world: World, content: Any) -> None:
    world.storage.replies["POST /v1/search"] = (200, content)
    with world.hybrid() as client:
        assert code(client.post("/query", json={"question": "capital"})) == (502, "storage_failed")


def test_an_answer_that_no_fact_gives_is_passed_on(world: World) -> None:
    reply = {"answer": "No fact says that.", "citations": [], "mode": "grounded"}
    world.nlg.replies["POST /generate"] = (200, reply)
    with world.hybrid() as client:
        [first, *_] = learned(world, client)
        answer = client.post("/query", json={"question": "capital of France", "limit": 1}).json()
    assert {name: answer[name] for name in reply} == reply
    assert list(answer["scores"]) == [first]
    assert identify(TEXTS[0]) == first
