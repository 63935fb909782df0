"""Calls to other services, with deadlines and errors that name the service."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from http import HTTPStatus
from logging import getLogger
from typing import Any

import h11

from sutra_service import request_ids, streaming
from sutra_service.dependency_metrics import DependencyMetrics
from sutra_service.errors import ServiceError
from sutra_service.http_client import Pool, Response

logger = getLogger(__name__)

PROBE_DEADLINE_S = 2.0
PROBE_EVERY_S = 10.0
MAX_REPLY_BYTES = 16 * 1024 * 1024
# Statuses that mean the request was wrong.
CLIENT_ERRORS = (400, 404, 413, 422)


class Dependency:
    """A JSON service at `url`; each call takes at most `deadline_s` seconds.

    `variable` is the environment variable that holds the URL; errors mention it. `state` is the result of the last
    call or probe: `ok`, `not_ready` (it answered 503, or the probe got an error status), `unreachable`, `timeout` (no
    answer in time, or 504), `failed`, or `unknown` before the first.
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
        self._metrics: DependencyMetrics | None = None
        self._pool = Pool(url)
        self._probe: asyncio.Task[None] | None = None
        self._probe_due = float("-inf")

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        forward_client_errors: bool = False,
        also_forward: Collection[int] = (),
        deadline_s: float | None = None,
    ) -> Any:
        """Send a request and return the JSON answer. A body of bytes is JSON already.

        Raises ServiceError: 503 NAME_unreachable or NAME_not_ready, 504 NAME_timeout, 502 NAME_failed. If the service
        answered, `upstream_status` is its status. Set `forward_client_errors` if the request comes from the caller
        unchanged: the service's 400, 404, 413 and 422 are then raised as they are, and the statuses in `also_forward`.
        Otherwise the error is this service's own, and they become 502 too.
        """
        status, content = await self.exchange(method, path, body, deadline_s=deadline_s)
        return self._read(status, content, (*(CLIENT_ERRORS if forward_client_errors else ()), *also_forward))

    async def upload(
        self, path: str, headers: Mapping[str, str], chunks: AsyncIterable[bytes], forward: Collection[int]
    ) -> Any:
        """POST a body that is never held whole, and return the JSON answer.

        The deadline limits each wait for the service, not those for `chunks`. An exception of `chunks` ends the
        request in a way that shows the service that the body is incomplete. The service's errors with a status in
        `forward` are raised as they are, with `Retry-After`; others as `call` does.
        """
        all_headers = _identified([("Accept", "application/json"), *headers.items()])
        with self._named_errors(self._deadline_s):
            status, answered, content = await streaming.post(self._pool, path, all_headers, chunks, self._deadline_s)
        self._note(status)
        wait = {"Retry-After": answered["retry-after"]} if "retry-after" in answered else None
        return self._read(status, content, forward, wait)

    @asynccontextmanager
    async def download(self, path: str, forward: Collection[int]) -> AsyncGenerator[AsyncIterator[bytes]]:
        """GET an answer that is never held whole: yields an iterator over its bytes.

        The deadline limits each wait for the service, not the whole. Raises the service's errors before it yields, as
        `upload` does. The iterator raises ServiceError if the answer is incomplete.
        """
        async with AsyncExitStack() as closing:
            with self._named_errors(self._deadline_s):
                stream = self._pool.stream("GET", path, _identified([]), wait_s=self._deadline_s)
                response = await closing.enter_async_context(stream)
                is_error = response.status >= HTTPStatus.MULTIPLE_CHOICES
                content = await self._whole(response, MAX_REPLY_BYTES) if is_error else b""
            self._note(response.status)
            if is_error:
                wait = response.headers.get("retry-after")
                self._read(response.status, content, forward, {"Retry-After": wait} if wait else None)
            yield self._pieces(response)

    async def _pieces(self, response: Response) -> AsyncIterator[bytes]:
        with self._named_errors(self._deadline_s):
            async for chunk in response.body:
                yield chunk

    def _read(
        self, status: int, content: bytes, forward: Collection[int], headers: Mapping[str, str] | None = None
    ) -> Any:
        """Return the JSON of an answer, or raise its error."""
        try:
            answer = json.loads(content)
        # RecursionError: brackets nested thousands of levels deep.
        except (ValueError, RecursionError):
            if status < HTTPStatus.MULTIPLE_CHOICES:
                raise self._failed(f"answered {status} with a body that is not JSON", status) from None
            answer = None
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        code, message = _error_of(answer)
        if status in forward and code:
            raise ServiceError(status, code, message, headers, upstream_status=status)
        raise self._refusal(status, code, message)

    def measure(self, metrics: DependencyMetrics) -> None:
        """Count and time calls from now on, but not probes."""
        self._metrics = metrics

    def refresh(self) -> str:
        """Return the last known state, and start a probe in the background if one is due."""
        now = self._clock()
        if now >= self._probe_due:
            self._probe_due = now + PROBE_EVERY_S
            self._probe = asyncio.create_task(self._look())
        return self.state

    async def close(self) -> None:
        """Cancel a running probe and close the connections."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
        self._pool.close()

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
        """Send a request and return the status and body of the answer, also of an error.

        Raises ServiceError, as `call` does, if the answer is incomplete or exceeds `max_bytes`.
        """
        deadline_s = deadline_s or self._deadline_s
        headers = [("Accept", "application/json")]
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
            headers.append(("Content-Type", "application/json"))
        with self._named_errors(deadline_s):
            async with asyncio.timeout(deadline_s):
                result = await self._send(method, path, headers, content, max_bytes)
        self._note(result[0])
        return result

    @contextmanager
    def _named_errors(self, deadline_s: float) -> Iterator[None]:
        """Turn errors of the connection into a ServiceError that names the service."""
        try:
            yield
        except TimeoutError:
            self.state = "timeout"
            message = f"{self.name} at {self._url} did not answer within {deadline_s:g} s; try again or check its log"
            raise self._counted(ServiceError(504, f"{self.name}_timeout", message)) from None
        except (ConnectionResetError, BrokenPipeError, h11.RemoteProtocolError) as error:
            raise self._failed(f"sent an incomplete or invalid answer ({type(error).__name__})") from None
        except OSError as error:
            self.state = "unreachable"
            message = f"cannot reach {self.name} at {self._url}: {error}; start it or correct {self._variable}"
            raise self._counted(ServiceError(503, f"{self.name}_unreachable", message, RETRY)) from None

    def _note(self, status: int) -> None:
        """Remember the state that an answer shows."""
        self.state = STATES.get(status, "failed" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "ok")

    async def _send(
        self, method: str, path: str, headers: list[tuple[str, str]], content: bytes | None, max_bytes: int
    ) -> tuple[int, bytes]:
        with self._timed():
            async with self._pool.stream(method, path, _identified(headers), content) as response:
                return response.status, await self._whole(response, max_bytes)

    async def _whole(self, response: Response, max_bytes: int) -> bytes:
        received = bytearray()
        async for chunk in response.body:
            received += chunk
            if len(received) > max_bytes:
                raise self._failed(f"sent more than {max_bytes} bytes")
        return bytes(received)

    def _refusal(self, status: int, code: str, message: str) -> ServiceError:
        """The error for an answer that is neither a success nor forwarded."""
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            text = f"{self.name} is not ready: {message}; try again"
            return self._counted(ServiceError(503, f"{self.name}_not_ready", text, RETRY, upstream_status=status))
        if status == HTTPStatus.GATEWAY_TIMEOUT:
            text = f"{self.name} at {self._url} timed out waiting for another service: {message}; try again"
            return self._counted(ServiceError(504, f"{self.name}_timeout", text, upstream_status=status))
        return self._failed(f"answered {f'{status} {code}'.rstrip()}: {message}", status)

    def _failed(self, what: str, status: int | None = None) -> ServiceError:
        self.state = "failed"
        message = f"{self.name} at {self._url} {what}; check its log"
        if status in CLIENT_ERRORS:
            message += f", and that {self._variable} is its address"
        return self._counted(ServiceError(502, f"{self.name}_failed", message, upstream_status=status))

    def _counted(self, error: ServiceError) -> ServiceError:
        """Count an error that is about to be raised; but not one that is passed on, because the caller is at fault."""
        if self._metrics is not None and not self._is_probing():
            self._metrics.failed(self.name, error.code)
        return error

    def _is_probing(self) -> bool:
        return asyncio.current_task() is self._probe

    def _timed(self) -> AbstractContextManager[None]:
        return nullcontext() if self._metrics is None or self._is_probing() else self._metrics.timed(self.name)


RETRY = {"Retry-After": "5"}
# The state for each status. Any other status below 500 means `ok`: the request was wrong, not the service.
STATES = {HTTPStatus.SERVICE_UNAVAILABLE: "not_ready", HTTPStatus.GATEWAY_TIMEOUT: "timeout"}


def _identified(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers, with the id of the current request."""
    request_id = request_ids.current.get()
    return [*headers, (request_ids.HEADER, request_id)] if request_id else headers


def _error_of(answer: Any) -> tuple[str, str]:
    detail = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(detail, dict) and isinstance(detail.get("code"), str) and isinstance(detail.get("message"), str):
        return detail["code"], detail["message"]
    return "", "no reason given"
