"""Uploads, through the real service and over real sockets to an ingester that reads them."""

import hashlib
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_service
import fakes
import pytest
from test_process import service, wait_for

from sutra_api import keys

KEY = "key of anna"
JSONL = "application/x-ndjson"
GUARD_S = 60


@dataclass
class Api:
    """A running service and its ingester."""

    process: subprocess.Popen[str]
    port: int
    ingester: fakes.FakeIngester
    connections: ExitStack

    def send(self, method: str, path: str, body: bytes = b"", headers: str = "", key: str = KEY) -> socket.socket:
        """A connection with a request."""
        connection = socket.create_connection(("127.0.0.1", self.port), GUARD_S)
        self.connections.enter_context(connection)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nConnection: close\r\n{headers}\r\n"
        connection.sendall(head.encode() + body)
        return connection

    def upload(self, path: str, body: bytes, kind: str = JSONL) -> tuple[int, dict[str, str], Any]:
        return answer(self.send("POST", path, body, f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"))

    def memory(self) -> int:
        """The most memory that the service had so far, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def answer(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    received = b""
    while block := connection.recv(65536):
        received += block
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)


@contextmanager
def running(**variables: str) -> Iterator[Api]:
    entry = f"anna:{keys.digest(KEY).hex()}"
    with fakes.running(fakes.FakeIngester()) as (ingester, url), ExitStack() as connections:
        environment = {"SUTRA_API_KEYS": entry, "INGESTER_URL": url, "SUTRA_API_RATE_BURST": "1000", **variables}
        process = connections.enter_context(service(**environment))
        port = int(wait_for(process, "running on").split()[3].rpartition(":")[2])
        yield Api(process, port, ingester, connections)
        ingester.reads.set()


@pytest.fixture(scope="module")
def running_api() -> Iterator[Api]:
    with running() as api:
        yield api


@pytest.fixture
def api(running_api: Api) -> Api:
    running_api.ingester.reset()
    return running_api


def chunked(parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield f"{len(part):x}\r\n".encode() + part + b"\r\n"
    yield b"0\r\n\r\n"


def test_an_upload_becomes_a_job(api: Api) -> None:
    body = '{"text":"ü"}\n"b"\n'.encode()
    path = "/api/jobs?source=a%20b%2F%C3%BC%3F%26%23.md&column=the%20text&format=csv"
    status, headers, job = api.upload(path, body, "application/octet-stream")
    assert (status, headers["location"]) == (202, "/api/jobs/job%201%2F%C3%BC")
    assert (job["bytes"], job["lines"], job["kind"]) == (len(body), 2, "application/octet-stream")
    assert job["query"] == {"source": "a b/ü?&#.md", "column": "the text", "format": "csv"}


def test_jobs_are_listed_and_found(api: Api) -> None:
    for n in range(5):
        assert api.upload(f"/api/jobs?source={n}", b'"a"\n')[0] == 202
    for job in api.ingester.jobs:
        job["id"] = job["id"].replace("/ü", "?#ü")
    status, _, page = answer(api.send("GET", "/api/jobs?limit=2"))
    found = [job["query"]["source"] for job in page["jobs"]]
    cursor = page["next"].replace(" ", "%20").replace("?", "%3f").replace("#", "%23").replace("ü", "%c3%bc")
    _, _, page = answer(api.send("GET", f"/api/jobs?cursor={cursor}"))
    assert (status, found + [job["query"]["source"] for job in page["jobs"]]) == (200, list("01234"))
    assert answer(api.send("GET", "/api/jobs/job%203%3f%23%c3%bc"))[2]["query"] == {"source": "2"}
    for path, expected in (("/api/jobs/none", 404), ("/api/jobs?cursor=none", 400), ("/api/jobs?limit=101", 422)):
        assert answer(api.send("GET", path))[0] == expected


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_large_upload_is_passed_on_but_not_held(api: Api, is_chunked: bool) -> None:
    line = b'"' + b"x" * 65_533 + b'"\n'
    count = 3_000
    before = api.memory()
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(line) * count}"
    connection = api.send("POST", "/api/jobs", headers=f"Content-Type: {JSONL}\r\n{length}\r\n")
    lines = (line for _ in range(count))
    for part in chunked(lines) if is_chunked else lines:
        connection.sendall(part)
    status, _, job = answer(connection)
    assert (status, job["bytes"], job["lines"]) == (202, len(line) * count, count)
    assert api.memory() - before < 20_000_000


def test_a_content_length_beside_a_transfer_encoding_is_not_passed_on(api: Api) -> None:
    body = b'"a"\n"b"\n'
    for length in (3, 1_000):
        lengths = f"Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"
        sent = b"".join(chunked(iter([body])))
        status, _, job = answer(api.send("POST", "/api/jobs", sent, f"Content-Type: {JSONL}\r\n{lengths}"))
        assert (status, job.get("bytes"), job.get("lines")) == (202, len(body), 2)


def test_the_bytes_arrive_unchanged(api: Api) -> None:
    seen = hashlib.sha256()
    receive = fakes.Handler.blocks

    def blocks(handler: fakes.Handler) -> Iterator[bytes]:
        for block in receive(handler):
            seen.update(block)
            yield block

    body = bytes(range(256)) * 5_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fakes.Handler, "blocks", blocks)
        assert api.upload("/api/jobs", body)[0] == 202
    assert seen.digest() == hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    "length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"], ids=["declared", "chunked"]
)
def test_a_client_that_vanishes_leaves_no_job(api: Api, length: str) -> None:
    connection = api.send("POST", "/api/jobs", b'5\r\n"a"\n\n\r\n', f"Content-Type: {JSONL}\r\n{length}\r\n")
    assert api.ingester.arriving.wait(GUARD_S)
    connection.close()
    assert api.ingester.incomplete.acquire(timeout=GUARD_S)
    assert api.ingester.jobs == []
    # The service still works.
    assert api.upload("/api/jobs", b'"a"\n')[0] == 202


@pytest.mark.parametrize("size", [5, 30_000_000])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (413, "payload_too_large"),
        (415, "unsupported_media_type"),
        (422, "invalid_request"),
        (429, "queue_full"),
        (507, "disk_full"),
    ],
)
def test_errors_of_the_ingester_are_passed_on(api: Api, status: int, code: str, size: int) -> None:
    api.ingester.refusal = fakes.RefusalError(status, code, {"Retry-After": "30"} if status == 429 else {})
    answered, headers, body = api.upload("/api/jobs", b"x" * size)
    assert (answered, body) == (status, {"error": {"code": code, "message": f"{code} of the fake"}})
    assert headers.get("retry-after") == ("30" if status == 429 else None)


def test_an_error_in_the_middle_of_an_upload_is_passed_on(api: Api) -> None:
    api.ingester.max_bytes = 5_000_000
    status, _, body = api.upload("/api/jobs", b"x" * 30_000_000)
    assert (status, body["error"]["code"]) == (413, "payload_too_large")
    assert api.ingester.jobs == []


def test_a_stalled_ingester_is_a_timeout() -> None:
    with running(SUTRA_API_DEADLINE_SECONDS="1") as api:
        api.ingester.reads.clear()
        # One that still fits into the buffers of the connection, and one that does not.
        for size in (5, 30_000_000):
            status, _, body = api.upload("/api/jobs", b"x" * size)
            assert (status, body["error"]["code"]) == (504, "ingester_timeout")
        assert api.ingester.jobs == []


def test_an_unreachable_ingester_is_named() -> None:
    with running(INGESTER_URL=fake_service.closed_url()) as api:
        status, _, body = api.upload("/api/jobs", b"x" * 3_000_000)
        health = answer(api.send("GET", "/health"))[2]
    assert (status, body["error"]["code"]) == (503, "ingester_unreachable")
    assert "INGESTER_URL" in body["error"]["message"]
    assert health["dependencies"]["ingester"] == "unreachable"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/jobs?format=xml", "query.format"),
        ("/api/jobs?column=", "query.column"),
        ("/api/jobs?source=", "query.source"),
        ("/api/jobs?source=a&source=b", "query.source"),
        ("/api/jobs?source=%ff", "UTF-8"),
        (f"/api/jobs?source={'s' * 501}", "query.source"),
        ("/api/jobs?sauce=a", "query.sauce"),
    ],
)
def test_an_invalid_query_is_explained_and_not_passed_on(api: Api, path: str, words: str) -> None:
    status, _, body = api.upload(path, b'"a"\n')
    assert (status, body["error"]["code"]) == (422, "invalid_request")
    assert words in body["error"]["message"]
    assert not api.ingester.arriving.is_set()


def test_one_key_does_not_hold_all_places() -> None:
    entries = ",".join(f"{name}:{keys.digest(f'key of {name}').hex()}" for name in ("anna", "bert"))
    with running(SUTRA_API_KEYS=entries, SUTRA_API_DEADLINE_SECONDS="600") as api:
        api.ingester.reads.clear()

        def begin(key: str) -> socket.socket:
            api.ingester.arriving.clear()
            headers = f"Content-Type: {JSONL}\r\nContent-Length: 4\r\n"
            connection = api.send("POST", "/api/jobs", b'"a"\n', headers, key)
            assert api.ingester.arriving.wait(GUARD_S)
            return connection

        uploads = [begin(KEY) for _ in range(4)]
        status, headers, body = api.upload("/api/jobs", b'"a"\n')
        assert (status, body["error"]["code"], headers["retry-after"]) == (429, "too_many_uploads", "30")
        assert "4 uploads for key anna" in body["error"]["message"]
        uploads.append(begin("key of bert"))
        api.ingester.reads.set()
        assert [answer(upload)[0] for upload in uploads] == [202] * 5
        assert api.upload("/api/jobs", b'"a"\n')[0] == 202


def test_other_routes_still_have_a_body_limit(api: Api) -> None:
    for path in ("/api/learn", "/api/jobs/", "/api/query?x=/api/jobs"):
        status, _, body = answer(api.send("POST", path, headers="Content-Length: 1000001\r\n"))
        assert (status, body["error"]["code"]) == (413, "body_too_large")


def test_an_upload_needs_a_key(api: Api) -> None:
    connection = socket.create_connection(("127.0.0.1", api.port), GUARD_S)
    api.connections.enter_context(connection)
    connection.sendall(
        b'POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"a"\n'
    )
    assert answer(connection)[0] == 401
    assert not api.ingester.arriving.is_set()
