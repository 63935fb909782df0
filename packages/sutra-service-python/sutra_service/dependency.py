"""Another service that this one calls: deadlines, and errors that name it."""

import asyncio
import json
import time
from collections.abc import Callable
from http import HTTPStatus
from logging import getLogger
from typing import Any

import httpcore

# What httpcore connects by. anyio imports it at its first use, which would be after `tls.postponed`.
from anyio import connect_tcp  # noqa: F401

from sutra_service.errors import ServiceError

logger = getLogger(__name__)

# Below uvicorn's own five seconds, so that a kept connection is never one that the other side is closing.
KEEP_ALIVE_S = 4.0
PROBE_DEADLINE_S = 2.0
PROBE_EVERY_S = 10.0
MAX_REPLY_BYTES = 16 * 1024 * 1024
# With these the other side blames the request.
BLAME = (400, 404, 413, 422)


class Dependency:
    """A JSON service at `url`, called within `deadline_s` seconds in all.

    `variable` is the environment variable that holds the address; errors name it as remedy.
    `state` is what the last call or probe found: ok; not_ready (it answered 503, or a probe anything but success);
    unreachable; timeout (no answer in time, or its answer 504); failed; unknown before the first.
    """

    def __init__(
        self,
        name: str,
        url: str,
        variable: str,
        deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.state = "unknown"
        self._url = url
        self._variable = variable
        self._deadline_s = deadline_s
        self._clock = clock
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._probe: asyncio.Task[None] | None = None
        self._probe_due = float("-inf")

    async def call(self, method: str, path: str, body: Any = None, *, passes_blame: bool = False) -> Any:
        """The JSON that the service answers to `method` on `path`.

        Raises ServiceError: 503 NAME_unreachable or NAME_not_ready, 504 NAME_timeout, 502 NAME_failed. Where the
        service answered, `neighbour_status` is its status. `passes_blame` is for a request that is the caller's own:
        then the service's 400, 404, 413 or 422 is raised as it came. Otherwise whoever called here is not to blame
        for what this service made of it, and it is a 502 too.
        """
        status, content = await self.exchange(method, path, body)
        try:
            answer = json.loads(content)
        # Brackets within brackets, some thousands deep, are JSON too.
        except (ValueError, RecursionError):
            if status < HTTPStatus.MULTIPLE_CHOICES:
                raise self._failed(f"answered {status} with something that is not JSON", status) from None
            answer = None
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        raise self._refusal(status, *_error_of(answer), passes_blame=passes_blame)

    def refresh(self) -> str:
        """The last known state; starts a probe in the background if that is too long ago."""
        now = self._clock()
        if now >= self._probe_due:
            self._probe_due = now + PROBE_EVERY_S
            self._probe = asyncio.create_task(self._look())
        return self.state

    async def close(self) -> None:
        """End the probe that may be under way and the kept connections."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
        if self._pool is not None:
            await self._pool.aclose()

    async def _look(self) -> None:
        try:
            status, _ = await self.exchange("GET", "/health", deadline_s=PROBE_DEADLINE_S)
        except ServiceError as error:
            logger.debug("probe of %s: %s", self.name, error.detail)
        else:
            self.state = "ok" if status < HTTPStatus.MULTIPLE_CHOICES else "not_ready"

    async def exchange(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        deadline_s: float | None = None,
        max_bytes: int = MAX_REPLY_BYTES,
    ) -> tuple[int, bytes]:
        """The status and the body that the service answers, whatever they are, for whoever reads errors too.

        Raises ServiceError as `call` does where there is no whole answer of at most `max_bytes`.
        """
        deadline_s = deadline_s or self._deadline_s
        headers = [("Accept", "application/json")]
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False).encode()
            headers.append(("Content-Type", "application/json"))
        try:
            async with asyncio.timeout(deadline_s):
                result = await self._send(method, path, headers, content, max_bytes)
        except (TimeoutError, httpcore.TimeoutException):
            self.state = "timeout"
            message = f"{self.name} at {self._url} did not answer within {deadline_s:g} s; try again or look at its log"
            raise ServiceError(504, f"{self.name}_timeout", message) from None
        except (httpcore.ConnectError, OSError) as error:
            self.state = "unreachable"
            message = f"{self.name} cannot be reached at {self._url} ({error}); start it or correct {self._variable}"
            raise ServiceError(503, f"{self.name}_unreachable", message, RETRY) from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise self._failed(f"broke off its answer ({type(error).__name__})") from None
        self.state = STATES.get(result[0], "failed" if result[0] >= HTTPStatus.INTERNAL_SERVER_ERROR else "ok")
        return result

    async def _send(
        self, method: str, path: str, headers: list[tuple[str, str]], content: bytes | None, max_bytes: int
    ) -> tuple[int, bytes]:
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=_system_trust() if self._url.startswith("https:") else None,
                max_connections=64,
                max_keepalive_connections=8,
                keepalive_expiry=KEEP_ALIVE_S,
            )
        async with self._pool.stream(method, self._url + path, headers=headers, content=content) as response:
            received = bytearray()
            async for chunk in response.aiter_stream():
                received += chunk
                if len(received) > max_bytes:
                    raise self._failed(f"answered with more than {max_bytes} bytes")
            return response.status, bytes(received)

    def _refusal(self, status: int, code: str, message: str, *, passes_blame: bool) -> ServiceError:
        """The error to raise for an answer that is not a success."""
        if passes_blame and status in BLAME and code:
            return ServiceError(status, code, message, neighbour_status=status)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            said = f"{self.name} is not ready: {message}; try again"
            return ServiceError(503, f"{self.name}_not_ready", said, RETRY, neighbour_status=status)
        if status == HTTPStatus.GATEWAY_TIMEOUT:
            said = f"{self.name} at {self._url} waited too long for another service: {message}; try again"
            return ServiceError(504, f"{self.name}_timeout", said, neighbour_status=status)
        return self._failed(f"answered {f'{status} {code}'.rstrip()}: {message}", status)

    def _failed(self, what: str, status: int | None = None) -> ServiceError:
        self.state = "failed"
        message = f"{self.name} at {self._url} {what}; its log says why"
        if status in BLAME:
            message += f", or {self._variable} is the address of another service"
        return ServiceError(502, f"{self.name}_failed", message, neighbour_status=status)


RETRY = {"Retry-After": "5"}
# What a status says of the service. With any other below 500 it works: what it thinks of a request is another matter.
STATES = {HTTPStatus.SERVICE_UNAVAILABLE: "not_ready", HTTPStatus.GATEWAY_TIMEOUT: "timeout"}


def _error_of(answer: Any) -> tuple[str, str]:
    detail = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(detail, dict) and isinstance(detail.get("code"), str) and isinstance(detail.get("message"), str):
        return detail["code"], detail["message"]
    return "", "it gave no reason"


def _system_trust() -> Any:
    # httpcore would trust certifi's list only, and never a company's own authority.
    import ssl  # noqa: PLC0415 - 10 MB of memory that plain HTTP does not need

    return ssl.create_default_context()
