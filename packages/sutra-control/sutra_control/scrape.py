"""The numbers of one `/metrics` answer, and what happened between two of them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from sutra_control.exposition import ExpositionError, Sample

# Health checks and scrapes would hide the requests that people make.
OWN_ROUTES = ("/health", "/metrics")
FIRST_SERVER_ERROR = 500
# The label value of requests that came through the client's page.
VIA_CLIENT = "client"
# The largest integer that JavaScript represents exactly.
MAX_GAUGE = 2**53
# Gauges to show, by the name that the dashboard gives them.
GAUGES = {
    "process_resident_memory_bytes": "memory_bytes",
    "sutra_storage_vectors": "vectors",
    "sutra_storage_vector_bytes": "vector_bytes",
    "sutra_storage_vector_bytes_limit": "vector_bytes_limit",
    "sutra_embedding_waiting": "waiting",
}


@dataclass
class Requests:
    """Numbers of requests, and of those answered with a 5xx status."""

    all: float = 0.0
    errors: float = 0.0

    def since(self, earlier: "Requests") -> "Requests":
        """The requests after `earlier`."""
        return Requests(self.all - earlier.all, self.errors - earlier.errors)


@dataclass
class Scrape:
    """The numbers of a service at the time `at`, in seconds of a monotonic clock.

    `via_client` counts the requests that came through the client's page; None if the service does not tell them apart.
    `buckets` are the cumulative counts of the latency histogram by upper bound in seconds.
    """

    at: float
    requests: Requests = field(default_factory=Requests)
    via_client: Requests | None = None
    buckets: dict[float, float] = field(default_factory=dict)
    cpu_s: float | None = None
    started: float | None = None
    gauges: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, samples: Iterable[Sample], at: float) -> "Scrape":
        """Pick the numbers out of all samples. Raises ExpositionError for a counter that cannot be one."""
        scrape = cls(at)
        for sample in samples:
            scrape._add(sample)
        return scrape

    def follows(self, earlier: "Scrape") -> bool:
        """Whether the service has run since `earlier` without a restart, which resets counters."""
        shrunk = any(self.buckets.get(bound, 0.0) < count for bound, count in earlier.buckets.items())
        return (
            self.started == earlier.started
            and not shrunk
            and self.requests.all >= earlier.requests.all
            and self.requests.errors >= earlier.requests.errors
        )

    def _add(self, sample: Sample) -> None:
        if sample.name == "sutra_http_requests_total":
            self._add_requests(sample)
        elif sample.name == "sutra_http_request_seconds_bucket":
            if sample.labels.get("route") not in OWN_ROUTES:
                bound = _bound(sample)
                self.buckets[bound] = self.buckets.get(bound, 0.0) + _counter(sample)
        elif sample.name == "process_cpu_seconds_total":
            self.cpu_s = _counter(sample)
        elif sample.name == "process_start_time_seconds":
            self.started = sample.value
        elif sample.name in GAUGES and 0 <= sample.value <= MAX_GAUGE:
            name = GAUGES[sample.name]
            self.gauges[name] = self.gauges.get(name, 0) + int(sample.value)

    def _add_requests(self, sample: Sample) -> None:
        value = _counter(sample)
        via = sample.labels.get("via")
        if via is not None and self.via_client is None:
            self.via_client = Requests()
        if sample.labels.get("route") in OWN_ROUTES:
            return
        counted = [self.requests]
        if via == VIA_CLIENT and self.via_client is not None:
            counted.append(self.via_client)
        status = sample.labels.get("status", "")
        is_error = status.isdecimal() and int(status) >= FIRST_SERVER_ERROR
        for requests in counted:
            requests.all += value
            requests.errors += value if is_error else 0.0


@dataclass(frozen=True)
class Quantile:
    """A response time in milliseconds. `above`: it is longer than `ms`, the histogram's last bound."""

    ms: float
    above: bool


def quantile(share: float, earlier: dict[float, float], later: dict[float, float]) -> Quantile | None:
    """The response time that `share` of the requests between two scrapes did not exceed; None without requests.

    Interpolates within a bucket, as Prometheus' histogram_quantile does.
    """
    bounds = sorted(later)
    counts = [later[bound] - earlier.get(bound, 0.0) for bound in bounds]
    if not counts or bounds[-1] != math.inf or counts[-1] <= 0:
        return None
    rank = share * counts[-1]
    below, lower = 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= rank and count > below:
            if bound == math.inf:
                break
            return Quantile(_ms(lower + (bound - lower) * (rank - below) / (count - below)), above=False)
        below, lower = max(below, count), bound if bound != math.inf else lower
    return Quantile(_ms(lower), above=True)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _bound(sample: Sample) -> float:
    try:
        bound = float(sample.labels.get("le", ""))
    except ValueError:
        bound = math.nan
    if math.isnan(bound):
        raise ExpositionError(f"invalid bound of a bucket of {sample.name}")
    return bound


def _counter(sample: Sample) -> float:
    if not math.isfinite(sample.value) or sample.value < 0:
        raise ExpositionError(f"{sample.name} is {sample.value}, which no counter can be")
    return sample.value
