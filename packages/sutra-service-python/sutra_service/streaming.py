"""Sends a request whose body is never held whole, and reads the answer while it is being sent.

httpcore reads an answer only after the whole body. A service that refuses a large body early would have closed the
connection by then, and its answer would be lost.
"""

import asyncio
from collections.abc import AsyncIterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import h11

READ_BYTES = 65536
MAX_ANSWER_BYTES = 1024 * 1024


async def post(
    url: str,
    headers: Sequence[tuple[str, str]],
    chunks: AsyncIterable[bytes],
    deadline_s: float,
    tls: Any = None,
) -> tuple[int, dict[str, str], bytes]:
    """POST `chunks`, and return the status, the headers (names in lower case) and the body of the answer.

    Without a Content-Length in `headers`, the body is sent in HTTP's own chunks. Raises TimeoutError if connecting,
    taking a chunk or answering takes longer than `deadline_s`, OSError or h11.ProtocolError if the connection fails,
    and what `chunks` raises. The service then sees an incomplete body.
    """
    parts = urlsplit(url)
    async with asyncio.timeout(deadline_s):
        port = parts.port or (443 if tls else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    connection = h11.Connection(h11.CLIENT)
    names = {name.lower() for name, _ in headers}
    framing = [] if "content-length" in names else [("Transfer-Encoding", "chunked")]
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = h11.Request(
        method="POST", target=target, headers=[("Host", parts.netloc), ("Connection", "close"), *headers, *framing]
    )
    sending = asyncio.create_task(_send(connection, writer, request, chunks, deadline_s))
    answering = asyncio.create_task(_read(connection, reader))
    try:
        await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            # A service that refuses a body may close the connection; its answer counts.
            with suppress(ConnectionError):
                await sending
        async with asyncio.timeout(deadline_s):
            return await answering
    finally:
        sending.cancel()
        answering.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)
        writer.transport.abort()


async def _send(
    connection: h11.Connection,
    writer: asyncio.StreamWriter,
    request: h11.Request,
    chunks: AsyncIterable[bytes],
    deadline_s: float,
) -> None:
    writer.write(connection.send(request) or b"")
    async for chunk in chunks:
        writer.write(connection.send(h11.Data(data=chunk)) or b"")
        async with asyncio.timeout(deadline_s):
            await writer.drain()
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    async with asyncio.timeout(deadline_s):
        await writer.drain()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    status, headers, body = 0, {}, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_ANSWER_BYTES:
                raise h11.RemoteProtocolError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return status, headers, bytes(body)
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("closed without an answer")
