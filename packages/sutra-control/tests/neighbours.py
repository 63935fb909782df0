"""Stand-ins for hybrid, bulk-ingester and metrics.

They keep to the contracts: they honour every parameter and refuse unknown ones.
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

type Answer = tuple[int, Any]


class Neighbour:
    """A real HTTP server. `replies["METHOD /path"]`, without the query, replace an answer; `gate` holds all back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.replies: dict[str, Answer] = {}
        self.requests: list[tuple[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        neighbour = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                neighbour.requests.append((f"{self.command} {self.path}", self.headers.get("Host")))
                neighbour.gate.wait()
                parts = urlsplit(self.path)
                found = neighbour.replies.get(f"{self.command} {parts.path}")
                if found is None:
                    query = dict(parse_qsl(parts.query, keep_blank_values=True))
                    found = neighbour.answer(self.command, parts.path, query, self.headers.get("Host", ""))
                status, content = found
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_DELETE = _answer  # noqa: N815 - names required by http.server

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                # Some tests disconnect on purpose.
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)

        # All addresses of this machine: 127.0.0.2 and 127.0.0.3 look like two machines.
        self.server = Server(("0.0.0.0", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str, query: dict[str, str], host: str) -> Answer:
        return error(404, "not_found", f"not found: {path}")


@contextmanager
def running[N: Neighbour](neighbour: N) -> Iterator[N]:
    thread = threading.Thread(target=neighbour.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield neighbour
    finally:
        neighbour.gate.set()
        neighbour.server.shutdown()
        thread.join()
        neighbour.server.server_close()


def error(status: int, code: str, message: str) -> Answer:
    return status, {"error": {"code": code, "message": message}}


def page(
    entries: list[Any], key: str, query: dict[str, str], most: int, default: int
) -> tuple[list[Any], dict[str, Any]] | Answer:
    """The page of `entries` that `query` asks for, and the `next` field; or an error."""
    limit = query.get("limit", str(default))
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        return error(422, "invalid_request", f"limit is {limit}; it must be between 1 and {most}")
    cursor = query.get("cursor")
    keys = [entry[key] for entry in entries]
    if cursor is not None and cursor.removeprefix("after:") not in keys:
        return error(400, "invalid_cursor", f"invalid cursor: {cursor}")
    start = 0 if cursor is None else keys.index(cursor.removeprefix("after:")) + 1
    shown = entries[start : start + int(limit)]
    following = {"next": f"after:{shown[-1][key]}"} if start + len(shown) < len(entries) else {}
    return shown, following


class FakeIngester(Neighbour):
    """Jobs by id, newest first. `has_cursors`: it can list more than its newest 100."""

    def __init__(self) -> None:
        super().__init__("bulk-ingester")
        self.jobs: list[dict[str, Any]] = []
        self.has_cursors = True

    def answer(self, method: str, path: str, query: dict[str, str], host: str) -> Answer:
        if path == "/health":
            return 200, {"status": "ok", "service": self.name, "version": "1.2.3", "edition": "simple"}
        if method == "GET" and path == "/v1/jobs":
            return self._list(query)
        job = next((job for job in self.jobs if path == f"/v1/jobs/{job['id']}"), None)
        if job is None:
            return error(404, "not_found", f"unknown job: {path}")
        if method == "DELETE":
            if job["state"] in ("done", "failed"):
                return error(409, "job_ended", f"the job has already ended: {job['state']}")
            job["state"] = "cancelled"
        return 200, job

    def _list(self, query: dict[str, str]) -> Answer:
        unknown = set(query) - ({"limit", "cursor"} if self.has_cursors else {"limit"})
        if unknown:
            return error(422, "invalid_request", f"unknown field: {', '.join(sorted(unknown))}")
        found = page(self.jobs, "id", query, 100, 20)
        if isinstance(found[0], int):
            return found
        jobs = [{name: value for name, value in job.items() if name != "bad_lines"} for job in found[0]]
        return 200, {"jobs": jobs, **(found[1] if self.has_cursors else {})}


class FakeHybrid(Neighbour):
    """Texts, each with `id` and `text`, perhaps `source`, `title`, `metadata`, and `passages` of more than one."""

    def __init__(self) -> None:
        super().__init__("hybrid")
        self.texts: list[dict[str, Any]] = []

    def answer(self, method: str, path: str, query: dict[str, str], host: str) -> Answer:
        if path == "/health":
            return 200, {"status": "ok", "service": self.name, "version": "1.2.3", "edition": "simple"}
        if method == "GET" and path in ("/concepts", "/sources"):
            return self._list(path.removeprefix("/"), query)
        if method == "DELETE" and path == "/concepts":
            return self._delete_source(query.get("source", ""))
        text = next((text for text in self.texts if unquote(path) == f"/concepts/{text['id']}"), None)
        if text is None:
            return error(404, "not_found", f"unknown concept: {path}")
        if method == "DELETE":
            self._delete([text])
            return 200, {"deleted": 1}
        return 200, text

    def _list(self, kind: str, query: dict[str, str]) -> Answer:
        unknown = set(query) - ({"limit", "cursor", "source"} if kind == "concepts" else {"limit", "cursor"})
        if unknown:
            return error(422, "invalid_request", f"unknown field: {', '.join(sorted(unknown))}")
        if kind == "concepts":
            entries = [text for text in self.texts if query.get("source") in (None, text.get("source"))]
            found = page(entries, "id", query, 200, 50)
        else:
            found = page(self._sources(), "source", query, 1000, 200)
        return found if isinstance(found[0], int) else (200, {kind: found[0], **found[1]})

    def _sources(self) -> list[dict[str, Any]]:
        counts: dict[str, int] = {}
        for text in self.texts:
            if "source" in text:
                counts[text["source"]] = counts.get(text["source"], 0) + text.get("passages", 1)
        return [{"source": source, "concepts": count} for source, count in sorted(counts.items())]

    def _delete_source(self, source: str) -> Answer:
        if not source:
            return error(422, "invalid_request", "query.source: required")
        return self._delete([text for text in self.texts if text.get("source") == source])

    def _delete(self, texts: list[dict[str, Any]]) -> Answer:
        self.texts = [text for text in self.texts if text not in texts]
        return 200, {"deleted": sum(text.get("passages", 1) for text in texts)}


class FakeServices(Neighbour):
    """Every service, each at an address of its own, 127.0.0.N. Answers by the address that was asked."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("all")
        self.addresses = {name: f"127.0.0.{number}" for number, name in enumerate(names, 2)}
        self.metrics: dict[str, bytes] = {}

    def url_of(self, name: str) -> str:
        return f"http://{self.addresses[name]}:{self.port}"

    def answer(self, method: str, path: str, query: dict[str, str], host: str) -> Answer:
        address = host.partition(":")[0]
        name = next(name for name, known in self.addresses.items() if known == address)
        if path == "/health":
            return 200, {"status": "ok", "service": name, "version": "1.2.3", "edition": "simple"}
        if path == "/metrics" and name in self.metrics:
            return 200, self.metrics[name]
        return 404, {}
