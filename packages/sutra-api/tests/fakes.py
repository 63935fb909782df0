"""Fakes of hybrid and the bulk ingester: real servers that keep what they are given and do what they are asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote

BLOCK = 65536
DISCARD_S = 5
DISCARD_BLOCKS = 100


class RefusalError(Exception):
    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers or {}


class IncompleteError(Exception):
    """The client went away in the middle of a body."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: ClassVar[Any]

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        parts = [unquote(part, errors="strict") for part in path.split("/")[1:]]
        fields = parse_qs(query, keep_blank_values=True, errors="strict")
        try:
            given = {name: values[0] for name, values in fields.items() if len(values) == 1}
            status, content, headers = self.fake.answer(self, parts, given)
        except RefusalError as refusal:
            error = {"code": refusal.code, "message": f"{refusal.code} of the fake"}
            status, content, headers = refusal.status, {"error": error}, refusal.headers
        except IncompleteError:
            self.close_connection = True
            return
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        if self.command == "POST" and status >= 400:
            # Like the real ones: the rest is read for a while, so that the client can read the answer.
            self.close_connection = True
            self.connection.settimeout(DISCARD_S)
            with suppress(OSError, IncompleteError):
                for _ in zip(range(DISCARD_BLOCKS), self.blocks(), strict=False):
                    pass

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names required by http.server

    def blocks(self) -> Iterator[bytes]:
        """The body, as it arrives."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield from self._exactly(int(self.headers.get("Content-Length", "0")))
            return
        while size := int(self._line(), 16):
            yield from self._exactly(size)
            self._line()
        self._line()

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line:
            raise IncompleteError
        return line

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            block = self.rfile.read1(min(size, BLOCK))
            if not block:
                raise IncompleteError
            size -= len(block)
            yield block

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def running[Fake](fake: Fake) -> Iterator[tuple[Fake, str]]:
    """Run a fake for the duration of the block. Also returns its URL."""
    server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"fake": fake}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page(items: list[dict[str, Any]], key: str, fields: dict[str, str], name: str) -> dict[str, Any]:
    """A page of `items`, ordered by `key`."""
    cursor, limit = fields.get("cursor", ""), int(fields.get("limit", "50"))
    if cursor and not any(item[key] == cursor for item in items):
        raise RefusalError(400, "invalid_cursor")
    left = [item for item in items if item[key] > cursor]
    more = {"next": left[limit - 1][key]} if len(left) > limit else {}
    return {name: left[:limit], **more}


@dataclass
class FakeHybrid:
    """Learns, lists and deletes texts; their ids are the texts themselves."""

    texts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, request: Handler, parts: list[str], fields: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        match request.command, parts:
            case "POST", ["learn"]:
                given = json.loads(b"".join(request.blocks()))["texts"]
                texts = [{"text": text} if isinstance(text, str) else text for text in given]
                self.texts |= {text["text"]: {"id": text["text"], **text} for text in texts}
                return 200, {"learned": len(texts), "ids": [text["text"] for text in texts]}, {}
            case "GET", ["concepts"]:
                source = fields.get("source")
                texts = [text for _, text in sorted(self.texts.items()) if source in (None, text.get("source"))]
                return 200, page(texts, "id", fields, "concepts"), {}
            case "GET", ["sources"]:
                names = sorted({text["source"] for text in self.texts.values() if "source" in text})
                counts = [{"source": name, "concepts": len(self._of(name))} for name in names]
                return 200, page(counts, "source", fields, "sources"), {}
            case "DELETE", ["concepts"]:
                gone = self._of(fields["source"])
                for name in gone:
                    del self.texts[name]
                return 200, {"deleted": len(gone)}, {}
            case "GET", ["concepts", name] if name in self.texts:
                return 200, self.texts[name], {}
            case "DELETE", ["concepts", name] if name in self.texts:
                del self.texts[name]
                return 200, {"deleted": 1}, {}
        raise RefusalError(404, "not_found")

    def _of(self, source: str) -> list[str]:
        return [name for name, text in self.texts.items() if text.get("source") == source]


class FakeIngester:
    """Keeps the lines of complete uploads, and lists them as jobs."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        # Uploads whose body did not arrive as a whole.
        self.incomplete = threading.Semaphore(0)
        # Reading a body waits while this is clear.
        self.reads = threading.Event()
        self.reads.set()
        self.arriving = threading.Event()
        self.refusal: RefusalError | None = None
        self.max_bytes = 1 << 40

    def answer(self, request: Handler, parts: list[str], fields: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        match request.command, parts:
            case "POST", ["v1", "jobs"]:
                return 202, self._receive(request, fields), {"Location": "/v1/jobs/1"}
            case "GET", ["v1", "jobs"]:
                return 200, page(self.jobs, "id", fields, "jobs"), {}
            case "GET", ["v1", "jobs", name]:
                for job in self.jobs:
                    if job["id"] == name:
                        return 200, job, {}
        raise RefusalError(404, "not_found")

    def _receive(self, request: Handler, fields: dict[str, str]) -> dict[str, Any]:
        kind = request.headers.get("Content-Type", "")
        if kind not in ("application/x-ndjson", "text/csv") and "format" not in fields:
            raise RefusalError(415, "unsupported_media_type")
        if self.refusal:
            raise self.refusal
        size = lines = 0
        self.arriving.set()
        self.reads.wait()
        try:
            for block in request.blocks():
                size += len(block)
                lines += block.count(b"\n")
                if size > self.max_bytes:
                    raise RefusalError(413, "payload_too_large")
                self.reads.wait()
        except IncompleteError:
            self.incomplete.release()
            raise
        job = {"id": f"job {len(self.jobs) + 1}/ü", "bytes": size, "lines": lines, "kind": kind, "query": fields}
        self.jobs.append(job)
        return job
