"""HTTP/1.1 connections to other services, and a pool that reuses them.

h11 implements the protocol. httpcore has such a pool, but cannot be imported without OpenSSL, which optimized images
leave out: services talk plain HTTP to each other.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11

READ_BYTES = 65536
# The limit of the status line and headers of an answer.
MAX_HEAD_BYTES = 100 * 1024
MAX_CONNECTIONS = 64
MAX_IDLE = 8
# Shorter than uvicorn's five seconds, so that the other side rarely closes a connection just as it is reused. It may
# still do so: when it stops, or to make room for other clients.
KEEP_ALIVE_S = 4.0
# RFC 8305: how long to wait for one address of a host before trying the next as well.
NEXT_ADDRESS_S = 0.25
# RFC 9110, 9.2.2: methods that may be sent again if the service may have carried them out.
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


@dataclass(frozen=True)
class Response:
    """The start of an answer; names of `headers` are in lower case. `body` yields its bytes as they arrive."""

    status: int
    headers: dict[str, str]
    body: AsyncIterator[bytes]


class _Reader(asyncio.StreamReader):
    """Hands out what has arrived before it ends with the error of a connection; StreamReader drops it."""

    error: Exception | None = None

    def set_exception(self, exc: Exception) -> None:
        self.error = exc
        self.feed_eof()

    async def next(self) -> bytes:
        """Some bytes, or none at the end. Raises OSError if the connection failed."""
        data = await self.read(READ_BYTES)
        if not data and self.error is not None:
            raise self.error
        return data


class Connection:
    """A connection. Its methods raise OSError or h11.ProtocolError if it fails or the answer is incomplete."""

    def __init__(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._next_read: asyncio.Task[bytes] | None = None
        self._idle_since = 0.0
        # Whether anything of the answer to the current request has arrived.
        self.is_answered = False

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect to the first address of `host` that accepts. Raises OSError if none does."""
        loop = asyncio.get_running_loop()
        reader = _Reader()
        transport, protocol = await loop.create_connection(
            lambda: asyncio.StreamReaderProtocol(reader), host, port, happy_eyeballs_delay=NEXT_ADDRESS_S
        )
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    def begin(self, *events: h11.Event) -> None:
        """Send parts of a request without waiting for it, so that the answer is read meanwhile."""
        self._writer.write(b"".join([self._protocol.send(event) or b"" for event in events]))

    async def send(self, *events: h11.Event) -> None:
        """Send parts of a request; returns when the next may follow."""
        self.begin(*events)
        await self._writer.drain()

    async def response(self) -> Response:
        """Wait for the start of the answer."""
        while isinstance(event := await self._event(), h11.InformationalResponse):
            pass
        assert isinstance(event, h11.Response)  # noqa: S101 - h11 allows nothing else before it
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        return Response(event.status_code, headers, self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)

    async def _event(self) -> Any:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            reading, self._next_read = self._next_read, None
            data = await (reading or self._reader.next())
            self.is_answered = self.is_answered or bool(data)
            self._protocol.receive_data(data)
        if isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("closed without an answer")
        return event

    def rest(self) -> bool:
        """Prepare for another request. Returns False if the request or answer is incomplete, or either side closes."""
        if (self._protocol.our_state, self._protocol.their_state) != (h11.DONE, h11.DONE):
            return False
        if self._writer.transport.get_write_buffer_size():
            return False
        self._protocol.start_next_cycle()
        # Between requests, anything that arrives, usually the end of the connection, makes it unusable.
        self._next_read = asyncio.create_task(self._reader.next())
        self.is_answered = False
        self._idle_since = time.monotonic()
        return not self._protocol.trailing_data[0]

    def is_fresh(self) -> bool:
        """Whether it can be used again after `rest`."""
        return (
            self._next_read is not None
            and not self._next_read.done()
            and time.monotonic() - self._idle_since < KEEP_ALIVE_S
        )

    def close(self) -> None:
        """Close at once; the other side sees an unfinished request as incomplete."""
        if self._next_read is not None:
            # If it is done, its error is of no interest; this also keeps asyncio from logging it.
            self._next_read.cancel()
        self._writer.transport.abort()


class Pool:
    """Connections to the service at `url`, at most MAX_CONNECTIONS at a time.

    Uploads have connections of their own (see streaming.py), which are not counted: they last as long as a slow client
    takes, and other requests would wait for them.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 80
        self._netloc = parts.netloc
        self._prefix = parts.path
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[Connection] = []

    def request(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], *more: tuple[str, str]
    ) -> h11.Request:
        """The head of a request for `path`, which may have a query."""
        return h11.Request(method=method, target=self._prefix + path, headers=[("Host", self._netloc), *headers, *more])

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]],
        content: bytes | None = None,
        wait_s: float | None = None,
    ) -> AsyncGenerator[Response]:
        """Send a request, and yield the answer; the connection is reused if the answer was read to its end.

        The answer is read while the body is sent: a service that refuses a body may close the connection.
        A request whose method is REPEATABLE is sent once more if a reused connection ends before the answer begins.
        `wait_s` limits each wait for the other side; then, and also in the body, TimeoutError is raised.
        """
        length = [] if content is None else [("Content-Length", str(len(content)))]
        parts = [self.request(method, path, headers, *length)]
        if content:
            parts.append(h11.Data(data=content))
        async with asyncio.timeout(wait_s):
            await self._free.acquire()
        try:
            rested = self._rested()
            async with asyncio.timeout(wait_s):
                connection = rested or await self._open()
            try:
                connection.begin(*parts, h11.EndOfMessage())
                try:
                    async with asyncio.timeout(wait_s):
                        response = await connection.response()
                except (ConnectionError, h11.RemoteProtocolError):
                    if rested is None or rested.is_answered or method not in REPEATABLE:
                        raise
                    connection.close()
                    async with asyncio.timeout(wait_s):
                        connection = await self._open()
                        connection.begin(*parts, h11.EndOfMessage())
                        response = await connection.response()
                yield Response(response.status, response.headers, _each_within(response.body, wait_s))
            finally:
                if len(self._idle) < MAX_IDLE and connection.rest():
                    self._idle.append(connection)
                else:
                    connection.close()
        finally:
            self._free.release()

    async def _open(self) -> Connection:
        return await Connection.open(self.host, self.port)

    def _rested(self) -> Connection | None:
        fresh = []
        for connection in self._idle:
            if connection.is_fresh():
                fresh.append(connection)
            else:
                connection.close()
        self._idle = fresh
        return fresh.pop() if fresh else None

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


async def _each_within(pieces: AsyncIterator[bytes], wait_s: float | None) -> AsyncIterator[bytes]:
    while True:
        async with asyncio.timeout(wait_s):
            piece = await anext(pieces, None)
        if piece is None:
            return
        yield piece
