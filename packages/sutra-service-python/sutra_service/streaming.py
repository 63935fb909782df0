"""Sends a request whose body is never held whole, and reads the answer while it is being sent.

A service that refuses a large body early closes the connection. If its answer were read only after the whole body, it
would be lost.
"""

import asyncio
from collections.abc import AsyncIterable, Sequence
from contextlib import suppress

import h11

from sutra_service.http_client import Connection, Pool

MAX_ANSWER_BYTES = 1024 * 1024


async def post(
    pool: Pool,
    path: str,
    headers: Sequence[tuple[str, str]],
    chunks: AsyncIterable[bytes],
    deadline_s: float,
) -> tuple[int, dict[str, str], bytes]:
    """POST `chunks`, and return the status, the headers (names in lower case) and the body of the answer.

    Without a Content-Length in `headers`, the body is sent in HTTP's own chunks. Raises TimeoutError if connecting,
    taking a chunk or answering takes longer than `deadline_s`, OSError or h11.ProtocolError if the connection fails,
    and what `chunks` raises. The service then sees an incomplete body.
    """
    names = {name.lower() for name, _ in headers}
    framing = [] if "content-length" in names else [("Transfer-Encoding", "chunked")]
    request = pool.request("POST", path, headers, ("Connection", "close"), *framing)
    async with asyncio.timeout(deadline_s):
        connection = await Connection.open(pool.host, pool.port)
    sending = asyncio.create_task(_send(connection, request, chunks, deadline_s))
    answering = asyncio.create_task(_read(connection))
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
        connection.close()


async def _send(connection: Connection, request: h11.Request, chunks: AsyncIterable[bytes], deadline_s: float) -> None:
    await connection.send(request)
    async for chunk in chunks:
        async with asyncio.timeout(deadline_s):
            await connection.send(h11.Data(data=chunk))
    async with asyncio.timeout(deadline_s):
        await connection.send(h11.EndOfMessage())


async def _read(connection: Connection) -> tuple[int, dict[str, str], bytes]:
    response = await connection.response()
    body = bytearray()
    async for piece in response.body:
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise h11.RemoteProtocolError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    return response.status, response.headers, bytes(body)
