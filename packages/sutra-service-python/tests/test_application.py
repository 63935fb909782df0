import asyncio
import json
from collections.abc import Iterator

import pytest
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.testclient import TestClient
from starlette.types import Message

from sutra_service.application import create_app
from sutra_service.body import JsonRoute
from sutra_service.dependency import Dependency
from sutra_service.errors import not_in_edition
from sutra_service.readiness import StartError
from sutra_service.settings import Environment, Settings

LIMIT = 1000
SETTINGS = Settings.read(Environment({"SUTRA_SERVICE_VERSION": "1.2.3"}), "sutra-x", 1)


class Item(BaseModel):
    texts: list[str]


def build(**options: object) -> TestClient:
    app = create_app(SETTINGS, title="X", max_body_bytes=LIMIT, **options)
    router = APIRouter(route_class=JsonRoute)

    @router.post("/items")
    async def items(item: Item) -> int:
        return len(item.texts)

    @router.get("/broken")
    async def broken() -> int:
        raise RuntimeError("the secret is 42")

    @router.get("/work")
    async def work() -> str:
        app.state.readiness.require()
        return "done"

    app.include_router(router)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with build() as client:
        yield client


def test_health(client: TestClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "service": "sutra-x",
        "version": "1.2.3",
        "edition": "simple",
        "dependencies": {},
    }


def test_health_during_startup() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    with build(start=never, health_fields={"model": "m"}) as client:
        answer = client.get("/health")
        work = client.get("/work")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["model"]) == ("starting", "m")
    assert "reason" not in answer.json()
    assert (work.status_code, work.json()["error"]["code"]) == (503, "not_ready")


def test_a_failed_start_is_reported_and_stops_the_service() -> None:
    async def fail() -> None:
        raise OSError("no model")

    stopped: list[bool] = []
    client = build(start=fail)
    client.app.state.readiness.on_failure = lambda: stopped.append(True)  # type: ignore[attr-defined]
    with client:
        answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"], stopped) == (503, "failed", [True])
    # Internal details appear only in the log.
    assert "no model" not in answer.text
    assert "log" in answer.json()["reason"]
    assert not client.app.state.readiness.keep_running  # type: ignore[attr-defined]


def test_a_start_error_is_shown_and_the_service_keeps_running() -> None:
    async def fail() -> None:
        raise StartError("MODEL_DIR=/models/x has no config.json; mount the whole folder")

    stopped: list[bool] = []
    client = build(start=fail)
    client.app.state.readiness.on_failure = lambda: stopped.append(True)  # type: ignore[attr-defined]
    with client:
        answer = client.get("/health")
        work = client.get("/work")
    assert (answer.status_code, answer.json()["status"], stopped) == (503, "failed", [])
    assert answer.json()["reason"] == "MODEL_DIR=/models/x has no config.json; mount the whole folder"
    assert (work.status_code, work.json()["error"]["code"]) == (503, "not_ready")
    assert "/models/x has no config.json" in work.json()["error"]["message"]
    assert client.app.state.readiness.keep_running  # type: ignore[attr-defined]


def test_a_ready_service_answers_requests(client: TestClient) -> None:
    assert client.get("/work").json() == "done"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code", "words"),
    [
        ("GET", "/nowhere", {}, 404, "not_found", "/nowhere"),
        ("DELETE", "/items", {}, 405, "method_not_allowed", "POST"),
        ("POST", "/items", {"json": {"texts": ["a", 2]}}, 422, "invalid_request", "body.texts[1]"),
        ("POST", "/items", {"json": {}}, 422, "invalid_request", "body.texts"),
        ("POST", "/items", {}, 422, "invalid_request", "body"),
        (
            "POST",
            "/items",
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            400,
            "invalid_json",
            "not valid JSON",
        ),
        (
            "POST",
            "/items",
            {"content": b'{"texts": ["\\ud83d"]}', "headers": {"Content-Type": "application/json"}},
            422,
            "invalid_request",
            "lone surrogate: \\ud83d",
        ),
        ("POST", "/items", {"content": b"{}"}, 415, "unsupported_media_type", "application/json"),
        ("POST", "/items", {"data": {"texts": "a"}}, 415, "unsupported_media_type", "x-www-form-urlencoded"),
        ("POST", "/items", {"json": {"texts": ["a" * LIMIT]}}, 413, "body_too_large", "1000 bytes"),
        ("GET", "/broken", {}, 500, "internal_error", "log"),
    ],
)
def test_every_error_has_the_same_shape(
    client: TestClient, method: str, path: str, options: dict[str, object], status: int, code: str, words: str
) -> None:
    answer = client.request(method, path, **options)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert sorted(answer.json()["error"]) == ["code", "message"]
    assert answer.json()["error"]["code"] == code
    assert words in answer.json()["error"]["message"]
    assert "42" not in answer.text


def test_not_in_edition_names_the_editions_to_use() -> None:
    error = not_in_edition("topics", "simple", ("community", "enterprise"))
    assert (error.status_code, error.code) == (403, "not_in_edition")
    assert error.detail == "not available in edition simple: topics; use edition community or enterprise"


def test_a_complete_surrogate_pair_is_accepted(client: TestClient) -> None:
    body = {"content": b'{"texts": ["\\ud83d\\ude00"]}', "headers": {"Content-Type": "application/json"}}
    assert client.post("/items", **body).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"texts": ["\xed\xa0\x80"]}',
        b'{"texts": ["\xff"]}',
        '{"texts": ["\\ud83d"]}'.encode("utf-16"),
        '{"texts": ["\\ud83d"]}'.encode("utf-16-le"),
        '{"texts": ["\\ud83d"]}'.encode("utf-16-be"),
        '{"texts": ["a"]}'.encode("utf-32"),
        '{"texts": ["a"]}'.encode("utf-32-le"),
    ],
)
def test_a_body_that_is_not_utf_8_is_rejected(client: TestClient, body: bytes) -> None:
    answer = client.post("/items", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert "not UTF-8" in answer.json()["error"]["message"]


def test_a_utf_8_byte_order_mark_is_accepted(client: TestClient) -> None:
    body = '{"texts": ["ä"]}'.encode("utf-8-sig")
    assert client.post("/items", content=body, headers={"Content-Type": "application/json"}).json() == 1


def test_a_client_that_disconnects_while_sending_causes_no_exception() -> None:
    parts: list[Message] = [
        {"type": "http.request", "body": b'{"texts"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/items",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"100")],
    }
    # uvicorn would log anything raised here as an exception in the application.
    asyncio.run(build().app(scope, receive, send))
    assert parts == []


def test_a_body_without_a_length_is_read_only_up_to_the_limit() -> None:
    taken = 0
    answers: list[Message] = []

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b" " * 100, "more_body": True}

    async def send(message: Message) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/items",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")],
    }
    asyncio.run(build().app(scope, receive, send))
    assert (taken, answers[0]["status"]) == (LIMIT // 100 + 1, 413)
    assert json.loads(answers[1]["body"])["error"]["code"] == "body_too_large"


def test_a_body_at_the_limit_is_accepted(client: TestClient) -> None:
    body = b'{"texts":["a"]}'.ljust(LIMIT)
    headers = {"Content-Type": "application/vnd.x+json; charset=utf-8"}
    assert client.post("/items", content=body, headers=headers).json() == 1


def test_the_openapi_document_describes_errors(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schema = document["paths"]["/items"]["post"]["responses"]["422"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ErrorReply"}
    assert client.get("/docs").status_code == 404


def test_stop_runs_before_the_dependencies_are_closed() -> None:
    order: list[str] = []

    class Other(Dependency):
        async def close(self) -> None:
            order.append("closed")

    async def stop() -> None:
        order.append("stopped")

    with build(stop=stop, dependencies=[Other("other", "http://other", "OTHER_URL", 1)]):
        assert order == []
    assert order == ["stopped", "closed"]
