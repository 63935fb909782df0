"""Export and import, through the real service and over real sockets to a storage that streams and refuses."""

import gzip
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fake_service
import pytest
from conftest import PASSWORD, Stack
from test_process import service, url_of

GUARD_S = 120
LINE = b'{"id":"1","text":"' + b"x" * 65_500 + b'"}\n'
FIRST = b'{"store":{"model":"m","dimension":2,"concepts":1}}\n'
REFUSALS = [
    (400, "bad_request", "line 7 is not a concept"),
    (409, "model_mismatch", "the store has vectors of another model"),
    (413, "body_too_large", "line 3 is longer than 1000 bytes"),
    (503, "unavailable", "two exports and imports are running"),
    (507, "insufficient_storage", "the disk is full; the first 4 lines are stored"),
]


class Handler(BaseHTTPRequestHandler):
    """Answers for `fake`."""

    fake: "FakeStorage"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.fake.requests.append(self.path)
        if self.fake.refusal:
            self._refuse(self.fake.refusal)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for line in self.fake.lines:
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.fake.go_on.wait(GUARD_S)
            if self.fake.cut:
                self.wfile.write({"in a chunk": b"ff\r\nabc", "after a chunk": b""}[self.fake.cut])
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            self.fake.gone.set()
            self.close_connection = True

    def do_POST(self) -> None:
        self.fake.requests.append(self.path)
        self.fake.headers = dict(self.headers)
        lines = self._lines()
        try:
            for line in lines:
                self.fake.size += len(line)
                self.fake.received = (self.fake.received + line)[-100_000:]
                self.fake.began.set()
                if self.fake.refusal:
                    break
        except EOFError:
            self.fake.gone.set()
            self.close_connection = True
            return
        if self.fake.refusal:
            self._refuse(self.fake.refusal)
            # The rest is read for a while, so that the client can read the answer.
            self.close_connection = True
            self.connection.settimeout(GUARD_S)
            with suppress(OSError, EOFError):
                for _ in zip(range(1000), lines, strict=False):
                    pass
        else:
            self._answer(200, self.fake.imported)

    def _refuse(self, refusal: tuple[int, str, str]) -> None:
        status, code, message = refusal
        self._answer(status, {"error": {"code": code, "message": message}})

    def _answer(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status == 503:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(data)

    def _lines(self) -> Iterator[bytes]:
        if "Content-Length" in self.headers:
            left = int(self.headers["Content-Length"])
            while left:
                part = self.rfile.read1(min(left, 65536))
                left -= len(part)
                yield self._some(part)
            return
        while size := int(self._some(self.rfile.readline()), 16):
            yield self._some(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()

    @staticmethod
    def _some(data: bytes) -> bytes:
        if not data:
            raise EOFError
        return data

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class FakeStorage:
    """Sends `lines` in HTTP's own chunks, `cut` before their end, and counts imports, or refuses with `refusal`."""

    def __init__(self) -> None:
        self.reset()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def reset(self) -> None:
        self.lines: Any = [FIRST, LINE]
        self.cut = ""
        self.refusal: tuple[int, str, str] | None = None
        self.imported: Any = {"lines": 2, "created": 1, "updated": 0}
        self.requests: list[str] = []
        self.headers: dict[str, str] = {}
        self.received = b""
        self.size = 0
        self.began, self.gone, self.go_on = threading.Event(), threading.Event(), threading.Event()
        self.go_on.set()


class Control:
    """A running control and its storage; anna is signed in."""

    def __init__(self, process: subprocess.Popen[str], storage: FakeStorage, connections: ExitStack) -> None:
        self.process = process
        self.storage = storage
        self.logs: list[dict[str, Any]] = []
        self._connections = connections
        self.port = int(url_of(process).rpartition(":")[2])
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        body = json.dumps({"name": "anna", "password": PASSWORD}).encode()
        self.cookie = ""
        answer = self.send("POST", "/api/session", body, {"Content-Type": "application/json"})
        assert answer.status == 200
        self.cookie = answer.headers["Set-Cookie"].partition(";")[0]

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=GUARD_S)
        self._connections.callback(connection.close)
        # A service that has refused a large body reads it for a few seconds only. Its answer is there all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body, {"Cookie": self.cookie, **(headers or {})})
        return connection.getresponse()

    def open(self, head: str, cookie: str | None = None) -> socket.socket:
        connection = self._connections.enter_context(socket.create_connection(("127.0.0.1", self.port), GUARD_S))
        cookie = self.cookie if cookie is None else cookie
        connection.sendall(f"{head}\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
        return connection

    def log(self, message: str) -> dict[str, Any]:
        """The entry, once it has been written."""
        for _ in range(GUARD_S * 50):
            found = [entry for entry in self.logs if entry["message"] == message]
            if found:
                return found[-1]
            time.sleep(0.02)
        raise AssertionError(message)

    def stop(self) -> None:
        """End the service, and read its output to the end, before somebody else closes it."""
        self.process.kill()
        self._reading.join()

    def memory(self) -> int:
        """The most memory that the service had so far, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.logs.append(json.loads(line))


@contextmanager
def running_storage() -> Iterator[FakeStorage]:
    storage = FakeStorage()
    thread = threading.Thread(target=storage.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield storage
    finally:
        storage.go_on.set()
        storage.server.shutdown()
        thread.join()
        storage.server.server_close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, entry: str) -> Iterator[Control]:
    page = tmp_path_factory.mktemp("page")
    (page / "index.html").write_text("<!doctype html>")
    (page / "index.html.gz").write_bytes(gzip.compress(b"<!doctype html>", mtime=0))
    with running_storage() as storage, ExitStack() as connections:
        variables = {"SUTRA_CONTROL_PAGE": str(page), "SUTRA_CONTROL_USERS": entry, "STORAGE_URL": storage.url}
        process = connections.enter_context(service(**variables, SUTRA_CONTROL_EVERY_SECONDS="3600"))
        control = Control(process, storage, connections)
        yield control
        control.stop()


@pytest.fixture
def control(running: Control) -> Control:
    running.storage.reset()
    # Those of the checks at the start.
    running.logs.clear()
    return running


def transfers(storage: FakeStorage) -> list[str]:
    return [path for path in storage.requests if path.startswith(("/v1/export", "/v1/import"))]


def test_an_export_is_a_download(control: Control) -> None:
    answer = control.send("GET", "/api/export/concepts")
    assert (answer.status, answer.read()) == (200, FIRST + LINE)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sutra-concepts.jsonl"'
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Cache-Control"] == "no-store"
    assert transfers(control.storage) == ["/v1/export"]
    entry = control.log("exported all concepts")
    assert (entry["operator"], entry["bytes"]) == ("anna", len(FIRST + LINE))


def test_an_export_is_passed_on_as_it_arrives(control: Control) -> None:
    control.storage.go_on.clear()
    answer = control.send("GET", "/api/export/concepts")
    assert answer.readline() == FIRST
    control.storage.go_on.set()
    assert answer.read() == LINE


def test_a_large_export_is_not_held(control: Control) -> None:
    before = control.memory()
    control.storage.lines = (LINE for _ in range(2_000))
    answer = control.send("GET", "/api/export/concepts")
    # Gives a service that holds everything the time to do so.
    time.sleep(0.5)
    size = 0
    while part := answer.read(1 << 20):
        size += len(part)
    assert size == len(LINE) * 2_000
    assert control.memory() - before < 20_000_000


@pytest.mark.parametrize("cut", ["in a chunk", "after a chunk"])
def test_an_export_that_breaks_off_does_not_look_complete(control: Control, cut: str) -> None:
    control.storage.cut = cut
    answer = control.send("GET", "/api/export/concepts")
    assert answer.status == 200
    with pytest.raises((IncompleteRead, ConnectionResetError)):
        answer.read()
    entry = control.log("an export ended early")
    assert entry["operator"] == "anna"
    assert "incomplete or invalid answer" in entry["reason"]
    assert not any(entry["level"].lower() == "error" for entry in control.logs), control.logs


def test_the_connection_of_an_export_that_breaks_off_is_reset(control: Control) -> None:
    control.storage.cut = "after a chunk"
    control.storage.go_on.clear()
    connection = control.open("GET /api/export/concepts HTTP/1.1")
    received = b""
    while FIRST not in received:
        received += connection.recv(65536)
    control.storage.go_on.set()
    with pytest.raises(ConnectionResetError):
        list(iter(lambda: connection.recv(65536), b""))
    # Otherwise, it may count as that of the next test.
    control.log("an export ended early")


def test_an_export_needs_http_1_1(control: Control) -> None:
    connection = control.open("GET /api/export/concepts HTTP/1.0")
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 505 " in received.partition(b"\r\n")[0]
    assert b"proxy_http_version 1.1" in received
    assert transfers(control.storage) == []


def test_a_client_that_leaves_ends_the_export(control: Control) -> None:
    control.storage.lines = (LINE for _ in range(100_000))
    connection = control.open("GET /api/export/concepts HTTP/1.1")
    assert b" 200 " in connection.recv(100)
    connection.close()
    assert control.storage.gone.wait(GUARD_S)
    assert control.log("an export ended early")["reason"] == "the client disconnected"


@pytest.mark.parametrize(("status", "code", "message"), REFUSALS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/export/concepts"), ("POST", "/api/import/concepts")])
def test_errors_of_storage_are_passed_on(
    control: Control, method: str, path: str, status: int, code: str, message: str
) -> None:
    control.storage.refusal = (status, code, message)
    answer = control.send(method, path, LINE if method == "POST" else None)
    assert (answer.status, json.load(answer)) == (status, {"error": {"code": code, "message": message}})
    assert answer.headers["Retry-After"] == ("7" if status == 503 else None)
    assert answer.headers["Content-Disposition"] is None
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/export/concepts"), ("POST", "/api/import/concepts")])
def test_a_storage_that_is_down(stack: Stack, method: str, path: str) -> None:
    with stack.operator(STORAGE_URL=fake_service.closed_url()) as client:
        answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unreachable")


@pytest.mark.parametrize("skip", [0, 7])
def test_an_import(control: Control, skip: int) -> None:
    control.storage.imported = {"lines": 2, "created": 1, "updated": 3, "more": 4}
    answer = control.send("POST", "/api/import/concepts" + (f"?skip={skip}" if skip else ""), FIRST + LINE)
    assert (answer.status, json.load(answer)) == (200, {"lines": 2, "created": 1, "updated": 3})
    assert transfers(control.storage) == [f"/v1/import?skip={skip}"]
    assert control.storage.received == FIRST + LINE
    assert control.storage.headers["Content-Length"] == str(len(FIRST + LINE))
    entry = control.log("imported concepts")
    assert [entry[name] for name in ("operator", "lines", "new", "replaced")] == ["anna", 2, 1, 3]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_large_import_is_not_held(control: Control, is_chunked: bool) -> None:
    before = control.memory()
    lines = (LINE for _ in range(2_000))
    headers = {} if is_chunked else {"Content-Length": str(len(LINE) * 2_000)}
    answer = control.send("POST", "/api/import/concepts", lines, headers)
    assert (answer.status, control.storage.size) == (200, len(LINE) * 2_000)
    assert control.memory() - before < 20_000_000


def test_a_refusal_in_the_middle_of_an_import_reaches_the_client(control: Control) -> None:
    control.storage.refusal = REFUSALS[0]
    answer = control.send("POST", "/api/import/concepts", (LINE for _ in range(300)))
    assert (answer.status, json.load(answer)["error"]["message"]) == (400, "line 7 is not a concept")
    assert control.log("an import ended early")["reason"] == "line 7 is not a concept"


def test_an_import_whose_client_leaves_looks_incomplete_to_storage(control: Control) -> None:
    connection = control.open("POST /api/import/concepts HTTP/1.1\r\nContent-Length: 1000000")
    connection.sendall(LINE)
    assert control.storage.began.wait(GUARD_S)
    connection.close()
    assert control.storage.gone.wait(GUARD_S)
    assert control.log("an import ended early")["operator"] == "anna"


def test_the_session_is_checked_before_the_body_is_read(control: Control) -> None:
    connection = control.open("POST /api/import/concepts HTTP/1.1\r\nContent-Length: 1000000", cookie="")
    assert b" 401 " in connection.recv(65536)
    assert transfers(control.storage) == []


@pytest.mark.parametrize("skip", ["-1", "x", str(2**53)])
def test_an_invalid_number_of_lines(control: Control, skip: str) -> None:
    answer = control.send("POST", f"/api/import/concepts?skip={skip}", b"")
    assert answer.status == 422
    assert "query.skip" in json.load(answer)["error"]["message"]
    assert transfers(control.storage) == []


@pytest.mark.parametrize("imported", [[], {}, {"lines": 1, "created": 1}, {"lines": 1, "created": 1, "updated": "2"}])
def test_an_unexpected_answer(control: Control, imported: Any) -> None:
    control.storage.imported = imported
    answer = control.send("POST", "/api/import/concepts", LINE)
    assert (answer.status, json.load(answer)["error"]["code"]) == (502, "storage_failed")
