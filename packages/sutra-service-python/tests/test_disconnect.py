import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import Request

from sutra_service.disconnect import while_connected
from sutra_service.errors import ServiceError


class Client:
    """Sends messages; `leave` ends the connection."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.request = Request({"type": "http", "method": "POST", "path": "/learn", "headers": []}, self.messages.get)

    def leave(self) -> None:
        # What is left of a body does not count.
        self.messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.messages.put_nowait({"type": "http.disconnect"})


def run(test: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await test(Client())
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_work_is_done_while_the_client_waits() -> None:
    async def seven() -> int:
        await asyncio.sleep(0)
        return 7

    async def fail() -> None:
        raise ServiceError(503, "unavailable", "later")

    async def test(client: Client) -> None:
        assert await while_connected(client.request, seven()) == 7
        with pytest.raises(ServiceError, match="later"):
            await while_connected(client.request, fail())

    run(test)


def test_work_ends_with_the_connection() -> None:
    async def test(client: Client) -> None:
        done: list[str] = []

        async def work() -> None:
            done.append("begun")
            client.leave()
            try:
                await asyncio.Event().wait()
            finally:
                # What must be finished is.
                await asyncio.sleep(0)
                done.append("ended")

        with pytest.raises(ServiceError) as caught:
            await while_connected(client.request, work())
        assert (caught.value.status_code, caught.value.code) == (499, "client_gone")
        assert done == ["begun", "ended"]

    run(test)


def test_work_ends_if_the_service_stops() -> None:
    async def test(client: Client) -> None:
        done: list[str] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                done.append("ended")

        task = asyncio.create_task(while_connected(client.request, work()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == ["ended"]

    run(test)
