"""Counts and times calls to other services."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sutra_service.metrics import Histogram, Metrics


class DependencyMetrics:
    """The metrics of calls to all dependencies of a service."""

    def __init__(self, metrics: Metrics) -> None:
        self._seconds = metrics.add(
            Histogram("sutra_dependency_seconds", "Time of a call to another service.", ("dependency",))
        )
        self._errors = metrics.counter(
            "sutra_dependency_errors_total", "Failed calls to another service.", ("dependency", "code")
        )

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time the block, a call to the service `name`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds.observe(time.perf_counter() - began, name)

    def failed(self, name: str, code: str) -> None:
        """Count a failed call to the service `name`. `code` is one of few."""
        self._errors.add(name, code)
