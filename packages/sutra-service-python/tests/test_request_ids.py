"""Request ids in answers, logs and calls, also of a real process."""

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from email.message import Message

import fake_service
import pytest
from test_connections import port_of
from test_run import GUARD_S, service

MORE = """
import asyncio, logging
from sutra_service.dependency import Dependency
inner = create_app
logger = logging.getLogger("x")

def create_app(settings, **options):
    other = Dependency("other", {url!r}, "OTHER_URL", 30)
    app = inner(settings, **{{**options, "dependencies": (other,)}})

    @app.post("/call")
    async def call():
        logger.info("in the loop")
        await asyncio.to_thread(logger.info, "in a thread")
        await asyncio.gather(other.call("GET", "/a"), other.call("GET", "/b"))

    @app.get("/broken")
    async def broken():
        raise RuntimeError("broken")

    return app
"""
NEW = re.compile("[0-9a-f]{32}")


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Message]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, given, method=method)
    try:
        with urllib.request.urlopen(request, timeout=GUARD_S) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def stopped(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    """Stop the service and return the rest of its log."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=GUARD_S)
    return [json.loads(line) for line in output.splitlines()]


def test_the_id_is_in_the_answer_the_log_and_all_calls() -> None:
    with fake_service.running() as fake, service(more=MORE.format(url=fake.url)) as process:
        fake.replies["GET /a"] = fake.replies["GET /b"] = (200, {})
        status, headers = ask(port_of(process), "POST", "/call", X_Request_Id="a.B_c-1")
        log = stopped(process)
    assert (status, headers.get_all("X-Request-Id")) == (200, ["a.B_c-1"])
    lines = [line["message"] for line in log if line.get("request_id") == "a.B_c-1"]
    assert lines == ["in the loop", "in a thread", "request"]
    assert fake.request_ids == ["a.B_c-1"] * 2


def test_the_traceback_has_the_id_too() -> None:
    with service(more=MORE.format(url="http://127.0.0.1:1")) as process:
        status, headers = ask(port_of(process), "GET", "/broken", X_Request_Id="7")
        log = stopped(process)
    assert (status, headers.get_all("X-Request-Id")) == (500, ["7"])
    (line,) = [line for line in log if "exception" in line]
    assert line["request_id"] == "7"


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "expected"),
    [
        ("GET", "/health", None, {}, 200),
        ("GET", "/nowhere", None, {}, 404),
        ("PUT", "/health", b"", {}, 405),
        ("POST", "/call", b"x" * 1001, {}, 413),
        ("GET", "/health", None, {"Host": "rebind.example"}, 421),
        ("GET", "/broken", None, {}, 500),
    ],
)
def test_every_answer_has_an_id(
    process: subprocess.Popen[str], port: int, method: str, path: str, body: bytes | None, headers: dict, expected: int
) -> None:
    status, found = ask(port, method, path, body, **headers)
    assert status == expected
    (new,) = found.get_all("X-Request-Id", [])
    assert NEW.fullmatch(new)
    assert ask(port, method, path, body, X_Request_Id="kept", **headers)[1].get_all("X-Request-Id") == ["kept"]


@pytest.mark.parametrize("given", ["", "a b", "a/b", "a,b", 'a"b', "a" * 65, "ü", "a;b"])
def test_an_invalid_id_is_replaced(port: int, given: str) -> None:
    _, headers = ask(port, "GET", "/health", X_Request_Id=given.encode().decode("latin-1"))
    (new,) = headers.get_all("X-Request-Id", [])
    assert NEW.fullmatch(new)


def test_the_longest_valid_id(port: int) -> None:
    assert ask(port, "GET", "/health", X_Request_Id="a" * 64)[1]["X-Request-Id"] == "a" * 64


@pytest.fixture(scope="module")
def process():
    with service(more=MORE.format(url="http://127.0.0.1:1")) as process:
        yield process


@pytest.fixture(scope="module")
def port(process: subprocess.Popen[str]) -> int:
    return port_of(process)
