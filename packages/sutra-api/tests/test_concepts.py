"""Teaching, listing and deleting texts, against a hybrid that does it."""

from collections.abc import Iterator
from typing import Any

import fake_service
import fakes
import pytest
from starlette.testclient import TestClient
from sutra_service.settings import Environment

from sutra_api import application, keys

KEY = "key of anna"


@pytest.fixture
def hybrid() -> Iterator[tuple[fakes.FakeHybrid, str]]:
    with fakes.running(fakes.FakeHybrid()) as running:
        yield running


@pytest.fixture
def client(hybrid: tuple[fakes.FakeHybrid, str]) -> Iterator[TestClient]:
    with connect(HYBRID_URL=hybrid[1]) as client:
        yield client


def connect(**variables: str) -> TestClient:
    nowhere = fake_service.closed_url()
    urls = dict.fromkeys(("HYBRID_URL", "STORAGE_URL", "INGESTER_URL"), nowhere)
    entry = f"anna:{keys.digest(KEY).hex()}"
    environment = Environment({**urls, "SUTRA_API_KEYS": entry, **variables})
    app = application.create(application.read_settings(environment), environment, clock=lambda: 0.0)
    return TestClient(app, headers={"X-API-Key": KEY}, raise_server_exceptions=False)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_what_is_known_about_a_text_is_kept(client: TestClient, hybrid: tuple[fakes.FakeHybrid, str]) -> None:
    metadata = {"n": 1234567890123456789, "x": [0.1, None, {"ü": True}], "a": "😀"}
    texts = ["a", {"text": " b ", "source": " s.md", "title": "T", "metadata": metadata}, {"text": "c", "source": None}]
    answer = client.post("/api/learn", json={"texts": texts})
    assert (answer.status_code, answer.json()) == (200, {"learned": 3, "ids": ["a", "b", "c"]})
    assert client.get("/api/concepts/b").json() == {
        "id": "b",
        "text": "b",
        "source": " s.md",
        "title": "T",
        "metadata": metadata,
    }
    assert hybrid[0].texts["c"] == {"id": "c", "text": "c"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e400", "-9223372036854775809"])
def test_a_number_that_cannot_be_kept_is_rejected(client: TestClient, number: str) -> None:
    body = f'{{"texts": [{{"text": "a", "metadata": {{"n": [{number}]}}}}]}}'
    answer = client.post("/api/learn", content=body, headers={"Content-Type": "application/json"})
    assert code(answer) == (422, "invalid_request")
    assert "body.texts[0].metadata: has a number out of range" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("depth", "status"), [(900, 422), (200_000, 400)])
def test_deep_nesting_is_rejected(client: TestClient, depth: int, status: int) -> None:
    body = f'{{"texts": [{{"text": "a", "metadata": {{"a": {"[" * depth}{"]" * depth}}}}}]}}'
    answer = client.post("/api/learn", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status


def test_all_pages_of_a_source(client: TestClient) -> None:
    source = "a b/ü?&#%.md"
    texts = [{"text": f"text {n}", "source": source if n % 2 else "other"} for n in range(20)]
    client.post("/api/learn", json={"texts": texts})
    found: list[str] = []
    query: dict[str, Any] = {"source": source, "limit": 3}
    while True:
        page = client.get("/api/concepts", params=query).json()
        found += [concept["text"] for concept in page["concepts"]]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert found == sorted(f"text {n}" for n in range(1, 20, 2))
    assert client.get("/api/sources").json()["sources"] == [
        {"source": source, "concepts": 10},
        {"source": "other", "concepts": 10},
    ]
    page = client.get("/api/sources", params={"limit": 1}).json()
    assert (page["sources"][0]["source"], page["next"]) == (source, source)
    assert client.get("/api/sources", params={"cursor": page["next"]}).json()["sources"][0]["source"] == "other"
    assert code(client.get("/api/concepts", params={"cursor": "nonsense"})) == (400, "invalid_cursor")
    assert code(client.get("/api/sources", params={"cursor": "nonsense"})) == (400, "invalid_cursor")


def test_texts_are_deleted(client: TestClient, hybrid: tuple[fakes.FakeHybrid, str]) -> None:
    texts = ["a/b 100 % one? #2 ü", {"text": "two", "source": "s t"}, {"text": "three", "source": "s t"}]
    client.post("/api/learn", json={"texts": texts})
    assert (
        client.get("/api/concepts/a%2Fb%20100%20%25%20one%3F%20%232%20%C3%BC").json()["text"] == "a/b 100 % one? #2 ü"
    )
    assert client.delete("/api/concepts/a%2Fb%20100%20%25%20one%3F%20%232%20%C3%BC").json() == {"deleted": 1}
    assert code(client.delete("/api/concepts/one")) == (404, "not_found")
    for path in ("/api/concepts/..", "/api/concepts/"):
        assert code(client.get(path)) == code(client.delete(path)) == (404, "not_found")
    assert client.delete("/api/concepts?source=s%20t").json() == {"deleted": 2}
    assert client.delete("/api/concepts?source=s%20t").json() == {"deleted": 0}
    assert hybrid[0].texts == {}


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("DELETE", "/api/concepts", "query.source"),
        ("DELETE", "/api/concepts?source=", "query.source"),
        ("DELETE", "/api/concepts?source=%20", "query.source: must not be blank"),
        ("DELETE", "/api/concepts?source=a&source=b", "query.source: given more than once"),
        ("DELETE", "/api/concepts?source=%ff", "not percent-encoded UTF-8"),
        ("DELETE", f"/api/concepts?source={'s' * 501}", "query.source"),
        ("DELETE", "/api/concepts?source=a&limit=1", "query.limit"),
        ("GET", "/api/concepts?limit=0", "query.limit"),
        ("GET", "/api/concepts?limit=201", "query.limit"),
        ("GET", "/api/concepts?limit=all", "query.limit"),
        ("GET", "/api/concepts?cursor=", "query.cursor"),
        ("GET", "/api/concepts?sauce=a", "query.sauce"),
        ("GET", "/api/sources?source=a", "query.source"),
        ("GET", "/api/sources?" + "&".join(f"f{n}=1" for n in range(21)), "more than 20 fields"),
    ],
)
def test_an_invalid_query_is_explained(method: str, path: str, words: str) -> None:
    with fake_service.running() as hybrid, connect(HYBRID_URL=hybrid.url) as client:
        answer = client.request(method, path)
        assert code(answer) == (422, "invalid_request")
        assert words in answer.json()["error"]["message"]
        assert hybrid.requests == []


@pytest.mark.parametrize("path", ["/api/concepts", "/api/sources", "/api/capabilities"])
def test_a_404_for_a_route_is_reported_as_a_wrong_url(path: str) -> None:
    with fake_service.running() as hybrid, connect(HYBRID_URL=hybrid.url) as client:
        hybrid.replies = {f"GET {path[4:]}?limit=50": (404, {"error": {"code": "not_found", "message": "m"}})}
        answer = client.get(path)
    assert code(answer) == (502, "hybrid_failed")
    assert "HYBRID_URL" in answer.json()["error"]["message"]


def test_topics_and_capabilities_are_passed_on() -> None:
    with fake_service.running() as hybrid, connect(HYBRID_URL=hybrid.url) as client:
        hybrid.replies["GET /capabilities"] = (200, {"edition": "simple", "capabilities": ["topics"]})
        assert client.get("/api/capabilities").json() == {"edition": "simple", "capabilities": ["topics"]}
        hybrid.replies["POST /topics"] = lambda body: (200, {"topics": [{"terms": [body["question"]], "concepts": []}]})
        answer = client.post("/api/topics", json={"question": " why? ", "topics": 3})
        assert answer.json() == {"topics": [{"terms": ["why?"], "concepts": []}]}
        assert hybrid.requests[-1] == ("POST /topics", {"question": "why?", "limit": 50, "topics": 3})
        refusal = {"error": {"code": "not_in_edition", "message": "use edition community"}}
        hybrid.replies["POST /topics"] = (403, refusal)
        answer = client.post("/api/topics", json={"question": "why?"})
    assert (answer.status_code, answer.json()) == (403, refusal)


@pytest.mark.parametrize(
    ("variable", "path"), [("SUTRA_API_LEARN_SECONDS", "/api/learn"), ("SUTRA_API_DEADLINE_SECONDS", "/api/query")]
)
def test_learning_has_a_time_limit_of_its_own(variable: str, path: str) -> None:
    body = {"texts": ["a"]} if path == "/api/learn" else {"question": "a"}
    with fake_service.running() as hybrid, connect(HYBRID_URL=hybrid.url, **{variable: "1"}) as client:
        hybrid.gate.clear()
        answer = client.post(path, json=body)
    assert code(answer) == (504, "hybrid_timeout")
    assert "within 1 s" in answer.json()["error"]["message"]
