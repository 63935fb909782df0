"""Cancels work whose client has disconnected."""

import asyncio
from collections.abc import Coroutine
from logging import getLogger
from typing import Any

from starlette.requests import Request

from sutra_service.errors import ServiceError

logger = getLogger(__name__)


async def while_connected[T](request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, or cancel it when the client disconnects. The body of the request must have been read.

    Raises ServiceError 499 client_gone, which only the log and the metrics see.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        logger.info("the client disconnected: %s %s is cancelled", request.method, request.url.path)
        raise ServiceError(499, "client_gone", "the client disconnected before the answer")
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
