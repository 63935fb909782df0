"""A time budget for all calls that are made to answer a question."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError


@dataclass(frozen=True)
class Budget:
    """A budget of `seconds`, which ends when `clock` reaches `end`."""

    seconds: int
    end: float
    clock: Callable[[], float]

    def left(self) -> float:
        """The remaining seconds; zero or negative if the time is over."""
        return self.end - self.clock()


# The budget of the current request, inherited by the tasks that it starts.
_budget: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def limited(seconds: int, clock: Callable[[], float]) -> Iterator[None]:
    """Give all calls within the block `seconds` in total."""
    token = _budget.set(Budget(seconds, clock() + seconds, clock))
    try:
        yield
    finally:
        _budget.reset(token)


class TimedDependency(Dependency):
    """A dependency whose calls also end when the budget of the question is used up."""

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Like Dependency.call, but also raises 504 NAME_timeout when the budget is used up."""
        budget = _budget.get()
        if budget is None:
            return await super().call(method, path, body, **options)
        left = budget.left()
        # Do not start without time left: a service may process a request even if it is cancelled at once.
        if left <= 0:
            raise self._too_late(budget)
        try:
            async with asyncio.timeout(left):
                return await super().call(method, path, body, **options)
        except TimeoutError:
            raise self._too_late(budget) from None

    def _too_late(self, budget: Budget) -> ServiceError:
        message = (
            f"the time limit of {budget.seconds} s per question ended before {self.name} answered; try again, "
            "lower `limit`, or raise SUTRA_HYBRID_QUESTION_SECONDS and the caller's deadline"
        )
        return self._counted(ServiceError(504, f"{self.name}_timeout", message))
