"""The watch: looks at all services at once, again and again, and keeps what it saw."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import getLogger

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_control.contents import Concepts, Jobs, read_concepts, read_jobs
from sutra_control.history import History
from sutra_control.look import MAX_HEALTH_BYTES, Look, read_health
from sutra_control.services import INGESTER, STORAGE, Service

logger = getLogger(__name__)

# Several operators, or an impatient one, share a sweep that is no older than this.
FRESH_S = 2.0
# The name of a container that is gone may take its resolver seconds to miss, in a thread that cannot be ended. With as
# few threads as a machine of two cores gets by default, such names would hold up those of services that are well.
LOOKUP_THREADS = 32


class Watched(Dependency):
    """A service that is watched. Its state is what the watch saw last, so `/health` starts no probe of its own."""

    def __init__(self, service: Service, deadline_s: float) -> None:
        super().__init__(service.name, service.url, service.variable, deadline_s)
        self.service = service

    def refresh(self) -> str:
        """The last state that was seen."""
        return self.state

    async def look(self) -> Look:
        """Ask for its health; never raises for what the service does."""
        began = time.perf_counter()
        try:
            status, content = await self.exchange("GET", "/health", max_bytes=MAX_HEALTH_BYTES)
        except ServiceError as error:
            # Not self.state: another call to the same service may have changed that by now.
            return Look(error.code.removeprefix(f"{self.name}_"), error.detail)
        ms = round((time.perf_counter() - began) * 1000, 1)
        return read_health(self.name, self.service.variable, status, content, ms)


@dataclass(frozen=True)
class Sweep:
    """What was seen at one time."""

    at: datetime
    looks: Mapping[str, Look]
    concepts: Concepts
    jobs: Jobs


class Watch:
    """Sweeps every `every_s` seconds for the history, and when somebody wants to know.

    `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        watched: Sequence[Watched],
        history: History,
        max_jobs: int,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.watched = watched
        self.history = history
        self.every_s = every_s
        self._by_name = {each.name: each for each in watched}
        self._max_jobs = max_jobs
        self._clock = clock
        self._last: Sweep | None = None
        self._last_at = 0.0
        self._sweeping: asyncio.Task[Sweep] | None = None
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch; returns at once."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUP_THREADS, "lookup"))
        self._loop = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """End all looks that are under way."""
        tasks = [task for task in (self._loop, self._sweeping) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def fresh(self) -> Sweep:
        """What there is to see now: a sweep of the last seconds, the one under way, or a new one."""
        if self._last is not None and self._clock() - self._last_at < FRESH_S:
            return self._last
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep())
        # Whoever waits may be gone before it is over; others wait too.
        return await asyncio.shield(self._sweeping)

    async def _go_on(self) -> None:
        now = asyncio.get_running_loop().time
        due = now()
        while True:
            try:
                self.history.record((await self.fresh()).looks)
            except Exception:
                logger.exception("a sweep failed; the next one follows")
            # Times are counted from the start, so that samples stand at equal distances; those missed are left out.
            due = max(due + self.every_s, now())
            await asyncio.sleep(due - now())

    async def _sweep(self) -> Sweep:
        storage, ingester = self._by_name[STORAGE], self._by_name[INGESTER]
        concepts, jobs, *looks = await asyncio.gather(
            read_concepts(storage), read_jobs(ingester, self._max_jobs), *(each.look() for each in self.watched)
        )
        seen = {each.name: look for each, look in zip(self.watched, looks, strict=True)}
        for name, look in seen.items():
            self._by_name[name].state = look.state
            self._tell(name, look)
        self._last = Sweep(datetime.now(UTC), seen, concepts, jobs)
        self._last_at = self._clock()
        return self._last

    def _tell(self, name: str, look: Look) -> None:
        before = self._last.looks[name].state if self._last else None
        if before not in (None, look.state):
            logger.warning("%s was %s and is %s", name, before, look.state, extra={"reason": look.reason})
