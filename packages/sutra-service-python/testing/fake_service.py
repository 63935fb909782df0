"""A real HTTP server on a free port with configurable answers, for tests."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeService:
    """Answers with `replies["METHOD /path"]` = (status, content) and records every request in `requests`.

    Sends bytes as they are, anything else as JSON. A reply may be a function from the request's body to
    the pair. Answers wait while `gate` is clear.
    """

    def __init__(self) -> None:
        self.replies: dict[str, tuple[int, Any] | Callable[[Any], tuple[int, Any]]] = {
            "GET /health": (200, {"status": "ok"})
        }
        self.requests: list[tuple[str, Any]] = []
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = json.loads(self.rfile.read(length)) if length else None
                name = f"{self.command} {self.path}"
                fake.requests.append((name, body))
                fake.arrived.set()
                fake.gate.wait()
                reply = fake.replies.get(name, (404, {}))
                status, content = reply(body) if callable(reply) else reply
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names required by http.server

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                # Some tests disconnect on purpose.
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def running() -> Iterator[FakeService]:
    """Run a fake service for the duration of the block."""
    fake = FakeService()
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        fake.gate.set()
        fake.server.shutdown()
        thread.join()
        fake.server.server_close()


def closed_url() -> str:
    """A URL at which nothing listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_address[1]}"
