"""Learning with sources, titles and metadata, and long texts as passages."""

import threading
from typing import Any

import pytest
from backends import Backends, code

from sutra_hybrid import embedding, learning, storage
from sutra_hybrid.identity import identify

# Twelve tokens, of which two are special: ten words.
TOKENS = 12
LONG = " ".join(f"word{number}" for number in range(40))
ABOUT = {"source": "handbook.md", "title": "Handbook", "metadata": {"page": 3, "draft": None}}


def small_model(backends: Backends) -> None:
    backends.encoder.max_tokens = TOKENS


def test_what_is_known_about_a_text_is_stored(backends: Backends) -> None:
    with backends.hybrid() as client:
        texts = [{"text": " a b ", **ABOUT}, "c", {"text": "d", "source": "s"}, {"text": "e", "title": None}]
        answer = client.post("/learn", json={"texts": texts})
    ids = [identify(text) for text in ("a b", "c", "d", "e")]
    assert answer.json() == {"learned": 4, "ids": ids}
    assert [backends.concepts[name]["text"] for name in ids] == ["a b", "c", "d", "e"]
    assert [backends.concepts[name].get("metadata") for name in ids] == [ABOUT, None, {"source": "s"}, None]


def test_of_equal_texts_the_last_one_wins_with_its_source(backends: Backends) -> None:
    texts = [{"text": "a b", "source": "first"}, "c", {"text": "a  b", "source": "last", "title": "t"}]
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": texts}).json()
        stored = backends.concepts[identify("a b")]
        assert answer["learned"] == len(backends.concepts) == 2
        assert (stored["text"], stored["metadata"]) == ("a  b", {"source": "last", "title": "t"})
        client.post("/learn", json={"texts": ["a b"]})
    assert "metadata" not in backends.concepts[identify("a b")]


def test_a_long_text_is_stored_as_passages(backends: Backends) -> None:
    small_model(backends)
    name = identify(LONG)
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": ["short", {"text": LONG, **ABOUT}]})
    assert answer.json() == {"learned": 2, "ids": [identify("short"), name]}
    ids = [name, *(f"{name}-{number}" for number in range(2, 6))]
    assert sorted(backends.concepts) == sorted([identify("short"), *ids])
    for number, concept in enumerate((backends.concepts[one] for one in ids), 1):
        passage = concept["metadata"].pop("passage")
        assert concept["metadata"] == ABOUT
        assert (passage["number"], passage["of"]) == (number, 5)
        assert LONG[passage["start"] :].startswith(concept["text"])
        assert len(concept["text"].split()) <= 10


def test_only_texts_that_may_be_too_long_are_cut(backends: Backends) -> None:
    # Each of these syllables is two letters when decomposed, and may be as many tokens.
    texts = ["a" * 254, "b" * 255, "\uac00" * 127, "\uac00" * 128]
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": texts})
    [(_, cut)] = [request for request in backends.embedding.requests if request[0] == "POST /passages"]
    assert cut == {"texts": ["b" * 255, "\uac00" * 128]}
    # The model reads them as a whole after all.
    assert sorted(backends.concepts) == sorted(map(identify, texts))
    assert not any("metadata" in concept for concept in backends.concepts.values())


def test_a_text_of_more_characters_than_embedding_accepts(backends: Backends) -> None:
    text = "a" * 45_000
    with backends.hybrid() as client:
        assert client.post("/learn", json={"texts": [text]}).status_code == 200
    assert len(backends.concepts) == 5
    assert max(len(concept["text"]) for concept in backends.concepts.values()) <= 10_000


@pytest.mark.parametrize(("before", "after"), [(12, 32), (12, 256), (7, 22)])
def test_passages_that_are_not_needed_any_more_are_deleted(backends: Backends, before: int, after: int) -> None:
    others = {name: {"id": name, "text": "other"} for name in (f"{identify(LONG)}x", f"{'0' * 32}-2", "a")}
    with backends.hybrid() as client:
        backends.encoder.max_tokens = before
        client.post("/learn", json={"texts": ["a", LONG]})
        backends.store.concepts |= others
        more = len(backends.concepts)
    with backends.hybrid() as client:
        backends.encoder.max_tokens = after
        client.post("/learn", json={"texts": ["b", LONG, "a"]})
        known = set(backends.concepts)
        whole = client.get(f"/concepts/{identify(LONG)}").json()
    backends.store.concepts.clear()
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": ["b", LONG, "a"]})
    assert known == {*backends.concepts, *others}
    assert len(known) < more
    assert whole["text"] == LONG


def test_nothing_is_deleted_while_everything_is_new(backends: Backends) -> None:
    small_model(backends)
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": ["a", LONG]})
        assert not any("prefix=" in name for name, _ in backends.storage.requests)
        client.post("/learn", json={"texts": ["a"]})
    assert sum("prefix=" in name for name, _ in backends.storage.requests) == 1
    assert backends.sizes("storage", "POST /v1/delete", "ids") == []


def test_further_passages_go_even_if_their_deletion_failed_before(backends: Backends) -> None:
    small_model(backends)
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": [LONG]})
        backends.encoder.max_tokens *= 3
        delete = backends.storage.replies["POST /v1/delete"]
        backends.storage.replies["POST /v1/delete"] = (500, {"error": {"code": "internal_error", "message": "m"}})
        assert code(client.post("/learn", json={"texts": [LONG]})) == (502, "storage_failed")
        backends.storage.replies["POST /v1/delete"] = delete
        before = len(backends.concepts)
        assert client.post("/learn", json={"texts": [LONG]}).status_code == 200
        assert len(backends.concepts) == client.get(f"/concepts/{identify(LONG)}").json()["passages"] < before


def test_a_deleted_text_leaves_no_passages_of_an_earlier_model(backends: Backends) -> None:
    small_model(backends)
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": [LONG]})
        first = backends.concepts[identify(LONG)]
        first["metadata"]["passage"]["of"] = 2
        assert client.delete(f"/concepts/{identify(LONG)}").status_code == 200
    assert backends.concepts == {}


def test_blanks_around_a_text_are_not_embedded(backends: Backends) -> None:
    small_model(backends)
    # Python takes U+001C for a blank, and pydantic does not.
    with backends.hybrid() as client:
        [name] = client.post("/learn", json={"texts": ["a" + "\x1c" * 12_000]}).json()["ids"]
    assert backends.concepts[name]["text"] == "a"


def test_batches_are_as_large_as_embedding_allows(backends: Backends) -> None:
    backends.encoder.max_texts = 60
    texts = [f"text {number}" for number in range(150)]
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": texts})
        client.post("/learn", json={"texts": texts})
    assert backends.sizes("embedding", "POST /embed", "texts") == [60, 60, 30] * 2
    # Asked once.
    assert [name for name, _ in backends.embedding.requests].count("GET /health") == 1


def test_a_limit_that_falls_is_read_again(backends: Backends) -> None:
    small_model(backends)
    backends.encoder.max_texts = 64
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": ["first"]})
        backends.encoder.max_texts = 20
        backends.embedding.requests.clear()
        texts = [f"{LONG} {number}" for number in range(30)]
        assert client.post("/learn", json={"texts": texts}).json()["learned"] == 30
    assert backends.sizes("embedding", "POST /passages", "texts") == [30, 20, 10]
    assert set(backends.sizes("embedding", "POST /embed", "texts")) <= {20, 10}
    assert len(backends.concepts) == 1 + 30 * 5


def test_another_model_is_noticed(backends: Backends) -> None:
    with backends.hybrid() as client:
        client.post("/learn", json={"texts": [LONG]})
        backends.encoder.model, backends.encoder.max_tokens, backends.store.model = "other", TOKENS, None
        client.post("/learn", json={"texts": ["a"]})
        client.post("/learn", json={"texts": [LONG]})
    assert len(backends.concepts) == 1 + 5


@pytest.mark.parametrize(
    "health",
    [
        (500, {}),
        (200, b"<html>"),
        (200, []),
        (200, {"limits": {}}),
        (200, {"limits": {"max_texts": 0}}),
        (200, {"limits": {"max_texts": "64"}}),
        (200, {"limits": {"max_texts": 64}, "max_tokens": 1}),
    ],
)
def test_without_limits_the_smallest_are_used(backends: Backends, health: Any) -> None:
    backends.embedding.replies["GET /health"] = health
    with backends.hybrid() as client:
        assert client.post("/learn", json={"texts": [str(number) for number in range(40)]}).status_code == 200
    assert backends.sizes("embedding", "POST /embed", "texts") == [32, 8]


def test_a_refused_text_is_not_sent_again(backends: Backends) -> None:
    refusal = (422, {"error": {"code": "invalid_request", "message": "no"}})
    backends.embedding.replies["POST /embed"] = refusal
    with backends.hybrid() as client:
        assert code(client.post("/learn", json={"texts": ["a", "b"]})) == (502, "embedding_failed")
    assert backends.sizes("embedding", "POST /embed", "texts") == [2]


def test_texts_are_stored_while_others_are_embedded(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "GROUP", 2)
    backends.encoder.max_texts = 2
    put, embed = backends.storage.replies["POST /v1/concepts"], backends.embedding.replies["POST /embed"]
    # The first store request is answered only when the third batch is being embedded.
    later = threading.Event()

    def slow(body: Any) -> Any:
        assert later.wait(10)
        return put(body)

    def embedding_third(body: Any) -> Any:
        if body["texts"][0] == "4":
            later.set()
        return embed(body)

    backends.storage.replies["POST /v1/concepts"] = slow
    backends.embedding.replies["POST /embed"] = embedding_third
    with backends.hybrid() as client:
        assert client.post("/learn", json={"texts": list("01234567")}).json()["learned"] == 8
    sizes = backends.sizes("storage", "POST /v1/concepts", "concepts")
    assert (sizes[0], sum(sizes), len(backends.concepts)) == (2, 8, 8)


def test_a_slow_store_holds_embedding_back(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "GROUP", 2)
    monkeypatch.setattr(learning, "BATCH_CONCEPTS", 4)
    backends.encoder.max_texts = 2
    put = backends.storage.replies["POST /v1/concepts"]
    embedded: list[int] = []
    arrived = threading.Semaphore(0)

    def slow(body: Any) -> Any:
        # Two are being stored, four wait: embedding waits for storage then.
        for _ in range(3 if not embedded else 0):
            assert arrived.acquire(timeout=10)
        embedded.append(sum(backends.sizes("embedding", "POST /embed", "texts")))
        return put(body)

    embed = backends.embedding.replies["POST /embed"]

    def counted(body: Any) -> Any:
        arrived.release()
        return embed(body)

    backends.storage.replies["POST /v1/concepts"] = slow
    backends.embedding.replies["POST /embed"] = counted
    with backends.hybrid() as client:
        assert client.post("/learn", json={"texts": [f"text {n}" for n in range(40)]}).json()["learned"] == 40
    assert max(backends.sizes("storage", "POST /v1/concepts", "concepts")) <= 4
    assert embedded[0] <= 6


def test_groups_are_within_storages_limits(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "GROUP", 10**6)
    monkeypatch.setattr(learning, "BATCH_CONCEPTS", 10**6)
    small_model(backends)
    texts = [" ".join(f"{letter}{number}" for number in range(2_000)) for letter in "abcdefgh"]
    with backends.hybrid() as client:
        assert client.post("/learn", json={"texts": texts}).json()["learned"] == 8
    sizes = backends.sizes("storage", "POST /v1/concepts", "concepts")
    assert sizes[0] == storage.BATCH_CONCEPTS
    assert sum(sizes) == len(backends.concepts) > 1_500


def test_what_was_stored_before_embedding_failed_remains(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "GROUP", 2)
    backends.encoder.max_texts = 2
    embed = backends.embedding.replies["POST /embed"]
    failing = (500, {"error": {"code": "internal_error", "message": "m"}})
    backends.embedding.replies["POST /embed"] = lambda body: failing if "4" in body["texts"] else embed(body)
    with backends.hybrid() as client:
        assert code(client.post("/learn", json={"texts": list("012345")})) == (502, "embedding_failed")
        # The request that was running has ended.
        assert {identify(text) for text in "01"} <= set(backends.concepts) <= {identify(text) for text in "0123"}
        backends.embedding.replies["POST /embed"] = embed
        assert client.post("/learn", json={"texts": list("012345")}).json()["learned"] == 6
    assert len(backends.concepts) == 6


def test_embedding_ends_when_storing_failed(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "GROUP", 2)
    backends.encoder.max_texts = 2
    backends.storage.replies["POST /v1/concepts"] = (507, {"error": {"code": "full", "message": "no space"}})
    with backends.hybrid() as client:
        answer = client.post("/learn", json={"texts": [str(number) for number in range(200)]})
    assert code(answer) == (507, "full")
    assert sum(backends.sizes("embedding", "POST /embed", "texts")) < 200


@pytest.mark.parametrize(
    "passages",
    [
        [],
        [[]],
        [[{"start": 0, "end": 3}], [{"start": 0, "end": 3}]],
        [[{"start": 3, "end": 3}]],
        [[{"start": 0, "end": 9_999}]],
        [[{"start": -1, "end": 3}]],
        [[{"start": 4, "end": 9}, {"start": 0, "end": 3}]],
        [[{"start": 0, "end": 5}, {"start": 5, "end": 6}]],
        [[{"start": "0", "end": None}]],
        {},
    ],
)
def test_wrong_passages_are_an_error(backends: Backends, passages: Any) -> None:
    backends.embedding.replies["POST /passages"] = (200, {"passages": passages, "max_tokens": 256})
    with backends.hybrid() as client:
        assert code(client.post("/learn", json={"texts": ["word0 word" * 100]})) == (502, "embedding_failed")
    assert backends.storage.requests == []


def test_long_texts_are_cut_in_batches(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "CUT_CHARACTERS", 1_000)
    texts = [f"{letter} " * 200 for letter in "abcdef"] + ["g " * 3_000]
    with backends.hybrid() as client:
        assert client.post("/learn", json={"texts": texts}).json()["learned"] == 7
    assert backends.sizes("embedding", "POST /passages", "texts") == [2, 2, 2, 1]
