"""Reads storage statistics and ingest jobs."""

from dataclasses import asdict, dataclass
from typing import Any

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_control import jobs
from sutra_control.neighbour import unexpected

MAX_TEXT = 300
MAX_FIELDS = 24


@dataclass(frozen=True)
class Concepts:
    """Storage statistics. `reason` says why they are missing, if they are."""

    reason: str
    numbers: dict[str, int]

    def fields(self) -> dict[str, Any]:
        """The JSON for the status."""
        return asdict(self)


@dataclass(frozen=True)
class Jobs:
    """The latest ingest jobs, and whether there are `more`. `reason` says why they are missing, if they are."""

    reason: str
    jobs: list[dict[str, Any]]
    more: bool = False

    def fields(self) -> dict[str, Any]:
        """The JSON for the status."""
        return asdict(self)


async def read_concepts(storage: Dependency) -> Concepts:
    """Read the statistics of storage. Never raises if it fails."""
    try:
        answer = await storage.call("GET", "/v1/stats")
    except ServiceError as error:
        return Concepts(error.detail, {})
    if not isinstance(answer, dict) or not jobs.is_number(answer.get("concepts")):
        return Concepts(unexpected(storage).detail, {})
    numbers = {name[:MAX_TEXT]: value for name, value in answer.items() if jobs.is_number(value)}
    return Concepts("", dict(list(numbers.items())[:MAX_FIELDS]))


async def read_latest_jobs(ingester: Dependency, most: int) -> Jobs:
    """Read the `most` latest jobs of the ingester. Never raises if it fails."""
    try:
        # One more than shown tells whether there are more.
        page = await jobs.read_page(ingester, min(most + 1, jobs.MAX_LISTED))
    except ServiceError as error:
        return Jobs(error.detail, [])
    return Jobs("", page.jobs[:most], more=page.more or len(page.jobs) > most)
