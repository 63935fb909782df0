"""The latest response times of each service, sampled at equal intervals."""

from collections import deque
from collections.abc import Iterable, Mapping

from sutra_control.health import OK, HealthReport

type Point = tuple[float | None, float]


class History:
    """The last `most` samples of each service. A sample is a response time in ms, or None if the service was not ok."""

    def __init__(self, names: Iterable[str], most: int) -> None:
        self.most = most
        self._samples: dict[str, deque[float | None]] = {name: deque(maxlen=most) for name in names}

    def record(self, reports: Mapping[str, HealthReport]) -> None:
        """Add a sample of each service."""
        for name, samples in self._samples.items():
            report = reports[name]
            samples.append(report.ms if report.state == OK else None)

    def availability(self, name: str) -> tuple[int, int]:
        """The number of samples in which the service was ok, and of all samples."""
        samples = self._samples[name]
        return sum(sample is not None for sample in samples), len(samples)

    def samples(self, name: str) -> list[float | None]:
        """All samples of the service, oldest first."""
        return list(self._samples[name])

    def points(self, name: str, samples: int, most: int) -> list[Point]:
        """Reduce the last `samples` of a service to at most `most` points, oldest first.

        A point is the slowest response time in ms (None if the service was never ok) and the share of
        samples in which it was ok. Only the newest point may cover fewer samples.
        """
        recent = list(self._samples[name])[-samples:]
        width = -(-samples // most)
        return [_point(recent[start : start + width]) for start in range(0, len(recent), width)]


def _point(samples: list[float | None]) -> Point:
    times = [sample for sample in samples if sample is not None]
    return max(times, default=None), len(times) / len(samples)
