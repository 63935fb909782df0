"""Reads the metrics of a service and derives what the dashboard shows."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_control.exposition import ExpositionError, read
from sutra_control.scrape import Quantile, Requests, Scrape, quantile
from sutra_control.services import Service

VARIABLE = "SUTRA_METRICS_PORT"
PORT = 9464
MAX_BYTES = 256 * 1024
# Rates and latencies cover this time, or the time between the last two scrapes if that is longer.
WINDOW_S = 60.0
NOT_YET = "no metrics yet"


@dataclass(frozen=True)
class Figures:
    """What the metrics of a service say. `reason` says why there are none, if there are none.

    The other fields are None if unknown; requests, errors (5xx), latencies and CPU use are of the last `seconds`.
    `gauges` are current values, such as `memory_bytes`. `source` is the service that counted, if it is another one.
    """

    reason: str = ""
    source: str | None = None
    seconds: float | None = None
    requests: int | None = None
    errors: int | None = None
    p50: Quantile | None = None
    p95: Quantile | None = None
    cpu_percent: float | None = None
    gauges: dict[str, int] | None = None

    def fields(self) -> dict[str, Any]:
        """The JSON for the status."""
        return asdict(self)


class Meter:
    """The metrics of a service, on `port` of its host. Port 0: metrics are not read."""

    def __init__(self, service: Service, port: int, deadline_s: float) -> None:
        host = urlsplit(service.url).hostname or ""
        address = f"[{host}]" if ":" in host else host
        self._target = Dependency(f"{service.name}-metrics", f"http://{address}:{port}", VARIABLE, deadline_s)
        self._scrapes: deque[Scrape] = deque()
        self._is_off = port == 0
        self._reason = f"{VARIABLE} is 0" if self._is_off else NOT_YET

    async def scrape(self, at: float) -> None:
        """Read the metrics; `at` is the time in monotonic seconds. Never raises if it fails."""
        if self._is_off:
            return
        try:
            status, content = await self._target.exchange("GET", "/metrics", max_bytes=MAX_BYTES)
            self._reason = "" if status == 200 else f"/metrics answered {status}"  # noqa: PLR2004
            if not self._reason:
                self._add(Scrape.of(read(content), at))
        except ServiceError as error:
            self._reason = str(error.detail)
        except ExpositionError as error:
            self._reason = f"invalid answer of /metrics: {error}"

    def figures(self) -> Figures:
        """What the latest scrapes say."""
        if self._reason or not self._scrapes:
            return Figures(self._reason or NOT_YET)
        first, last = self._scrapes[0], self._scrapes[-1]
        if first is last:
            return Figures(gauges=last.gauges)
        return Figures(
            **_rates(last.at - first.at, last.requests.since(first.requests)),
            p50=quantile(0.5, first.buckets, last.buckets),
            p95=quantile(0.95, first.buckets, last.buckets),
            cpu_percent=_percent(first, last),
            gauges=last.gauges,
        )

    def figures_of_client(self, source: str) -> Figures:
        """The requests through the client's page, which has no metrics of its own; `source` is this service."""
        if self._reason or not self._scrapes:
            return Figures(f"{source} counts the client's requests: {self._reason or NOT_YET}")
        first, last = self._scrapes[0], self._scrapes[-1]
        if last.via_client is None:
            return Figures(f"{source} has not counted any requests yet")
        if first is last:
            return Figures(source=source)
        return Figures(
            source=source, **_rates(last.at - first.at, last.via_client.since(first.via_client or Requests()))
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._target.close()

    def _add(self, scrape: Scrape) -> None:
        scrapes = self._scrapes
        if scrapes and not scrape.follows(scrapes[-1]):
            scrapes.clear()
        scrapes.append(scrape)
        while len(scrapes) > 2 and scrape.at - scrapes[1].at >= WINDOW_S:  # noqa: PLR2004
            scrapes.popleft()


def _rates(seconds: float, requests: Requests) -> dict[str, Any]:
    return {"seconds": round(seconds, 1), "requests": round(requests.all), "errors": round(requests.errors)}


def _percent(first: Scrape, last: Scrape) -> float | None:
    """CPU use as a percentage of one core."""
    seconds = last.at - first.at
    if first.cpu_s is None or last.cpu_s is None or seconds <= 0:
        return None
    return round(max(0.0, last.cpu_s - first.cpu_s) / seconds * 100, 1)
