"""A real HTTP server on a free port that answers what a test tells it to."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeService:
    """Answers `replies["METHOD /path"]` = (status, content) and remembers every request in `requests`.

    Content that is bytes is sent as it is, anything else as JSON. A reply may be a function that makes the
    pair from the request's body. While `gate` is clear, answers wait.
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

            do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                # A client that stopped waiting is what some tests are about.
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def running() -> Iterator[FakeService]:
    """A fake service that serves until the block ends."""
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
    """An address at which nobody listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_address[1]}"
