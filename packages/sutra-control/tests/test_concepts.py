import logging
from typing import Any
from urllib.parse import quote

import fake_service
import neighbours
import pytest
from conftest import Stack
from starlette.testclient import TestClient

LONG = {
    "id": "b" * 32,
    "text": "The first passage.",
    "source": "guide.md",
    "title": "A guide",
    "metadata": {"page": 7, "tags": ["x"]},
    "passages": 3,
}
TEXTS = [
    {"id": "a" * 32, "text": "A note without a source."},
    LONG,
    {"id": "c" * 32, "text": "Another.", "source": "guide.md"},
    {"id": "d" * 32, "text": "Of a source with an odd name.", "source": "a&b=c?d #1/é"},
]


@pytest.fixture
def hybrid(stack: Stack) -> neighbours.FakeHybrid:
    fake = stack.fakes["hybrid"]
    assert isinstance(fake, neighbours.FakeHybrid)
    fake.texts = list(TEXTS)
    return fake


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [concept["id"][0] for concept in answer.json()["concepts"]]


def test_all_texts_page_by_page(stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid) -> None:
    first = operator.get("/api/concepts?limit=3")
    assert first.json()["concepts"] == TEXTS[:3]
    second = operator.get("/api/concepts", params={"limit": 3, "cursor": first.json()["next"]})
    assert second.json() == {"concepts": TEXTS[3:], "next": None}
    assert ids(operator.get("/api/concepts")) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("source", "found"), [("guide.md", "bc"), ("a&b=c?d #1/é", "d"), ("none", ""), ("", "abcd")])
def test_texts_of_a_source(
    stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid, source: str, found: str
) -> None:
    assert ids(operator.get("/api/concepts", params={"source": source})) == list(found)


def test_ids_of_other_clients(operator: TestClient, hybrid: neighbours.FakeHybrid) -> None:
    for name in ("docs/a", "docs/a/b?c#d e", "é" * 128):
        hybrid.texts = [{"id": name, "text": "A text."}]
        path = f"/api/concepts/{quote(name, safe='')}"
        assert operator.get(path).json()["text"] == "A text."
        assert operator.delete(path).json() == {"deleted": 1}


def test_a_cursor_of_a_long_source_is_passed_on(operator: TestClient, hybrid: neighbours.FakeHybrid) -> None:
    answer = operator.get("/api/sources", params={"cursor": "k" + "e9" * 2000})
    assert answer.json()["error"]["code"] != "invalid_request"


def test_a_whole_text(stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid) -> None:
    answer = operator.get(f"/api/concepts/{LONG['id']}")
    assert (answer.status_code, answer.json()) == (200, LONG)
    assert answer.headers["Cache-Control"] == "no-store"


def test_sources(stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid) -> None:
    everything = [{"source": "a&b=c?d #1/é", "concepts": 1}, {"source": "guide.md", "concepts": 4}]
    assert operator.get("/api/sources").json() == {"sources": everything, "next": None}
    first = operator.get("/api/sources?limit=1").json()
    assert operator.get("/api/sources", params={"cursor": first["next"]}).json()["sources"] == everything[1:]


def test_deleting_a_text(
    stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = operator.delete(f"/api/concepts/{LONG['id']}")
    assert (answer.status_code, answer.json()) == (200, {"deleted": 1})
    assert ids(operator.get("/api/concepts")) == ["a", "c", "d"]
    assert operator.delete(f"/api/concepts/{LONG['id']}").status_code == 404
    [record] = [record for record in caplog.records if record.message == "deleted a text"]
    assert (record.operator, record.concept) == ("anna", LONG["id"])  # type: ignore[attr-defined]


@pytest.mark.parametrize(("source", "deleted", "left"), [("guide.md", 4, "ad"), ("a&b=c?d #1/é", 1, "abc")])
def test_deleting_a_source(
    stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid, source: str, deleted: int, left: str
) -> None:
    answer = operator.delete("/api/concepts", params={"source": source})
    assert (answer.status_code, answer.json()) == (200, {"deleted": deleted})
    assert ids(operator.get("/api/concepts")) == list(left)


@pytest.mark.parametrize("path", ["/api/concepts", "/api/concepts?source=", f"/api/concepts?source={'x' * 501}"])
def test_nothing_is_deleted_without_a_source(
    stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid, path: str
) -> None:
    answer = operator.delete(path)
    assert answer.status_code == 422
    assert "query.source" in answer.json()["error"]["message"]
    assert hybrid.texts == TEXTS
    assert not any(request.startswith("DELETE") for request, _ in hybrid.requests)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("concept_id", ["e" * 32, "a%20b%3Fc", "%23"])
def test_an_unknown_text(
    stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid, method: str, concept_id: str
) -> None:
    answer = operator.request(method, f"/api/concepts/{concept_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert f"{method} /concepts/{concept_id}" in [request for request, _ in hybrid.requests]


@pytest.mark.parametrize("path", ["/api/concepts", "/api/sources"])
def test_invalid_parameters(stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid, path: str) -> None:
    for limit in ("0", "201", "x"):
        assert operator.get(f"{path}?limit={limit}").status_code == 422
    answer = operator.get(f"{path}?cursor=nonsense")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_cursor")


def test_fields_of_another_kind_are_left_out(stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid) -> None:
    hybrid.texts = [{"id": "1", "text": "x", "source": 7, "title": None, "metadata": [], "passages": True, "more": 1}]
    assert operator.get("/api/concepts").json()["concepts"] == [{"id": "1", "text": "x"}]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("GET /concepts", {"concepts": {}}),
        ("GET /concepts", {"concepts": [{"id": "1"}]}),
        ("GET /concepts", {"concepts": [], "next": 7}),
        ("GET /concepts", []),
        ("GET /sources", {"sources": [{"source": "x", "concepts": "1"}]}),
        ("GET /sources", {"sources": ["x"]}),
        ("GET /concepts/1", {"id": "1", "text": None}),
        ("DELETE /concepts/1", {"deleted": True}),
        ("DELETE /concepts/1", {}),
    ],
)
def test_an_unexpected_answer(stack: Stack, operator: TestClient, request_: str, reply: Any) -> None:
    stack.fakes["hybrid"].replies[request_] = (200, reply)
    method, path = request_.split()
    answer = operator.request(method, f"/api{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "hybrid_failed")
    assert "unexpected answer" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path"), [("GET", "concepts"), ("GET", "sources"), ("DELETE", "concepts/1")])
def test_a_hybrid_that_is_down(stack: Stack, method: str, path: str) -> None:
    with stack.operator(HYBRID_URL=fake_service.closed_url()) as client:
        answer = client.request(method, f"/api/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "hybrid_unreachable")


def test_a_storage_that_is_down_behind_hybrid(
    stack: Stack, operator: TestClient, hybrid: neighbours.FakeHybrid
) -> None:
    hybrid.replies["GET /concepts"] = neighbours.error(503, "storage_unreachable", "cannot reach storage")
    answer = operator.get("/api/concepts")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "hybrid_not_ready")
    assert "cannot reach storage" in answer.json()["error"]["message"]
