"""Rate limiting with one token bucket per name."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# Clients choose the names, so the number of buckets is bounded.
REMEMBERED = 10_000


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """Allows each name `burst` calls at once and `per_minute` calls in the long run.

    `clock` returns monotonic seconds.
    """

    def __init__(self, per_minute: int, burst: int, clock: Callable[[], float]) -> None:
        self._per_second = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str) -> int:
        """Count a call by `name`. Returns 0 if it is allowed, else the whole seconds to wait."""
        now = self._clock()
        bucket = self._buckets.pop(name, None) or _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
        bucket.at = now
        self._buckets[name] = bucket
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / self._per_second))

    def give_back(self, name: str) -> None:
        """Uncount the last call by `name`."""
        bucket = self._buckets.get(name)
        if bucket is not None:
            bucket.tokens = min(self._burst, bucket.tokens + 1)
