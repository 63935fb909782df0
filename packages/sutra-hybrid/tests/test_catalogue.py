"""Lists, shows and deletes texts."""

from typing import Any
from urllib.parse import quote

import pytest
from backends import Backends, code
from starlette.testclient import TestClient

from sutra_hybrid import catalogue

TOKENS = 12
LONG = "\n\n".join(f"Paragraph {number} of the long text." for number in range(30))
SHORTER = LONG[:300]
ABOUT = {"source": "handbook.md", "title": "Handbook", "metadata": {"page": 3, "draft": None, "tags": [None]}}


def teach(backends: Backends, client: TestClient, texts: list[Any]) -> list[str]:
    backends.encoder.max_tokens = TOKENS
    ids: list[str] = client.post("/learn", json={"texts": texts}).json()["ids"]
    backends.storage.requests.clear()
    return ids


def pages(client: TestClient, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages of the list."""
    found: list[list[dict[str, Any]]] = []
    while True:
        reply = client.get("/concepts", params=query).json()
        found.append(reply["concepts"])
        if "next" not in reply:
            return found
        query["cursor"] = reply["next"]


def test_texts_are_listed_with_what_is_known_about_them(backends: Backends) -> None:
    with backends.hybrid() as client:
        short, long = teach(backends, client, ["short", {"text": LONG, **ABOUT}])
        reply = client.get("/concepts").json()
    count = len(backends.concepts) - 1
    assert count > 10
    assert reply == {
        "concepts": sorted(
            [
                {"id": short, "text": "short"},
                {"id": long, "text": backends.concepts[long]["text"], **ABOUT, "passages": count},
            ],
            key=lambda text: str(text["id"]),
        )
    }


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50, 200])
@pytest.mark.parametrize("page", [1, 3, 1000])
def test_every_text_is_listed_once(backends: Backends, limit: int, page: int) -> None:
    backends.store.page_concepts = page
    with backends.hybrid() as client:
        texts = [f"short {number}" for number in range(12)] + [f"{SHORTER} {number}" for number in range(3)]
        ids = teach(backends, client, texts)
        found = pages(client, limit=limit)
    assert [text["id"] for texts in found for text in texts] == sorted(ids)
    assert max(map(len, found)) <= limit
    if page == 1000:
        # Full pages, but for the last two: the last one may only have passages.
        assert {len(texts) for texts in found[:-2]} <= {limit}


def test_a_page_ends_after_some_calls(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MAX_CALLS", 2)
    backends.store.page_concepts = 3
    with backends.hybrid() as client:
        [name] = teach(backends, client, [LONG])
        found = pages(client)
    assert [[text["id"] for text in texts] for texts in found] == [[name], *[[] for _ in found[1:]]]
    assert len(found) > 1


def test_missing_passages_do_not_make_a_page_too_long(backends: Backends) -> None:
    with backends.hybrid() as client:
        long = teach(backends, client, [LONG])[0]
        others = teach(backends, client, [f"short {number}" for number in range(100)])
        for number in range(3, 12):
            backends.store.concepts.pop(f"{long}-{number}", None)
        found = pages(client, limit=2)
    assert sorted(text["id"] for texts in found for text in texts) == sorted([long, *others])
    assert max(map(len, found)) == 2


def test_the_list_of_a_source(backends: Backends) -> None:
    with backends.hybrid() as client:
        source = "a&b=c \u00e4/\u6f22.md"
        ids = teach(backends, client, ["x", {"text": "y", "source": source}, {"text": LONG, "source": source}])
        found = pages(client, source=source, limit=1)
        assert pages(client, source="unknown") == [[]]
    assert [text["id"] for texts in found for text in texts] == sorted(ids[1:])


def test_a_long_text_is_shown_as_a_whole(backends: Backends) -> None:
    with backends.hybrid() as client:
        [name] = teach(backends, client, [{"text": LONG, **ABOUT}])
        shown = client.get(f"/concepts/{name}").json()
    assert shown == {"id": name, "text": LONG, **ABOUT, "passages": len(backends.concepts)}


def test_a_missing_passage_is_a_gap(backends: Backends) -> None:
    with backends.hybrid() as client:
        [name] = teach(backends, client, [LONG])
        gone = backends.store.concepts.pop(f"{name}-2")
        # Something else took its place.
        backends.store.concepts[f"{name}-3"]["metadata"] = {"passage": "other"}
        text = client.get(f"/concepts/{name}").json()["text"]
    assert gone["text"] not in text
    assert text.startswith(f"{backends.concepts[name]['text']} \u2026 ")
    assert text.count(" \u2026 ") == 1
    assert text.endswith(LONG[-100:])


def test_a_text_of_another_client(backends: Backends) -> None:
    name = "folder/file #1?.txt"
    backends.store.concepts[name] = {"id": name, "text": "t", "vector": [1.0], "metadata": {"of": "smoke"}}
    with backends.hybrid() as client:
        assert client.get(f"/concepts/{quote(name, safe='')}").json() == {"id": name, "text": "t"}
        assert client.delete(f"/concepts/{quote(name, safe='')}").json() == {"deleted": 1}
    assert backends.concepts == {}


@pytest.mark.parametrize("name", ["0" * 32, "unknown", "", "%00", "a" * 300, "..", "a/b"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_text(backends: Backends, method: str, name: str) -> None:
    with backends.hybrid() as client:
        answer = client.request(method, f"/concepts/{name}")
        dependencies = client.get("/health").json()["dependencies"]
    assert code(answer) == (404, "not_found")
    assert dependencies["storage"] in ("ok", "unknown")


def test_a_passage_is_not_a_text(backends: Backends) -> None:
    with backends.hybrid() as client:
        [name] = teach(backends, client, [LONG])
        for method in ("GET", "DELETE"):
            answer = client.request(method, f"/concepts/{name}-2")
            assert code(answer) == (404, "not_found")
            assert f"it is passage 2 of {name}; use that id" in answer.json()["error"]["message"]


def test_a_text_is_deleted_with_its_passages(backends: Backends) -> None:
    with backends.hybrid() as client:
        [long, other] = teach(backends, client, [LONG, f"{LONG} and more"])
        before = len(backends.concepts)
        count = client.get(f"/concepts/{long}").json()["passages"]
        answer = client.delete(f"/concepts/{long}")
        assert (answer.status_code, answer.json()) == (200, {"deleted": 1})
        assert {name[:32] for name in backends.concepts} == {other}
        assert len(backends.concepts) == before - count
        assert code(client.delete(f"/concepts/{long}")) == (404, "not_found")


def test_the_first_passage_is_deleted_last(backends: Backends) -> None:
    with backends.hybrid() as client:
        [name] = teach(backends, client, [LONG])
        client.delete(f"/concepts/{name}")
    [(_, body)] = [request for request in backends.storage.requests if request[0] == "POST /v1/delete"]
    assert body["ids"][-1] == name
    assert len(body["ids"]) > 2


def test_a_text_that_somebody_else_deletes_at_the_same_time(backends: Backends) -> None:
    with backends.hybrid() as client:
        [name] = teach(backends, client, ["a"])
        backends.storage.replies["POST /v1/delete"] = (200, {"deleted": 0})
        assert code(client.delete(f"/concepts/{name}")) == (404, "not_found")


def test_a_source_is_deleted(backends: Backends) -> None:
    with backends.hybrid() as client:
        kept = teach(backends, client, ["x", {"text": "y", "source": "b"}])
        teach(backends, client, [{"text": LONG, "source": "a b&c"}, {"text": "z", "source": "a b&c"}])
        count = len(backends.concepts) - 2
        answer = client.delete("/concepts", params={"source": "a b&c"})
        assert (answer.status_code, answer.json()) == (200, {"deleted": count})
        assert sorted(backends.concepts) == sorted(kept)
        assert client.delete("/concepts", params={"source": "a b&c"}).json() == {"deleted": 0}


def test_sources_are_listed(backends: Backends) -> None:
    with backends.hybrid() as client:
        texts = [{"text": f"{name} {number}", "source": name} for name in "cab" for number in range(ord(name) - 96)]
        teach(backends, client, ["no source", *texts])
        first = client.get("/sources", params={"limit": 2}).json()
        second = client.get("/sources", params={"limit": 2, "cursor": first["next"]}).json()
    assert first["sources"] == [{"source": "a", "concepts": 1}, {"source": "b", "concepts": 2}]
    assert second == {"sources": [{"source": "c", "concepts": 3}]}


@pytest.mark.parametrize("path", ["/concepts", "/sources"])
def test_an_invalid_cursor_is_passed_on(backends: Backends, path: str) -> None:
    with backends.hybrid() as client:
        answer = client.get(path, params={"cursor": "no cursor"})
        assert client.get("/health").json()["dependencies"]["storage"] in ("ok", "unknown")
    assert code(answer) == (400, "invalid_cursor")
    assert "use the value of `next`" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "/concepts?limit=0", "query.limit"),
        ("GET", "/concepts?limit=201", "query.limit"),
        ("GET", "/concepts?limit=x", "query.limit"),
        ("GET", "/concepts?source=", "query.source"),
        ("GET", "/sources?limit=1001", "query.limit"),
        ("DELETE", "/concepts", "query.source"),
        ("DELETE", "/concepts?source=", "query.source"),
    ],
)
def test_an_invalid_query_is_explained_and_not_forwarded(
    backends: Backends, method: str, path: str, words: str
) -> None:
    with backends.hybrid() as client:
        answer = client.request(method, path)
    assert code(answer) == (422, "invalid_request")
    assert words in answer.json()["error"]["message"]
    assert backends.storage.requests == []


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/concepts", "GET /v1/concepts?limit=50"),
        ("GET", "/concepts/a", "GET /v1/concepts/a"),
        ("DELETE", "/concepts/a", "GET /v1/concepts/a"),
        ("DELETE", "/concepts?source=s", "DELETE /v1/concepts?source=s"),
        ("GET", "/sources", "GET /v1/sources?limit=100"),
    ],
)
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((200, b"<html>"), (502, "storage_failed")),
        ((200, {"concepts": 1}), (502, "storage_failed")),
        ((500, {}), (502, "storage_failed")),
        ((503, {"error": {"code": "unavailable", "message": "m"}}), (503, "storage_not_ready")),
    ],
)
def test_an_error_of_storage(
    backends: Backends, method: str, path: str, route: str, reply: Any, expected: tuple[int, str]
) -> None:
    backends.storage.replies[route] = reply
    with backends.hybrid() as client:
        assert code(client.request(method, path)) == expected
