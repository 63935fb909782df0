"""Tests of the route, its limits and invalid requests."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient
from sutra_service.settings import Environment, SettingError

from sutra_nlg import application
from sutra_nlg.limits import LIMITS

FACT = {"id": "a", "text": "The tower is red.", "score": 0.5}


def service(**variables: str) -> TestClient:
    environment = Environment(variables)
    app = application.create(application.read_settings(environment), environment)
    return TestClient(app, raise_server_exceptions=False)


def facts(count: int, text: str = "The tower is red.") -> list[dict[str, Any]]:
    return [{**FACT, "id": str(index), "text": text} for index in range(count)]


def test_an_answer_with_its_citation() -> None:
    with service() as client:
        answer = client.post("/generate", json={"question": " Is the tower red? ", "facts": [FACT]})
    assert answer.status_code == 200
    assert answer.json() == {
        "answer": "The tower is red. [1]",
        "citations": [{"number": 1, **FACT}],
        "mode": "grounded",
    }


def test_a_citation_shows_the_fact_unchanged() -> None:
    fact = {"id": " ä\n", "text": "  The tower\tis red.\n\n", "score": 3}
    with service() as client:
        answer = client.post("/generate", json={"question": "tower red", "facts": [fact]}).json()
    assert answer["citations"] == [{"number": 1, **fact}]


@pytest.mark.parametrize("question", ["Is the tower red?", "nothing of it"])
def test_no_facts_or_no_matching_fact(question: str) -> None:
    with service() as client:
        none = client.post("/generate", json={"question": question, "facts": []}).json()
        other = client.post("/generate", json={"question": "Is there life on Mars?", "facts": [FACT]}).json()
    assert none["citations"] == other["citations"] == []
    assert "No facts" in none["answer"]
    assert "The given facts do not" in other["answer"]


@pytest.mark.parametrize("edition", list(LIMITS))
def test_health_shows_the_editions_limits(edition: str) -> None:
    with service(SUTRA_EDITION=edition, SUTRA_SERVICE_VERSION="1.2.3") as client:
        answer = client.get("/health")
    health = answer.json()
    assert answer.status_code == 200
    assert (health["service"], health["version"], health["edition"]) == ("nlg", "1.2.3", edition)
    assert (health["limits"], health["mode"]) == (LIMITS[edition].fields(), "grounded")


@pytest.mark.parametrize("edition", list(LIMITS))
def test_each_limit_is_enforced(edition: str) -> None:
    limits = LIMITS[edition]
    question = "tower" + " " * (limits.max_question_characters - 10) + "tower"
    most = facts(limits.max_facts)
    long = [{**FACT, "text": "The tower." + "x" * (limits.max_fact_characters - 10)}]
    beyond = [
        ("body.question", {"question": question + "s", "facts": [FACT]}),
        ("body.facts", {"question": "tower", "facts": facts(limits.max_facts + 1)}),
        ("body.facts[0].text", {"question": "tower", "facts": [{**long[0], "text": long[0]["text"] + "x"}]}),
    ]
    with service(SUTRA_EDITION=edition) as client:
        for body in ({"question": question, "facts": most}, {"question": "tower", "facts": long}):
            assert client.post("/generate", json=body).status_code == 200
        for field, body in beyond:
            answer = client.post("/generate", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "beyond_limit")
            assert answer.json()["error"]["message"].startswith(f"{field}: ")
            assert f"edition {edition} allows" in answer.json()["error"]["message"]
        large = client.post("/generate", content=b" " * (limits.max_body_bytes + 1))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")


def test_a_larger_edition_gives_longer_answers() -> None:
    texts = [f"The red tower number {index} is old." for index in range(20)]
    body = {"question": "Which red tower is old?", "facts": [{**FACT, "id": text, "text": text} for text in texts]}
    said = {}
    for edition, limits in LIMITS.items():
        with service(SUTRA_EDITION=edition) as client:
            said[edition] = client.post("/generate", json=body).json()["answer"].count("[")
        assert said[edition] == limits.max_answer_sentences
    assert said["simple"] < said["community"] < said["enterprise"]


def test_the_largest_request_of_hybrid_fits_the_body_limit() -> None:
    for limits in LIMITS.values():
        # As many facts as citations, with three bytes per character.
        texts = limits.max_facts // 2 * limits.max_fact_characters * 3
        assert texts <= limits.max_body_bytes


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "body.question"),
        ([], "body"),
        ("text", "body"),
        ({"question": "a"}, "body.facts"),
        ({"question": "", "facts": []}, "body.question"),
        ({"question": " \n ", "facts": []}, "body.question"),
        ({"question": None, "facts": []}, "body.question"),
        ({"question": ["a"], "facts": []}, "body.question"),
        ({"question": "a", "facts": {}}, "body.facts"),
        ({"question": "a", "facts": None}, "body.facts"),
        ({"question": "a", "facts": ["a"]}, "body.facts[0]"),
        ({"question": "a", "facts": [FACT], "extra": 1}, "body.extra"),
        ({"question": "a", "facts": [{**FACT, "extra": 1}]}, "body.facts[0].extra"),
        ({"question": "a", "facts": [{**FACT, "id": ""}]}, "body.facts[0].id"),
        ({"question": "a", "facts": [{**FACT, "id": 7}]}, "body.facts[0].id"),
        ({"question": "a", "facts": [{**FACT, "id": "x" * 257}]}, "body.facts[0].id"),
        ({"question": "a", "facts": [{**FACT, "text": ""}]}, "body.facts[0].text"),
        ({"question": "a", "facts": [{**FACT, "text": " \t\n"}]}, "body.facts[0].text"),
        ({"question": "a", "facts": [{**FACT, "text": 1}]}, "body.facts[0].text"),
        ({"question": "a", "facts": [{**FACT, "score": "0.5"}]}, "body.facts[0].score"),
        ({"question": "a", "facts": [{**FACT, "score": None}]}, "body.facts[0].score"),
        ({"question": "a", "facts": [{**FACT, "score": True}]}, "body.facts[0].score"),
        ({"question": "a", "facts": [{**FACT, "score": float("nan")}]}, "body.facts[0].score"),
        ({"question": "a", "facts": [{**FACT, "score": float("inf")}]}, "body.facts[0].score"),
        ({"question": "a", "facts": [{"id": "a", "text": "b"}]}, "body.facts[0].score"),
        ({"question": "a", "facts": [FACT, {**FACT, "text": "other"}]}, "body.facts[1].id"),
    ],
)
def test_an_invalid_request_is_explained(body: Any, words: str) -> None:
    with service() as client:
        answer = client.post("/generate", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"\xff\xfe", "application/json", 400, None),
        (b'{"question": "\\ud800", "facts": []}', "application/json", 422, "invalid_request"),
        (b"", "application/json", 422, "invalid_request"),
        (b"question=a", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"[" * 100_000, "application/json", 400, None),
        (b'{"question": "a", "facts": [{"id": "a", "text": "b", "score": 1e999}]}', "application/json", 422, None),
    ],
)
def test_an_invalid_body_is_rejected(content: bytes, kind: str, status: int, code: str | None) -> None:
    with service() as client:
        answer = client.post("/generate", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message"}
    assert code in (None, answer.json()["error"]["code"])


def test_other_routes_and_methods() -> None:
    with service() as client:
        wrong = client.get("/generate")
        nowhere = client.post("/nowhere", json={})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("name", "value"),
    [("NLG_DEADLINE_SECONDS", "0"), ("NLG_THREADS", "-1"), ("NLG_CHAT_FORMAT", "morse"), ("SUTRA_EDITION", "pro")],
)
def test_an_invalid_setting_is_reported(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        service(**{name: value})
