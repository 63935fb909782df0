import asyncio
import json
from typing import Any

import fake_service
import pytest
from world import World, code, vector_of_words

from sutra_hybrid import capabilities, learning, neighbours
from sutra_hybrid.identity import identify
from sutra_hybrid.limits import LIMITS


def test_texts_become_concepts_that_storage_confirmed(world: World) -> None:
    with world.hybrid() as client:
        answer = client.post("/learn", json={"texts": [" Paris is a city. ", "Rome too."]})
    ids = [identify("Paris is a city."), identify("Rome too.")]
    assert (answer.status_code, answer.json()) == (200, {"learned": 2, "ids": ids})
    assert world.concepts[ids[0]] == {
        "id": ids[0],
        "text": "Paris is a city.",
        "vector": vector_of_words("Paris is a city."),
    }


def test_the_same_text_twice_is_one_concept(world: World) -> None:
    with world.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["a b", "c", "a  b"]})
        client.post("/learn", json={"texts": ["a b"]})
    ids = answer.json()["ids"]
    assert (answer.json()["learned"], ids[0], len(set(ids))) == (2, ids[2], 2)
    assert sorted(world.concepts) == sorted({*ids})


def test_texts_are_hashed_beside_the_event_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def identify_there(text: str) -> str:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return identify(text)

    monkeypatch.setattr(learning, "identify", identify_there)
    with world.hybrid() as client:
        assert client.post("/learn", json={"texts": ["a"]}).json()["ids"] == [identify("a")]


def batches_of(world: World) -> list[int]:
    return [len(body["concepts"]) for name, body in world.storage.requests if name == "POST /v1/concepts"]


def test_a_batch_is_bounded_in_characters_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BATCH_CHARACTERS", 10)
    texts = ["aaaa", "bbbb", "cccc", "d" * 20, "e"]
    with world.hybrid() as client:
        answer = client.post("/learn", json={"texts": texts})
    assert answer.json()["learned"] == len(world.concepts) == 5
    assert [len(body["texts"]) for name, body in world.embedding.requests if name == "POST /embed"] == [2, 1, 1, 1]
    assert batches_of(world) == [2, 1, 1, 1]
    assert {concept["text"]: concept["vector"] for concept in world.concepts.values()} == {
        text: vector_of_words(text) for text in texts
    }


def test_what_was_kept_before_a_failure_stays_and_the_call_can_be_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "BATCH_TEXTS", 2)
    keep = world.storage.replies["POST /v1/concepts"]
    assert callable(keep)
    full = (507, {"error": {"code": "disk_full", "message": "no space"}})
    world.storage.replies["POST /v1/concepts"] = lambda body: full if world.concepts else keep(body)
    with world.hybrid() as client:
        failed = client.post("/learn", json={"texts": ["a", "b", "c"]})
        assert code(failed) == (502, "storage_failed")
        assert "disk_full" in failed.json()["error"]["message"]
        assert sorted(world.concepts) == sorted([identify("a"), identify("b")])
        world.storage.replies["POST /v1/concepts"] = keep
        assert client.post("/learn", json={"texts": ["a", "b", "c"]}).json()["learned"] == 3
    assert len(world.concepts) == 3


def test_nothing_is_kept_when_embedding_fails(world: World) -> None:
    world.embedding.replies["POST /embed"] = (500, {"error": {"code": "internal_error", "message": "m"}})
    with world.hybrid() as client:
        assert code(client.post("/learn", json={"texts": ["a"]})) == (502, "embedding_failed")
    assert world.storage.requests == []


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"texts": []}, 422, "body.texts"),
        ({}, 422, "body.texts"),
        ({"texts": ["a", " \n "]}, 422, "body.texts[1]"),
        ({"texts": ["a", "\x1c\x1d \x1e\x1f\u2003"]}, 422, "body.texts[1]: must hold more than white space"),
        ({"texts": ["a", 7]}, 422, "body.texts[1]"),
        ({"texts": "a"}, 422, "body.texts"),
        ({"texts": ["a", "b" + "\u0315" * 16 + "\u0300" * 15]}, 422, "body.texts[1]: more than 30 combining marks"),
        ({"texts": ["a"], "extra": 1}, 422, "body.extra"),
        ({"texts": ["\ud800"]}, 422, "half of a surrogate pair"),
        ({"texts": ["a"] * 33}, 422, "33 texts given, at most 32 in edition simple"),
        ({"texts": ["a", "b" * 10_001]}, 422, "body.texts[1]: 10001 characters"),
        ({"texts": ["a" * 2_000_001]}, 413, "2000000 bytes"),
        ([], 422, "body"),
    ],
)
def test_what_is_wrong_is_named_and_goes_no_further(world: World, body: Any, status: int, words: str) -> None:
    # The test client itself would refuse to encode the lone surrogate.
    with world.hybrid() as client:
        answer = client.post("/learn", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert world.embedding.requests == world.storage.requests == []


@pytest.mark.parametrize("path", ["/learn", "/query"])
def test_a_body_that_is_not_json(world: World, path: str) -> None:
    with world.hybrid() as client:
        assert code(client.post(path, content=b"{", headers={"Content-Type": "application/json"}))[0] == 400
        assert code(client.post(path, content=b"a", headers={"Content-Type": "text/plain"}))[0] == 415
        assert code(client.get(path)) == (405, "method_not_allowed")
        assert code(client.post("/nowhere")) == (404, "not_found")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "not JSON"),
        ([], "form"),
        ({"embeddings": "no"}, "form"),
        ({"embeddings": [[1.0], []]}, "form"),
        ({"embeddings": [[1.0], [float("nan")]]}, "form"),
        ({"embeddings": [[1.0]]}, "1 vectors for 2 texts"),
        ({"embeddings": [[1.0], [1.0, 2.0]]}, "different dimensions"),
        ({"embeddings": [[1.0], [0.0]]}, "all zero"),
    ],
)
def test_an_embedding_that_makes_no_sense(world: World, content: Any, words: str) -> None:
    world.embedding.replies["POST /embed"] = (200, content)
    with world.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["a", "b"]})
    assert code(answer) == (502, "embedding_failed")
    assert words in answer.json()["error"]["message"]
    assert world.storage.requests == []


@pytest.mark.parametrize("content", [{}, {"ids": []}, {"ids": ["other"]}, b""])
def test_a_storage_that_confirms_something_else(world: World, content: Any) -> None:
    world.storage.replies["POST /v1/concepts"] = (200, content)
    with world.hybrid() as client:
        assert code(client.post("/learn", json={"texts": ["a"]})) == (502, "storage_failed")


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize(("name", "route"), [("embedding", "POST /embed"), ("storage", "POST /v1/concepts")])
def test_whoever_teaches_is_not_blamed_for_what_hybrid_asked(world: World, name: str, route: str, status: int) -> None:
    error = {"error": {"code": "its_code", "message": "vector has 64 numbers; this store keeps vectors of 3"}}
    getattr(world, name).replies[route] = (status, error)
    with world.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["a"]})
    assert code(answer) == (502, f"{name}_failed")
    assert f"{status} its_code: vector has 64 numbers" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("variable", "name"), [("EMBEDDING_URL", "embedding"), ("STORAGE_URL", "storage")])
def test_a_dependency_that_is_down_is_named(world: World, variable: str, name: str) -> None:
    with world.hybrid(**{variable: fake_service.closed_url()}) as client:
        answer = client.post("/learn", json={"texts": ["a"]})
        health = client.get("/health")
    assert code(answer) == (503, f"{name}_unreachable")
    assert variable in answer.json()["error"]["message"]
    assert (health.status_code, health.json()["dependencies"][name]) == (200, "unreachable")


@pytest.mark.parametrize("edition", list(LIMITS))
def test_a_text_of_the_most_characters_is_learned_whatever_they_are(
    world: World, monkeypatch: pytest.MonkeyPatch, edition: str
) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda name: name)
    text = "\U0001f600" * LIMITS[edition].max_text_characters
    with world.hybrid(SUTRA_EDITION=edition) as client:
        assert client.post("/learn", json={"texts": [text]}).status_code == 200
        assert code(client.post("/learn", json={"texts": ["a", text + "b"]})) == (422, "beyond_limit")
        assert client.get("/health").json()["limits"]["max_text_bytes"] == len(text.encode())
