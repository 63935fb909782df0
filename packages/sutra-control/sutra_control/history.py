"""How the services were: for each the last response times, at equal distances."""

from collections import deque
from collections.abc import Iterable, Mapping

from sutra_control.look import OK, Look

type Point = tuple[float | None, float]


class History:
    """The last `most` samples of each service. A sample is a response time in ms, or none if it was not ok."""

    def __init__(self, names: Iterable[str], most: int) -> None:
        self.most = most
        self._samples: dict[str, deque[float | None]] = {name: deque(maxlen=most) for name in names}

    def record(self, looks: Mapping[str, Look]) -> None:
        """Keep one sample of each service."""
        for name, samples in self._samples.items():
            look = looks[name]
            samples.append(look.ms if look.state == OK else None)

    def availability(self, name: str) -> tuple[int, int]:
        """In how many samples the service was ok, and how many there are."""
        samples = self._samples[name]
        return sum(sample is not None for sample in samples), len(samples)

    def samples(self, name: str) -> list[float | None]:
        """All samples of the service, the oldest first."""
        return list(self._samples[name])

    def points(self, name: str, samples: int, most: int) -> list[Point]:
        """The last `samples` of a service as at most `most` points, the oldest first.

        A point is the slowest response time in ms (none if it never was ok) and the share of
        samples in which it was ok. The newest point is the one that may stand for fewer samples.
        """
        recent = list(self._samples[name])[-samples:]
        width = -(-samples // most)
        return [_point(recent[start : start + width]) for start in range(0, len(recent), width)]


def _point(samples: list[float | None]) -> Point:
    times = [sample for sample in samples if sample is not None]
    return max(times, default=None), len(times) / len(samples)
