from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fake_service
import pytest
from starlette.testclient import TestClient
from sutra_service.settings import Environment, SettingError

from sutra_api import application, keys
from sutra_api.limits import LIMITS

KEY = "key of anna"
ANSWER = {"answer": "yes", "citations": [{"id": "1"}], "scores": [0.5]}


@dataclass
class Api:
    """The service with a fake hybrid and storage, and a clock that tests can advance."""

    hybrid: fake_service.FakeService
    storage: fake_service.FakeService
    now: float = 0.0

    def client(self, **variables: str) -> TestClient:
        environment = Environment(
            {
                "HYBRID_URL": self.hybrid.url,
                "STORAGE_URL": self.storage.url,
                "INGESTER_URL": fake_service.closed_url(),
                "SUTRA_API_KEYS": f"anna:{keys.digest(KEY).hex()},bert:{keys.digest('key of bert').hex()}",
                **variables,
            }
        )
        app = application.create(application.read_settings(environment), environment, clock=lambda: self.now)
        return TestClient(app, headers={"X-API-Key": KEY}, raise_server_exceptions=False)


@pytest.fixture
def api() -> Iterator[Api]:
    with fake_service.running() as hybrid, fake_service.running() as storage:
        hybrid.replies["POST /learn"] = (200, {"learned": 2})
        hybrid.replies["POST /query"] = (200, ANSWER)
        storage.replies["GET /v1/stats"] = (200, {"concepts": 3})
        yield Api(hybrid, storage)


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_full_store_is_told_to_the_caller(api: Api) -> None:
    refusal = {"error": {"code": "full", "message": "the disk is full; enlarge the volume"}}
    api.hybrid.replies["POST /learn"] = (507, refusal)
    with api.client() as client:
        answer = client.post("/api/learn", json={"texts": ["a"]})
    assert (answer.status_code, answer.json()) == (507, refusal)


def test_learn(api: Api) -> None:
    with api.client() as client:
        answer = client.post("/api/learn", json={"texts": [" a ", "b"]})
    assert (answer.status_code, answer.json()) == (200, {"learned": 2})
    assert api.hybrid.requests == [("POST /learn", {"texts": ["a", "b"]})]


def test_metadata_at_its_limits(api: Api) -> None:
    metadata = [{"a": "ä" * 2044}, {"a": nested(62)}, {"a": -(2**63), "b": 2**63 - 1}]
    texts = [{"text": "a", "metadata": value} for value in metadata]
    with api.client() as client:
        assert client.post("/api/learn", json={"texts": texts}).status_code == 200
    assert api.hybrid.requests == [("POST /learn", {"texts": texts})]


def test_query(api: Api) -> None:
    with api.client() as client:
        answer = client.post("/api/query", json={"question": "why?"})
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert api.hybrid.requests == [("POST /query", {"question": "why?", "limit": 5})]


@pytest.mark.parametrize("edition", list(LIMITS))
def test_stats_and_health_show_the_editions_limits(api: Api, edition: str) -> None:
    limits = LIMITS[edition].fields()
    with api.client(SUTRA_EDITION=edition) as client:
        stats = client.get("/api/stats").json()
        health = client.get("/health").json()
    assert stats == {"edition": edition, "limits": limits, "storage": {"concepts": 3}}
    assert (health["service"], health["edition"], health["limits"]) == ("api", edition, limits)
    assert sorted(health["dependencies"]) == ["hybrid", "ingester", "storage"]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("learn", {"texts": []}, 422, "body.texts"),
        ("learn", {"texts": ["a", "  "]}, 422, "body.texts[1]"),
        ("learn", {"texts": ["a", "\x1c\x1d \x1e\x1f"]}, 422, "body.texts[1]: must not be blank"),
        ("learn", {"texts": ["a", 7]}, 422, "body.texts[1]"),
        ("learn", {"texts": "a"}, 422, "body.texts"),
        ("learn", {"texts": ["a"], "extra": 1}, 422, "body.extra"),
        ("learn", {"texts": ["a"] * 101}, 422, "101 texts, but edition simple allows at most 100"),
        ("learn", {"texts": ["a", {"text": "b" * 100_001}]}, 422, "body.texts[1]: 100001 characters"),
        ("learn", {"texts": [None]}, 422, "body.texts[0]: must be a string, or an object with a text"),
        ("learn", {"texts": [{"source": "s"}]}, 422, "body.texts[0].text"),
        ("learn", {"texts": [{"text": " "}]}, 422, "body.texts[0].text"),
        ("learn", {"texts": [{"text": "a", "sauce": "s"}]}, 422, "body.texts[0].sauce"),
        ("learn", {"texts": [{"text": "a", "source": ""}]}, 422, "body.texts[0].source"),
        ("learn", {"texts": [{"text": "a", "source": "s" * 501}]}, 422, "body.texts[0].source"),
        ("learn", {"texts": [{"text": "a", "title": " "}]}, 422, "body.texts[0].title: must not be blank"),
        ("learn", {"texts": [{"text": "a", "title": "t" * 301}]}, 422, "body.texts[0].title"),
        ("learn", {"texts": [{"text": "a", "metadata": [1]}]}, 422, "body.texts[0].metadata"),
        ("learn", {"texts": [{"text": "a", "metadata": {"a": "x" * 4089}}]}, 422, "metadata: has 4097 bytes"),
        ("learn", {"texts": [{"text": "a", "metadata": {"a": nested(63)}}]}, 422, "nested at most 64 levels deep"),
        ("learn", {"texts": [{"text": "a", "metadata": {"a": [2**63]}}]}, 422, "metadata: has a number out of range"),
        ("topics", {"question": "a", "topics": 11}, 422, "body.topics"),
        ("topics", {"question": "a" * 2_001}, 422, "body.question"),
        ("learn", {"texts": ["a" * 1_000_000]}, 413, "1000000 bytes"),
        ("query", {"question": ""}, 422, "body.question"),
        ("query", {"question": "\x1c"}, 422, "body.question"),
        ("query", {"question": "a" * 2_001}, 422, "body.question"),
        ("query", {"question": "a", "limit": 0}, 422, "body.limit"),
        ("query", {"question": "a", "limit": "5"}, 422, "body.limit"),
        ("query", {"question": "a", "limit": 11}, 422, "body.limit"),
        ("query", {"limit": 3}, 422, "body.question"),
    ],
)
def test_an_invalid_request_is_explained_and_not_forwarded(
    api: Api, path: str, body: Any, status: int, words: str
) -> None:
    with api.client() as client:
        answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert api.hybrid.requests == []


def test_a_larger_edition_has_higher_limits(api: Api) -> None:
    with api.client(SUTRA_EDITION="enterprise") as client:
        assert client.post("/api/learn", json={"texts": ["a"] * 1000}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
    ],
)
def test_both_ways_to_send_a_key(api: Api, headers: dict[str, str]) -> None:
    with api.client() as client:
        client.headers.pop("X-API-Key")
        assert client.get("/api/stats", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "wrong", "k" * 600, keys.digest(KEY).hex()])
@pytest.mark.parametrize("path", ["/api/stats", "/api/learn", "/api", "/api/nowhere"])
def test_a_request_without_a_valid_key_is_rejected(api: Api, key: str, path: str) -> None:
    with api.client() as client:
        answer = client.post(path, headers={"X-API-Key": key}, json={"texts": []})
    assert code(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert api.storage.requests == api.hybrid.requests == []


def test_every_request_is_rejected_if_no_key_is_configured(api: Api) -> None:
    with api.client(SUTRA_API_KEYS="") as client:
        answer = client.get("/api/stats")
        assert client.get("/health").status_code == 200
    assert code(answer) == (503, "no_api_keys")
    assert "sutra_api.keys new" in answer.json()["error"]["message"]


def test_health_and_openapi_need_no_key(api: Api) -> None:
    with api.client() as client:
        client.headers.pop("X-API-Key")
        assert client.get("/health").status_code == 200
        document = client.get("/openapi.json").json()
        assert code(client.get("/docs")) == (404, "not_found")
    assert {"/api/learn", "/api/query", "/api/stats"} <= set(document["paths"])
    assert len(document["components"]["securitySchemes"]) == 2


def test_the_rate_limit_applies_to_each_key_separately(api: Api) -> None:
    with api.client(SUTRA_API_RATE_BURST="2", SUTRA_API_RATE_PER_MINUTE="6") as client:
        assert [client.get("/api/stats").status_code for _ in range(2)] == [200, 200]
        refused = client.get("/api/stats")
        other = client.get("/api/stats", headers={"X-API-Key": "key of bert"})
        api.now += 10
        again = client.get("/api/stats")
    assert code(refused) == (429, "too_many_requests")
    assert refused.headers["Retry-After"] == "10"
    assert (other.status_code, again.status_code) == (200, 200)


def test_a_valid_key_works_after_too_many_invalid_ones(api: Api) -> None:
    with api.client(SUTRA_API_FAILURES_BURST="2") as client:
        answers = [client.get("/api/stats", headers={"X-API-Key": f"guess {n}"}) for n in range(3)]
        right = client.get("/api/stats")
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert right.status_code == 200


@pytest.mark.parametrize("path", ["learn", "query"])
def test_an_unreachable_dependency_is_named(api: Api, path: str) -> None:
    body = {"texts": ["a"]} if path == "learn" else {"question": "a"}
    with api.client(HYBRID_URL=fake_service.closed_url()) as client:
        answer = client.post(f"/api/{path}", json=body)
        health = client.get("/health")
    assert code(answer) == (503, "hybrid_unreachable")
    assert "HYBRID_URL" in answer.json()["error"]["message"]
    assert (health.status_code, health.json()["dependencies"]["hybrid"]) == (200, "unreachable")


@pytest.mark.parametrize("content", [[], {"answer": "no citations"}, b"<html>"])
def test_an_unexpected_answer_of_hybrid(api: Api, content: Any) -> None:
    api.hybrid.replies["POST /query"] = (200, content)
    with api.client() as client:
        assert code(client.post("/api/query", json={"question": "a"})) == (502, "hybrid_failed")


@pytest.mark.parametrize("path", ["learn", "query"])
def test_client_errors_of_hybrid_are_passed_on(api: Api, path: str) -> None:
    refusal = {"error": {"code": "beyond_limit", "message": "texts[0] is 70000 bytes long"}}
    api.hybrid.replies[f"POST /{path}"] = (422, refusal)
    with api.client() as client:
        answer = client.post(f"/api/{path}", json={"texts": ["a"]} if path == "learn" else {"question": "a"})
    assert (answer.status_code, answer.json()) == (422, refusal)


def test_a_404_of_hybrid_is_reported_as_a_wrong_url(api: Api) -> None:
    refusal = {"error": {"code": "not_found", "message": "not found: /query"}}
    api.hybrid.replies["POST /query"] = (404, refusal)
    with api.client() as client:
        answer = client.post("/api/query", json={"question": "a"})
    assert code(answer) == (502, "hybrid_failed")
    assert "HYBRID_URL" in answer.json()["error"]["message"]


def test_client_errors_of_storage_are_not_passed_on(api: Api) -> None:
    api.storage.replies["GET /v1/stats"] = (404, {"error": {"code": "not_found", "message": "m"}})
    with api.client() as client:
        assert code(client.get("/api/stats")) == (502, "storage_failed")


def test_a_server_error_of_storage(api: Api) -> None:
    api.storage.replies["GET /v1/stats"] = (500, {"error": {"code": "disk_full", "message": "no space"}})
    with api.client() as client:
        answer = client.get("/api/stats")
    assert code(answer) == (502, "storage_failed")
    assert "disk_full" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["SUTRA_API_RATE_BURST", "SUTRA_API_DEADLINE_SECONDS", "HYBRID_URL", "SUTRA_API_KEYS"])
def test_an_invalid_setting_is_reported(api: Api, name: str) -> None:
    with pytest.raises(SettingError, match=name):
        api.client(**{name: "nonsense"})
