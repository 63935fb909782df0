"""The time that a question has, for all the calls that answering it takes."""

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
    """`seconds` from the beginning of a question; over at `end` of `clock`."""

    seconds: int
    end: float
    clock: Callable[[], float]

    def left(self) -> float:
        """The seconds that are left; none or less when the time is over."""
        return self.end - self.clock()


# Of the request that is served; the tasks it starts inherit it.
_budget: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def limited(seconds: int, clock: Callable[[], float]) -> Iterator[None]:
    """All calls to neighbours within the block have `seconds` together."""
    token = _budget.set(Budget(seconds, clock() + seconds, clock))
    try:
        yield
    finally:
        _budget.reset(token)


class Neighbour(Dependency):
    """A dependency that is left when the time of the question is over, however much its own deadline would give."""

    async def call(self, method: str, path: str, body: Any = None, *, forward_client_errors: bool = False) -> Any:
        """As Dependency.call. 504 NAME_timeout too when the question's time ends before the answer comes."""
        budget = _budget.get()
        if budget is None:
            return await super().call(method, path, body, forward_client_errors=forward_client_errors)
        left = budget.left()
        # Not even begun without time: a call that is cut off at once may have been taken on all the same.
        if left <= 0:
            raise self._too_late(budget)
        try:
            async with asyncio.timeout(left):
                return await super().call(method, path, body, forward_client_errors=forward_client_errors)
        except TimeoutError:
            raise self._too_late(budget) from None

    def _too_late(self, budget: Budget) -> ServiceError:
        message = (
            f"the {budget.seconds} s of a question were over before {self.name} had answered; try again, lower `limit` "
            "or raise SUTRA_HYBRID_QUESTION_SECONDS and the deadlines of those who ask"
        )
        return ServiceError(504, f"{self.name}_timeout", message)
