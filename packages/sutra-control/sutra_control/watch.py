"""Checks all services periodically and on request."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import getLogger

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_control.contents import Concepts, Jobs, read_concepts, read_latest_jobs
from sutra_control.health import MAX_HEALTH_BYTES, HealthReport, read_health
from sutra_control.history import History
from sutra_control.meter import Figures, Meter
from sutra_control.services import API, CLIENT, INGESTER, STORAGE, Service

logger = getLogger(__name__)

# Requests share a sweep up to this age.
FRESH_S = 2.0
# Resolving the name of a stopped container may take seconds, in a thread that cannot be cancelled. With the few threads
# that a two-core machine gets by default, such lookups would delay the checks of other services.
LOOKUP_THREADS = 32


class Watched(Dependency):
    """A watched service. Its state comes from the latest sweep, so `/health` starts no probes."""

    def __init__(self, service: Service, deadline_s: float, metrics_port: int) -> None:
        super().__init__(service.name, service.url, service.variable, deadline_s)
        self.service = service
        # The client has no metrics of its own: api counts its requests.
        self.meter = None if service.name == CLIENT else Meter(service, metrics_port, deadline_s)

    async def close(self) -> None:
        """Close the connections."""
        await super().close()
        if self.meter is not None:
            await self.meter.close()

    def refresh(self) -> str:
        """The state in the latest sweep."""
        return self.state

    async def check(self) -> HealthReport:
        """Check the service's health. Never raises if it fails."""
        began = time.perf_counter()
        try:
            status, content = await self.exchange("GET", "/health", max_bytes=MAX_HEALTH_BYTES)
        except ServiceError as error:
            # Not self.state, which a concurrent call may have changed.
            return HealthReport(error.code.removeprefix(f"{self.name}_"), error.detail)
        ms = round((time.perf_counter() - began) * 1000, 1)
        return read_health(self.name, self.service.variable, status, content, ms)


@dataclass(frozen=True)
class Sweep:
    """The results of checking everything once."""

    at: datetime
    reports: Mapping[str, HealthReport]
    concepts: Concepts
    jobs: Jobs
    figures: Mapping[str, Figures]


class Watch:
    """Sweeps every `every_s` seconds for the history, and on request.

    `clock` returns monotonic seconds.
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

    async def start(self, listening: asyncio.Event) -> None:
        """Start watching in the background, once this service, which watches itself too, is `listening`."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUP_THREADS, "lookup"))
        self._loop = asyncio.create_task(self._run(listening))

    async def stop(self) -> None:
        """Cancel running checks."""
        tasks = [task for task in (self._loop, self._sweeping) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def fresh(self) -> Sweep:
        """A fresh sweep: the latest one if it is recent, the one in progress, or a new one."""
        if self._last is not None and self._clock() - self._last_at < FRESH_S:
            return self._last
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep())
        # Shielded, because other requests may wait for it too.
        return await asyncio.shield(self._sweeping)

    async def _run(self, listening: asyncio.Event) -> None:
        await listening.wait()
        now = asyncio.get_running_loop().time
        due = now()
        while True:
            try:
                self.history.record((await self.fresh()).reports)
            except Exception:
                logger.exception("sweep failed; retrying at the next interval")
            # Count from the start time, to keep the intervals equal; missed samples are skipped.
            due = max(due + self.every_s, now())
            await asyncio.sleep(due - now())

    async def _sweep(self) -> Sweep:
        storage, ingester = self._by_name[STORAGE], self._by_name[INGESTER]
        concepts, jobs, figures, *reports = await asyncio.gather(
            read_concepts(storage),
            read_latest_jobs(ingester, self._max_jobs),
            self._read_meters(),
            *(each.check() for each in self.watched),
        )
        seen = {each.name: report for each, report in zip(self.watched, reports, strict=True)}
        for name, report in seen.items():
            self._by_name[name].state = report.state
            self._log_change(name, report)
        self._last = Sweep(datetime.now(UTC), seen, concepts, jobs, figures)
        self._last_at = self._clock()
        return self._last

    async def _read_meters(self) -> dict[str, Figures]:
        meters = {each.name: each.meter for each in self.watched if each.meter is not None}
        now = self._clock()
        await asyncio.gather(*(meter.scrape(now) for meter in meters.values()))
        figures = {name: meter.figures() for name, meter in meters.items()}
        return {**figures, CLIENT: meters[API].figures_of_client(API)}

    def _log_change(self, name: str, report: HealthReport) -> None:
        before = self._last.reports[name].state if self._last else None
        if before not in (None, report.state):
            logger.warning("%s changed from %s to %s", name, before, report.state, extra={"reason": report.reason})
