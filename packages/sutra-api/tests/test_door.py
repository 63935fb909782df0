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
class Door:
    """The service between a fake hybrid and a fake storage, on a clock that the test moves."""

    hybrid: fake_service.FakeService
    storage: fake_service.FakeService
    now: float = 0.0

    def open(self, **variables: str) -> TestClient:
        environment = Environment(
            {
                "HYBRID_URL": self.hybrid.url,
                "STORAGE_URL": self.storage.url,
                "SUTRA_API_KEYS": f"anna:{keys.digest(KEY).hex()},bert:{keys.digest('key of bert').hex()}",
                **variables,
            }
        )
        app = application.create(application.read_settings(environment), environment, clock=lambda: self.now)
        return TestClient(app, headers={"X-API-Key": KEY}, raise_server_exceptions=False)


@pytest.fixture
def door() -> Iterator[Door]:
    with fake_service.running() as hybrid, fake_service.running() as storage:
        hybrid.replies["POST /learn"] = (200, {"learned": 2})
        hybrid.replies["POST /query"] = (200, ANSWER)
        storage.replies["GET /v1/stats"] = (200, {"concepts": 3})
        yield Door(hybrid, storage)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_learn(door: Door) -> None:
    with door.open() as client:
        answer = client.post("/api/learn", json={"texts": [" a ", "b"]})
    assert (answer.status_code, answer.json()) == (200, {"learned": 2})
    assert door.hybrid.requests == [("POST /learn", {"texts": ["a", "b"]})]


def test_query(door: Door) -> None:
    with door.open() as client:
        answer = client.post("/api/query", json={"question": "why?"})
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert door.hybrid.requests == [("POST /query", {"question": "why?", "limit": 5})]


@pytest.mark.parametrize("edition", list(LIMITS))
def test_stats_and_health_show_the_editions_limits(door: Door, edition: str) -> None:
    limits = LIMITS[edition].fields()
    with door.open(SUTRA_EDITION=edition) as client:
        stats = client.get("/api/stats").json()
        health = client.get("/health").json()
    assert stats == {"edition": edition, "limits": limits, "storage": {"concepts": 3}}
    assert (health["service"], health["edition"], health["limits"]) == ("api", edition, limits)
    assert sorted(health["dependencies"]) == ["hybrid", "storage"]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("learn", {"texts": []}, 422, "body.texts"),
        ("learn", {"texts": ["a", "  "]}, 422, "body.texts[1]"),
        ("learn", {"texts": ["a", "\x1c\x1d \x1e\x1f"]}, 422, "body.texts[1]: must hold more than white space"),
        ("learn", {"texts": ["a", 7]}, 422, "body.texts[1]"),
        ("learn", {"texts": "a"}, 422, "body.texts"),
        ("learn", {"texts": ["a"], "extra": 1}, 422, "body.extra"),
        ("learn", {"texts": ["a"] * 33}, 422, "33 texts given, at most 32 in edition simple"),
        ("learn", {"texts": ["a", "b" * 10_001]}, 422, "body.texts[1]"),
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
def test_what_is_wrong_is_named_and_goes_no_further(door: Door, path: str, body: Any, status: int, words: str) -> None:
    with door.open() as client:
        answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert door.hybrid.requests == []


def test_a_larger_edition_takes_more(door: Door) -> None:
    with door.open(SUTRA_EDITION="enterprise") as client:
        assert client.post("/api/learn", json={"texts": ["a"] * 128}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
    ],
)
def test_both_ways_to_send_a_key(door: Door, headers: dict[str, str]) -> None:
    with door.open() as client:
        client.headers.pop("X-API-Key")
        assert client.get("/api/stats", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "wrong", "k" * 600, keys.digest(KEY).hex()])
@pytest.mark.parametrize("path", ["/api/stats", "/api/learn", "/api", "/api/nowhere"])
def test_no_way_in_without_a_key(door: Door, key: str, path: str) -> None:
    with door.open() as client:
        answer = client.post(path, headers={"X-API-Key": key}, json={"texts": []})
    assert code(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert door.storage.requests == door.hybrid.requests == []


def test_nobody_comes_in_while_there_is_no_key(door: Door) -> None:
    with door.open(SUTRA_API_KEYS="") as client:
        answer = client.get("/api/stats")
        assert client.get("/health").status_code == 200
    assert code(answer) == (503, "no_api_keys")
    assert "sutra_api.keys new" in answer.json()["error"]["message"]


def test_open_without_a_key(door: Door) -> None:
    with door.open() as client:
        client.headers.pop("X-API-Key")
        assert client.get("/health").status_code == 200
        document = client.get("/openapi.json").json()
        assert code(client.get("/docs")) == (404, "not_found")
    assert {"/api/learn", "/api/query", "/api/stats"} <= set(document["paths"])
    assert len(document["components"]["securitySchemes"]) == 2


def test_a_key_used_too_often_waits_and_others_do_not(door: Door) -> None:
    with door.open(SUTRA_API_RATE_BURST="2", SUTRA_API_RATE_PER_MINUTE="6") as client:
        assert [client.get("/api/stats").status_code for _ in range(2)] == [200, 200]
        refused = client.get("/api/stats")
        other = client.get("/api/stats", headers={"X-API-Key": "key of bert"})
        door.now += 10
        again = client.get("/api/stats")
    assert code(refused) == (429, "too_many_requests")
    assert refused.headers["Retry-After"] == "10"
    assert (other.status_code, again.status_code) == (200, 200)


def test_wrong_keys_run_out_and_the_right_one_still_opens(door: Door) -> None:
    with door.open(SUTRA_API_FAILURES_BURST="2") as client:
        answers = [client.get("/api/stats", headers={"X-API-Key": f"guess {n}"}) for n in range(3)]
        right = client.get("/api/stats")
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert right.status_code == 200


@pytest.mark.parametrize("path", ["learn", "query"])
def test_a_dependency_that_is_down_is_named(door: Door, path: str) -> None:
    body = {"texts": ["a"]} if path == "learn" else {"question": "a"}
    with door.open(HYBRID_URL=fake_service.closed_url()) as client:
        answer = client.post(f"/api/{path}", json=body)
        health = client.get("/health")
    assert code(answer) == (503, "hybrid_unreachable")
    assert "HYBRID_URL" in answer.json()["error"]["message"]
    assert (health.status_code, health.json()["dependencies"]["hybrid"]) == (200, "unreachable")


@pytest.mark.parametrize("content", [[], {"answer": "no citations"}, b"<html>"])
def test_an_answer_that_cannot_be_understood(door: Door, content: Any) -> None:
    door.hybrid.replies["POST /query"] = (200, content)
    with door.open() as client:
        assert code(client.post("/api/query", json={"question": "a"})) == (502, "hybrid_failed")


@pytest.mark.parametrize("path", ["learn", "query"])
def test_what_hybrid_has_against_a_request_is_passed_on(door: Door, path: str) -> None:
    refusal = {"error": {"code": "beyond_limit", "message": "texts[0] is 70000 bytes long"}}
    door.hybrid.replies[f"POST /{path}"] = (422, refusal)
    with door.open() as client:
        answer = client.post(f"/api/{path}", json={"texts": ["a"]} if path == "learn" else {"question": "a"})
    assert (answer.status_code, answer.json()) == (422, refusal)


def test_another_service_in_hybrids_place_is_not_the_callers_fault(door: Door) -> None:
    refusal = {"error": {"code": "not_found", "message": "there is no /query here"}}
    door.hybrid.replies["POST /query"] = (404, refusal)
    with door.open() as client:
        answer = client.post("/api/query", json={"question": "a"})
    assert code(answer) == (502, "hybrid_failed")
    assert "HYBRID_URL" in answer.json()["error"]["message"]


def test_a_storage_that_blames_the_door_is_not_the_callers_fault(door: Door) -> None:
    door.storage.replies["GET /v1/stats"] = (404, {"error": {"code": "not_found", "message": "m"}})
    with door.open() as client:
        assert code(client.get("/api/stats")) == (502, "storage_failed")


def test_a_failing_storage(door: Door) -> None:
    door.storage.replies["GET /v1/stats"] = (500, {"error": {"code": "disk_full", "message": "no space"}})
    with door.open() as client:
        answer = client.get("/api/stats")
    assert code(answer) == (502, "storage_failed")
    assert "disk_full" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["SUTRA_API_RATE_BURST", "SUTRA_API_DEADLINE_SECONDS", "HYBRID_URL", "SUTRA_API_KEYS"])
def test_a_wrong_setting_stops_the_start(door: Door, name: str) -> None:
    with pytest.raises(SettingError, match=name):
        door.open(**{name: "nonsense"})
