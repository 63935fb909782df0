import asyncio
import json
from typing import Any

import fake_service
import pytest
from backends import Backends, code, vector_of_words

from sutra_hybrid import capabilities, embedding, learning, storage
from sutra_hybrid.identity import identify
from sutra_hybrid.limits import LIMITS


def test_texts_are_stored_as_concepts(backends: Backends) -> None:
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": [" Paris is a city. ", "Rome too."]})
    ids = [identify("Paris is a city."), identify("Rome too.")]
    assert (answer.status_code, answer.json()) == (200, {"learned": 2, "ids": ids})
    assert backends.concepts[ids[0]] == {
        "id": ids[0],
        "text": "Paris is a city.",
        "vector": vector_of_words("Paris is a city."),
    }


def test_the_same_text_twice_is_one_concept(backends: Backends) -> None:
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["a b", "c", "a  b"]})
        client.post("/learn", json={"texts": ["a b"]})
    ids = answer.json()["ids"]
    assert (answer.json()["learned"], ids[0], len(set(ids))) == (2, ids[2], 2)
    assert sorted(backends.concepts) == sorted({*ids})


def test_texts_are_hashed_in_a_thread(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    def identify_in_thread(text: str) -> str:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return identify(text)

    monkeypatch.setattr(learning, "identify", identify_in_thread)
    with backends.hybrid() as client:
        assert client.post("/learn", json={"texts": ["a"]}).json()["ids"] == [identify("a")]


def batches_of(backends: Backends) -> list[int]:
    return [len(body["concepts"]) for name, body in backends.storage.requests if name == "POST /v1/concepts"]


def test_batches_are_limited_in_size(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "EMBED_CHARACTERS", 10)
    # A concept with a vector of 64 numbers takes about 340 bytes.
    monkeypatch.setattr(storage, "BATCH_BYTES", 900)
    texts = ["aaaa", "bbbb", "cccc", "d" * 20, "e"]
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": texts})
    assert answer.json()["learned"] == len(backends.concepts) == 5
    assert [len(body["texts"]) for name, body in backends.embedding.requests if name == "POST /embed"] == [2, 1, 1, 1]
    assert batches_of(backends) == [2, 2, 1]
    assert {concept["text"]: concept["vector"] for concept in backends.concepts.values()} == {
        text: vector_of_words(text) for text in texts
    }


def test_a_partly_failed_request_can_be_repeated(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "BATCH_CONCEPTS", 2)
    keep = backends.storage.replies["POST /v1/concepts"]
    assert callable(keep)
    full = (507, {"error": {"code": "full", "message": "no space"}})
    backends.storage.replies["POST /v1/concepts"] = lambda body: full if backends.concepts else keep(body)
    with backends.hybrid() as client:
        failed = client.post("/learn", json={"texts": ["a", "b", "c"]})
        assert code(failed) == (507, "full")
        assert sorted(backends.concepts) == sorted([identify("a"), identify("b")])
        backends.storage.replies["POST /v1/concepts"] = keep
        assert client.post("/learn", json={"texts": ["a", "b", "c"]}).json()["learned"] == 3
    assert len(backends.concepts) == 3


def test_nothing_is_stored_if_embedding_fails(backends: Backends) -> None:
    backends.embedding.replies["POST /embed"] = (500, {"error": {"code": "internal_error", "message": "m"}})
    with backends.hybrid() as client:
        assert code(client.post("/learn", json={"texts": ["a"]})) == (502, "embedding_failed")
    assert backends.storage.requests == []


def nested(levels: int) -> Any:
    return {"a": nested(levels - 1)} if levels > 1 else {}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"texts": []}, 422, "body.texts"),
        ({}, 422, "body.texts"),
        ({"texts": ["a", " \n "]}, 422, "body.texts[1]"),
        ({"texts": ["a", "\x1c\x1d \x1e\x1f\u2003"]}, 422, "body.texts[1]: must not be blank"),
        ({"texts": ["a", 7]}, 422, "body.texts[1]"),
        ({"texts": "a"}, 422, "body.texts"),
        ({"texts": ["a", "b" + "\u0315" * 16 + "\u0300" * 15]}, 422, "body.texts[1]: more than 30 combining marks"),
        ({"texts": ["a"], "extra": 1}, 422, "body.extra"),
        ({"texts": ["\ud800"]}, 422, "lone surrogate"),
        ({"texts": ["a"] * 1001}, 422, "1001 texts, but edition simple allows at most 1000"),
        ({"texts": ["a", "b" * 100_001]}, 422, "body.texts[1]: 100001 characters"),
        ({"texts": ["a", {"text": "b" * 100_001}]}, 422, "body.texts[1]: 100001 characters"),
        ({"texts": ["a", None]}, 422, 'body.texts[1]: must be a string, or an object with "text"'),
        ({"texts": ["a", {"source": "s"}]}, 422, "body.texts[1].text"),
        ({"texts": ["a", {"text": " "}]}, 422, "body.texts[1].text"),
        ({"texts": ["a", {"text": "b", "url": "c"}]}, 422, "body.texts[1].url"),
        ({"texts": [{"text": "b", "source": ""}]}, 422, "body.texts[0].source"),
        ({"texts": [{"text": "b", "source": " "}]}, 422, "body.texts[0].source: must not be blank"),
        ({"texts": [{"text": "b", "source": "s" * 501}]}, 422, "body.texts[0].source"),
        ({"texts": [{"text": "b", "title": "t" * 301}]}, 422, "body.texts[0].title"),
        ({"texts": [{"text": "b", "title": 1}]}, 422, "body.texts[0].title"),
        ({"texts": [{"text": "b", "metadata": []}]}, 422, "body.texts[0].metadata"),
        ({"texts": [{"text": "b", "metadata": {"a": "b" * 4_090}}]}, 422, "at most 4096 bytes as JSON"),
        ({"texts": [{"text": "b", "metadata": {"a": float("nan")}}]}, 422, "must not contain NaN"),
        ({"texts": [{"text": "b", "metadata": {"a": [float("inf")]}}]}, 422, "must not contain NaN or infinity"),
        ({"texts": [{"text": "b", "metadata": {"a": 2**63}}]}, 422, "whole numbers of more than 64 bits"),
        ({"texts": [{"text": "b", "metadata": nested(65)}]}, 422, "nested at most 64 levels deep"),
        ({"texts": [{"text": "b", "metadata": {"a": "\ud800"}}]}, 422, "lone surrogate"),
        ({"texts": ["a" * 2_000_001]}, 413, "2000000 bytes"),
        ([], 422, "body"),
    ],
)
def test_an_invalid_request_is_explained_and_not_forwarded(
    backends: Backends, body: Any, status: int, words: str
) -> None:
    # Encoded here, because the test client cannot encode a lone surrogate.
    with backends.hybrid() as client:
        answer = client.post("/learn", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert backends.embedding.requests == backends.storage.requests == []


@pytest.mark.parametrize("path", ["/learn", "/query"])
def test_a_body_that_is_not_json_is_rejected(backends: Backends, path: str) -> None:
    with backends.hybrid() as client:
        assert code(client.post(path, content=b"{", headers={"Content-Type": "application/json"}))[0] == 400
        assert code(client.post(path, content=b"a", headers={"Content-Type": "text/plain"}))[0] == 415
        assert code(client.get(path)) == (405, "method_not_allowed")
        assert code(client.post("/nowhere")) == (404, "not_found")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "not JSON"),
        ([], "unexpected answer"),
        ({"embeddings": "no"}, "unexpected answer"),
        ({"embeddings": [[1.0], []]}, "unexpected answer"),
        ({"embeddings": [[1.0], [float("nan")]]}, "unexpected answer"),
        ({"embeddings": [[1.0], [1.0]]}, "unexpected answer"),
        ({"model": "m", "embeddings": [[1.0]]}, "1 vectors for 2 texts"),
        ({"model": "m", "embeddings": [[1.0], [1.0, 2.0]]}, "different dimensions"),
        ({"model": "m", "embeddings": [[1.0], [0.0]]}, "all zero"),
    ],
)
def test_an_invalid_answer_of_embedding(backends: Backends, content: Any, words: str) -> None:
    backends.embedding.replies["POST /embed"] = (200, content)
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["a", "b"]})
    assert code(answer) == (502, "embedding_failed")
    assert words in answer.json()["error"]["message"]
    assert backends.storage.requests == []


def test_an_embedding_service_that_changes_its_model_is_an_error(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    backends.encoder.max_texts = 1
    models = iter("mn")
    backends.embedding.replies["POST /embed"] = lambda body: (200, {"embeddings": [[1.0]], "model": next(models)})
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["a", "b"]})
    assert code(answer) == (502, "embedding_failed")
    assert backends.storage.requests == []


def test_storage_is_told_the_model(backends: Backends) -> None:
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": ["a"]})
        client.post("/query", json={"question": "a"})
    bodies = [body for name, body in backends.storage.requests if name.startswith("POST ") and "text" not in body]
    assert [body["model"] for body in bodies] == ["fake", "fake"]


def test_a_store_of_another_model_is_an_error(backends: Backends) -> None:
    refusal = (409, {"error": {"code": "other_model", "message": "the vectors of this store are of another model"}})
    backends.storage.replies["POST /v1/concepts"] = refusal
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["a"]})
    assert code(answer) == (502, "storage_failed")
    assert "409 other_model: the vectors of this store are of another model" in answer.json()["error"]["message"]


@pytest.mark.parametrize("content", [{}, {"ids": []}, {"ids": ["other"]}, b""])
def test_a_wrong_confirmation_of_storage(backends: Backends, content: Any) -> None:
    backends.storage.replies["POST /v1/concepts"] = (200, content)
    with backends.hybrid() as client:
        assert code(client.post("/learn", json={"texts": ["a"]})) == (502, "storage_failed")


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize(("name", "route"), [("embedding", "POST /embed"), ("storage", "POST /v1/concepts")])
def test_client_errors_of_other_services_become_502(backends: Backends, name: str, route: str, status: int) -> None:
    error = {"error": {"code": "its_code", "message": "vector has 64 numbers; this store keeps vectors of 3"}}
    getattr(backends, name).replies[route] = (status, error)
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["a"]})
    assert code(answer) == (502, f"{name}_failed")
    assert f"{status} its_code: vector has 64 numbers" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("variable", "name"), [("EMBEDDING_URL", "embedding"), ("STORAGE_URL", "storage")])
def test_an_unreachable_service_is_named(backends: Backends, variable: str, name: str) -> None:
    with backends.hybrid(**{variable: fake_service.closed_url()}) as client:
        answer = client.post("/learn", json={"texts": ["a"]})
        health = client.get("/health")
    assert code(answer) == (503, f"{name}_unreachable")
    assert variable in answer.json()["error"]["message"]
    assert (health.status_code, health.json()["dependencies"][name]) == (200, "unreachable")


@pytest.mark.parametrize("edition", list(LIMITS))
def test_a_text_of_maximum_length_is_learned(backends: Backends, monkeypatch: pytest.MonkeyPatch, edition: str) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda name: name)
    text = "\U0001f600" * LIMITS[edition].max_text_characters
    with backends.hybrid(SUTRA_EDITION=edition) as client:
        assert client.post("/learn", json={"texts": [text]}).status_code == 200
        assert code(client.post("/learn", json={"texts": ["a", text + "b"]})) == (422, "beyond_limit")
