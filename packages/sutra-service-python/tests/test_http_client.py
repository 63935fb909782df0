"""The client, against servers that answer byte for byte as told."""

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest

from sutra_service import http_client
from sutra_service.http_client import MAX_IDLE, Pool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GUARD_S = 60

type Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Counts connections, and keeps the heads of requests. `ended` is set when a client closes its connection."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers or (OK,)
        self.connections = 0
        self.heads: list[bytes] = []
        self.ended = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)
        self.gate = asyncio.Event()
        self.gate.set()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            for answer in self.answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                self.arrived.release()
                await self.gate.wait()
                writer.write(answer)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.ended.set()
        writer.close()

    @asynccontextmanager
    async def pool(self, prefix: str = "") -> AsyncIterator[Pool]:
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0) as listener:
            pool = Pool(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}{prefix}")
            try:
                yield pool
            finally:
                pool.close()


def run(act: Awaitable[Any]) -> Any:
    async def inside() -> Any:
        async with asyncio.timeout(GUARD_S):
            return await act

    return asyncio.run(inside())


async def get(pool: Pool, path: str = "/", content: bytes | None = None) -> tuple[int, bytes]:
    async with pool.stream("GET" if content is None else "POST", path, [("X-Request-Id", "1")], content) as response:
        return response.status, b"".join([piece async for piece in response.body])


def test_a_connection_is_reused() -> None:
    async def inside() -> None:
        server = Server(OK, b"HTTP/1.1 404 N\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nn\r\n1\r\no\r\n0\r\n\r\n", OK)
        async with server.pool("/below") as pool:
            assert [await get(pool, "/a?b=%20"), await get(pool), await get(pool)] == [
                (200, b"ok"),
                (404, b"no"),
                (200, b"ok"),
            ]
        assert server.connections == 1
        assert server.heads[0].startswith(b"GET /below/a?b=%20 HTTP/1.1\r\nHost: 127.0.0.1:")
        assert b"Content-Length" not in server.heads[0]

    run(inside())


def test_an_empty_body_has_a_length() -> None:
    async def inside() -> None:
        server = Server()
        async with server.pool() as pool:
            await get(pool, content=b"")
        assert b"\r\nContent-Length: 0\r\n" in server.heads[0]

    run(inside())


def test_an_informational_answer_is_skipped() -> None:
    async def inside() -> None:
        async with Server(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK).pool() as pool:
            assert await get(pool) == (200, b"ok")

    run(inside())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"more",
    ],
)
def test_a_connection_that_cannot_be_reused_is_closed(answer: bytes) -> None:
    async def inside() -> None:
        server = Server(answer)
        async with server.pool() as pool:
            assert await get(pool) == (200, b"ok")
            await server.ended.wait()
            assert await get(pool) == (200, b"ok")
        assert server.connections == 2

    run(inside())


def test_an_answer_that_was_not_read_to_its_end_closes_the_connection() -> None:
    async def inside() -> None:
        server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\nok")
        async with server.pool() as pool:
            async with pool.stream("GET", "/", []) as response:
                assert await anext(response.body) == b"ok"
            await server.ended.wait()

    run(inside())


def end(writer: asyncio.StreamWriter) -> None:
    writer.close()


def refuse_late(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    # Closing without waiting resets the connection.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("close", [end, refuse_late, reset])
def test_a_connection_that_the_service_closed_meanwhile_is_not_reused(
    close: Callable[[asyncio.StreamWriter], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def inside() -> None:
        server = Server(OK, OK)
        async with server.pool() as pool:
            await get(pool)
            close(server.writers[0])
            waiting = pool._idle[0]._next_read
            assert waiting is not None
            await asyncio.wait((waiting,))
            assert await get(pool) == (200, b"ok")
        assert server.connections == 2

    run(inside())
    gc.collect()
    assert not caplog.records, "an exception was not retrieved"


def test_an_old_connection_is_not_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inside() -> None:
        server = Server(OK, OK)
        async with server.pool() as pool:
            await get(pool)
            monkeypatch.setattr(http_client, "KEEP_ALIVE_S", 0)
            await get(pool)
        assert server.connections == 2

    run(inside())


def test_the_number_of_connections_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_CONNECTIONS", MAX_IDLE + 1)

    async def inside() -> None:
        server = Server(OK, OK, OK)
        server.gate.clear()
        async with server.pool() as pool:
            calls = [asyncio.create_task(get(pool)) for _ in range(2 * MAX_IDLE)]
            for _ in range(MAX_IDLE + 1):
                await server.arrived.acquire()
            with pytest.raises(TimeoutError):
                async with pool.stream("GET", "/", [], wait_s=0.01):
                    pass
            assert server.connections == MAX_IDLE + 1
            server.gate.set()
            assert await asyncio.gather(*calls) == [(200, b"ok")] * 2 * MAX_IDLE
            assert len(pool._idle) == MAX_IDLE

    run(inside())


def test_the_answer_to_a_refused_body_is_read() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
        # The rest of the body is not read: this resets the connection.
        writer.close()

    async def inside() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listener:
            pool = Pool(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
            # More than the buffers of sockets hold.
            assert await get(pool, content=b"x" * 20_000_000) == (413, b"no")

    run(inside())


def test_an_answer_before_the_end_of_the_body_is_read() -> None:
    async def inside() -> None:
        waiting = asyncio.Event()

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            await waiting.wait()
            writer.close()

        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listener:
            pool = Pool(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
            assert await get(pool, content=b"x" * 20_000_000) == (413, b"no")
            assert not pool._idle, "part of the body is still to be sent"
            waiting.set()

    run(inside())


def test_what_arrived_before_a_reset_is_read() -> None:
    async def inside() -> None:
        reader = http_client._Reader()
        reader.feed_data(b"ok")
        reader.set_exception(ConnectionResetError("reset"))
        assert await reader.next() == b"ok"
        with pytest.raises(ConnectionResetError, match="reset"):
            await reader.next()

    run(inside())


class ClosesWhenReused:
    """Closes its first connection at the second request, after sending `start`."""

    def __init__(self, start: bytes = b"") -> None:
        self.start = start
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            writer.write(self.start if self.requests == 2 else OK)
            if self.requests == 2:
                break
        writer.close()


@pytest.mark.parametrize(("content", "start"), [(b"", b""), (None, b"HTTP/1.1 200 OK\r\n")])
def test_only_a_request_that_may_be_repeated_and_has_no_answer_is_sent_again(
    content: bytes | None, start: bytes
) -> None:
    async def inside(server: ClosesWhenReused, content: bytes | None, expected: type[Exception] | None) -> None:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
            pool = Pool(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
            assert await get(pool) == (200, b"ok")
            if expected is None:
                assert await get(pool, content=content) == (200, b"ok")
            else:
                with pytest.raises((expected, ConnectionError)):
                    await get(pool, content=content)
            pool.close()

    again, not_again = ClosesWhenReused(), ClosesWhenReused(start)
    run(inside(again, None, None))
    run(inside(not_again, content, h11.RemoteProtocolError))
    assert (again.requests, not_again.requests) == (3, 2)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", h11.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", h11.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", h11.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * http_client.MAX_HEAD_BYTES, h11.RemoteProtocolError),
    ],
)
def test_an_incomplete_or_invalid_answer(answer: bytes, error: type[Exception]) -> None:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def inside() -> None:
        async with await asyncio.start_server(send, "127.0.0.1", 0) as listener:
            pool = Pool(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
            with pytest.raises((error, ConnectionResetError)):
                await get(pool)

    run(inside())


def test_a_wait_in_the_body_is_limited() -> None:
    async def inside() -> None:
        server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
        async with server.pool() as pool, pool.stream("GET", "/", [], wait_s=0.05) as response:
            assert await anext(response.body) == b"ok"
            with pytest.raises(TimeoutError):
                await anext(response.body)

    run(inside())
