"""Reads storage statistics and ingest jobs."""

from dataclasses import asdict, dataclass
from typing import Any

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

MAX_TEXT = 300
MAX_FIELDS = 24
UNEXPECTED_ANSWER = "returned an unexpected answer; deploy both services at the same version"


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
    if not isinstance(answer, dict) or not _is_number(answer.get("concepts")):
        return Concepts(f"{storage.name} {UNEXPECTED_ANSWER}", {})
    numbers = {name[:MAX_TEXT]: value for name, value in answer.items() if _is_number(value)}
    return Concepts("", dict(list(numbers.items())[:MAX_FIELDS]))


async def read_jobs(ingester: Dependency, most: int) -> Jobs:
    """Read the `most` latest jobs of the ingester. Never raises if it fails."""
    try:
        answer = await ingester.call("GET", "/v1/jobs")
    except ServiceError as error:
        return Jobs(error.detail, [])
    found = answer.get("jobs") if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(_is_job(job) for job in found):
        return Jobs(f"{ingester.name} {UNEXPECTED_ANSWER}", [])
    return Jobs("", [_plain(job) for job in found[:most]], more=len(found) > most)


def _is_job(job: Any) -> bool:
    return isinstance(job, dict) and isinstance(job.get("id"), str)


def _plain(job: dict[str, Any]) -> dict[str, Any]:
    """The text and number fields of a job, whatever their names."""
    plain = {}
    for name, value in job.items():
        if isinstance(value, str):
            plain[name[:MAX_TEXT]] = value[:MAX_TEXT]
        elif _is_number(value):
            plain[name[:MAX_TEXT]] = value
    return dict(list(plain.items())[:MAX_FIELDS])


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
