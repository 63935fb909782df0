"""What the storage holds and what the ingester does, as far as they say."""

from dataclasses import asdict, dataclass
from typing import Any

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

MAX_TEXT = 300
MAX_FIELDS = 24
NOT_UNDERSTOOD = "answered in a form that this version does not know; deploy both at one version"


@dataclass(frozen=True)
class Concepts:
    """How much the storage holds. `reason` says why nothing is known, else it is empty."""

    reason: str
    numbers: dict[str, int]

    def fields(self) -> dict[str, Any]:
        """As the status shows it."""
        return asdict(self)


@dataclass(frozen=True)
class Jobs:
    """The newest ingest jobs, and whether there are `more`. `reason` says why nothing is known, else it is empty."""

    reason: str
    jobs: list[dict[str, Any]]
    more: bool = False

    def fields(self) -> dict[str, Any]:
        """As the status shows it."""
        return asdict(self)


async def read_concepts(storage: Dependency) -> Concepts:
    """Ask the storage for its numbers; never raises for what it does."""
    try:
        answer = await storage.call("GET", "/v1/stats")
    except ServiceError as error:
        return Concepts(error.detail, {})
    if not isinstance(answer, dict) or not _is_number(answer.get("concepts")):
        return Concepts(f"{storage.name} {NOT_UNDERSTOOD}", {})
    numbers = {name[:MAX_TEXT]: value for name, value in answer.items() if _is_number(value)}
    return Concepts("", dict(list(numbers.items())[:MAX_FIELDS]))


async def read_jobs(ingester: Dependency, most: int) -> Jobs:
    """Ask the ingester for its `most` newest jobs; never raises for what it does."""
    try:
        answer = await ingester.call("GET", "/v1/jobs")
    except ServiceError as error:
        return Jobs(error.detail, [])
    found = answer.get("jobs") if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(_is_job(job) for job in found):
        return Jobs(f"{ingester.name} {NOT_UNDERSTOOD}", [])
    return Jobs("", [_plain(job) for job in found[:most]], more=len(found) > most)


def _is_job(job: Any) -> bool:
    return isinstance(job, dict) and isinstance(job.get("id"), str)


def _plain(job: dict[str, Any]) -> dict[str, Any]:
    """The fields of a job that are texts or numbers: what they are called is the ingester's affair."""
    plain = {}
    for name, value in job.items():
        if isinstance(value, str):
            plain[name[:MAX_TEXT]] = value[:MAX_TEXT]
        elif _is_number(value):
            plain[name[:MAX_TEXT]] = value
    return dict(list(plain.items())[:MAX_FIELDS])


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
