"""Clients that stop in the middle, against a real process."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from test_run import GUARD_S, service

SERVICE = """
import asyncio
from contextlib import suppress
from fastapi import Request
from starlette.requests import ClientDisconnect
import sutra_service.application, sutra_service.connections as connections

connections.MAX_CONNECTIONS = 20
# More than the buffers of a streamed body.
connections.BODY_BYTES = 600_000
connections.HEADER_S = connections.PAUSE_S = {patience}
inner = create_app

def create_app(*args, **options):
    app = inner(*args, **{{**options, "max_body_bytes": 200_000, "streamed": [("POST", "/stream")]}})
    reads = asyncio.Event()

    @app.post("/read")
    async def read():
        reads.set()

    @app.post("/stream")
    async def stream(request: Request):
        await reads.wait()
        size = 0
        with suppress(ClientDisconnect):
            async for chunk in request.stream():
                size += len(chunk)
        return size

    @app.post("/count")
    async def count(request: Request):
        with suppress(ClientDisconnect):
            return len(await request.body())

    return app
"""
NEVER = 1e6


class Client:
    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def send(self, text: str) -> "Client":
        self._socket.sendall(text.encode())
        return self

    def answer(self) -> str:
        """All that the service sends until it closes the connection."""
        answer = b""
        try:
            while received := self._socket.recv(65536):
                answer += received
        except ConnectionResetError:
            pass
        return answer.decode()


def post(size: int, body: str, path: str = "/count") -> str:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{body}"


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)["message"]
        if "running on" in message:
            return int(message.rsplit(":", 1)[1].split(" ", 1)[0])
    raise AssertionError("it did not start")


@contextmanager
def running(patience: float) -> Iterator[tuple[Callable[[], Client], int]]:
    """A function that connects to a service, and the service's process id."""
    with service(more=SERVICE.format(patience=patience)) as process, ExitStack() as connections:
        port = port_of(process)

        def connect() -> Client:
            connection = socket.create_connection(("127.0.0.1", port), GUARD_S)
            return Client(connections.enter_context(connection))

        yield connect, process.pid


def test_half_open_connections_make_room_for_others() -> None:
    with running(NEVER) as (connect, _):
        half_open = [connect().send("GET /health HTTP/1.1\r\n") for _ in range(50)]
        for _ in range(30):
            assert connect().send(post(3, "abc")).answer().endswith("3")
        assert half_open[0].answer() == ""
        assert "200 OK" in half_open[-1].send("Host: localhost\r\nConnection: close\r\n\r\n").answer()


def test_unfinished_bodies_make_room_for_others() -> None:
    with running(NEVER) as (connect, _):
        part = "x" * 100_000
        unfinished = []
        for _ in range(10):
            unfinished.append(connect().send(post(len(part) + 1, part)))
            assert connect().send(post(3, "abc")).answer().endswith("3")
        assert unfinished[0].answer() == ""
        assert unfinished[-1].send("x").answer().endswith(str(len(part) + 1))


def test_a_client_that_pauses_is_disconnected() -> None:
    with running(0.2) as (connect, _):
        for started in ("", "GET /health HTTP/1.1\r\n", post(10, ""), post(10, "abc")):
            assert connect().send(started).answer() == "", started
        assert connect().send(post(3, "abc")).answer().endswith("3")


def test_half_open_connections_are_bounded() -> None:
    with running(NEVER) as (connect, process):
        for _ in range(200):
            connect().send("GET /health HTTP/1.1\r\n")
        assert connect().send(post(3, "abc")).answer().endswith("3")
        sockets = [file for file in Path(f"/proc/{process}/fd").iterdir() if "socket" in str(file.readlink())]
        assert len(sockets) < 40


def test_a_streamed_body_takes_no_room_and_has_no_limit() -> None:
    with running(NEVER) as (connect, _):
        connect().send(post(0, "", "/read")).answer()
        part = "x" * 100_000
        unfinished = [connect().send(post(len(part) + 1, part)) for _ in range(2)]
        streamed = connect().send(post(10 * len(part), "", "/stream"))
        for _ in range(10):
            streamed.send(part)
        assert streamed.answer().endswith("1000000")
        assert [client.send("x").answer()[-6:] for client in unfinished] == ["100001", "100001"]


def test_a_streamed_body_may_wait_for_the_service_but_not_for_its_client() -> None:
    with running(0.2) as (connect, _):
        part = "x" * 150_000
        streamed = connect().send(post(2 * len(part), part, "/stream"))
        for _ in range(3):
            assert connect().send(post(10, "abc")).answer() == ""
        connect().send(post(0, "", "/read")).answer()
        assert streamed.send(part).answer().endswith("300000")
        assert connect().send(post(10, "abc", "/stream")).answer() == ""
