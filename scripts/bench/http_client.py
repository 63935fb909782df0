"""JSON over one connection that is kept open, as services among each other do."""

import http.client
import json
from typing import Any

TIMEOUT_S = 120


class Client:
    """Asks one service; not for several threads at once."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self._headers = headers or {}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the service answers; anything but a 2xx ends the program with the service's words."""
        return self.send(method, path, None if body is None else json.dumps(body).encode(), "application/json")

    def send(self, method: str, path: str, body: bytes | None, kind: str) -> Any:
        """The same with a body that is bytes already."""
        headers = dict(self._headers) if body is None else {**self._headers, "Content-Type": kind}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status // 100 != 2:
            raise SystemExit(f"{method} {path} was answered {answer.status}: {text[:500].decode(errors='replace')}")
        return json.loads(text)
