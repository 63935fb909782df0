"""The thread that computes answers, with a bounded queue, deadlines and cancellation."""

import asyncio
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from logging import getLogger
from typing import Any

from sutra_service.errors import ServiceError

logger = getLogger(__name__)

MAX_RETRY_AFTER_S = 60


class Stopped(Exception):  # noqa: N818 - not an error
    """The request was cancelled."""


class Stop:
    """Tells a job to stop when its caller has left or its deadline (in time.monotonic) has passed."""

    def __init__(self, deadline: float = math.inf) -> None:
        self._deadline = deadline
        self._left = False

    def request(self) -> None:
        """Request a stop: the caller has left."""
        self._left = True

    @property
    def requested(self) -> bool:
        """Whether the job should stop."""
        return self._left or time.monotonic() >= self._deadline

    def check(self) -> None:
        """Raise Stopped if the job should stop."""
        if self.requested:
            raise Stopped

    def each[T](self, items: Iterable[T]) -> Iterator[T]:
        """Iterate over `items`, with a check before each."""
        for item in items:
            self.check()
            yield item


@dataclass
class _Job:
    function: Callable[[Stop], Any]
    stop: Stop
    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[Any]


class Worker:
    """Runs one job at a time in its own thread; at most `max_waiting` more can wait.

    A job must finish within `deadline_s` seconds of its arrival.
    """

    def __init__(self, max_waiting: int, deadline_s: float) -> None:
        self._max_waiting = max_waiting
        self._deadline_s = deadline_s
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._under_way = 0
        self._typical_s = 0.0
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[[Stop], Any]) -> Any:
        """Run `function` and return its result. Raises ServiceError 503 busy if the queue is full, and 504 timeout."""
        if self._under_way > self._max_waiting:
            wait_s = min(MAX_RETRY_AFTER_S, max(1, math.ceil(self._typical_s * self._under_way)))
            message = f"too many requests: {self._under_way} in progress or waiting; try again in {wait_s} s"
            raise ServiceError(503, "busy", message, {"Retry-After": str(wait_s)})
        loop = asyncio.get_running_loop()
        job = _Job(function, Stop(time.monotonic() + self._deadline_s), loop, loop.create_future())
        self._under_way += 1
        self._jobs.put(job)
        if self._thread is None:
            # A daemon thread, so that a hanging computation does not keep the process alive.
            self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
            self._thread.start()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await job.outcome
        except (TimeoutError, Stopped):
            message = f"no answer within {self._deadline_s:g} s; send fewer facts or raise NLG_DEADLINE_SECONDS"
            raise ServiceError(504, "timeout", message) from None
        finally:
            job.stop.request()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            began = time.monotonic()
            try:
                job.stop.check()
                result, error = job.function(job.stop), None
            except Exception as caught:
                result, error = None, caught
            try:
                job.loop.call_soon_threadsafe(self._done, job, result, error, time.monotonic() - began)
            except RuntimeError:
                # The event loop is closed: the service has stopped.
                return

    def _done(self, job: _Job, result: Any, error: Exception | None, took_s: float) -> None:
        self._under_way -= 1
        self._typical_s = took_s if not self._typical_s else 0.8 * self._typical_s + 0.2 * took_s
        if job.outcome.done():
            if error is not None and not isinstance(error, Stopped):
                logger.error("a job failed after its client had disconnected", exc_info=error)
        elif error is not None:
            job.outcome.set_exception(error)
        else:
            job.outcome.set_result(result)
