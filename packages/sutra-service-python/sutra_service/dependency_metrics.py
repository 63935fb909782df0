"""Counts and times calls to another service."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sutra_service.errors import ServiceError
from sutra_service.metrics import Counter, Histogram, Metrics

SECONDS = "sutra_dependency_seconds"
ERRORS = "sutra_dependency_errors_total"
# What a code may say after the name of the service; other codes come from the service itself.
KINDS = ("unreachable", "not_ready", "timeout", "failed")


class DependencyMetrics:
    """The metrics of calls to all dependencies of a service."""

    def __init__(self, metrics: Metrics) -> None:
        self._seconds = metrics.add(Histogram(SECONDS, "Time of a call to another service.", ("dependency",)))
        self._errors = metrics.add(Counter(ERRORS, "Failed calls to another service.", ("dependency", "code")))

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Time the block, and count it if it raises an error of the service `name`."""
        began = time.perf_counter()
        try:
            yield
        except ServiceError as error:
            self.count(name, error)
            raise
        finally:
            self._seconds.observe(time.perf_counter() - began, name)

    def count(self, name: str, error: ServiceError) -> None:
        """Count an error of the service `name`; not one that it passes on because the caller is wrong."""
        if error.code.removeprefix(f"{name}_") in KINDS:
            self._errors.add(name, error.code)
