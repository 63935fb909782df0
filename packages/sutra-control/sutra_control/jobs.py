"""Lists, shows and cancels ingest jobs."""

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from sutra_service.dependency import Dependency
from sutra_service.errors import ServiceError

from sutra_control.neighbour import ask, unexpected

# The ingester lists at most this many jobs at once.
MAX_LISTED = 100
MAX_BAD_LINES = 1000
MAX_TEXT = 300
MAX_FIELDS = 24


@dataclass(frozen=True)
class JobsPage:
    """Jobs, newest first. `next` is the cursor of the next page, if there is one.

    `more`: there are older jobs, or there may be, because the list is full and has no cursor.
    """

    jobs: list[dict[str, Any]]
    next: str | None
    more: bool

    def fields(self) -> dict[str, Any]:
        """The JSON for the page."""
        return asdict(self)


async def read_page(ingester: Dependency, limit: int, cursor: str = "") -> JobsPage:
    """Read at most `limit` jobs. Raises ServiceError if it fails."""
    query: dict[str, Any] = {"limit": limit}
    if cursor:
        query["cursor"] = cursor
    answer = await ask(ingester, "GET", f"/v1/jobs?{urlencode(query)}")
    found, following = answer.get("jobs"), answer.get("next")
    if not isinstance(found, list) or not all(_is_job(job) for job in found):
        raise unexpected(ingester)
    if following is not None and not isinstance(following, str):
        raise unexpected(ingester)
    more = following is not None or (not cursor and len(found) >= MAX_LISTED)
    return JobsPage([_plain(job) for job in found[:limit]], following, more)


async def read_job(ingester: Dependency, job_id: str) -> dict[str, Any]:
    """Read a job with its bad lines. Raises ServiceError if it fails: 404 for an unknown job."""
    return _details(ingester, await ask(ingester, "GET", _path(job_id)))


async def cancel_job(ingester: Dependency, job_id: str) -> dict[str, Any]:
    """Cancel a job and return it. Raises ServiceError: 404 for an unknown job, 409 job_ended for one that has ended."""
    try:
        answer = await ask(ingester, "DELETE", _path(job_id))
    except ServiceError as error:
        if error.upstream_status == HTTPStatus.CONFLICT:
            message = "the job has already ended, so it cannot be cancelled; reload its state"
            raise ServiceError(HTTPStatus.CONFLICT, "job_ended", message) from None
        raise
    return _details(ingester, answer)


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _details(ingester: Dependency, job: dict[str, Any]) -> dict[str, Any]:
    lines = job.get("bad_lines", [])
    if not _is_job(job) or not isinstance(lines, list):
        raise unexpected(ingester)
    bad_lines = [
        {"line": line["line"], "reason": line["reason"][:MAX_TEXT]} for line in lines[:MAX_BAD_LINES] if _is_bad(line)
    ]
    return {**_plain(job), "bad_lines": bad_lines}


def _is_job(job: Any) -> bool:
    return isinstance(job, dict) and isinstance(job.get("id"), str)


def _is_bad(line: Any) -> bool:
    return isinstance(line, dict) and is_number(line.get("line")) and isinstance(line.get("reason"), str)


def _plain(job: dict[str, Any]) -> dict[str, Any]:
    """The text and number fields of a job, whatever their names."""
    plain = {}
    for name, value in job.items():
        if isinstance(value, str):
            plain[name[:MAX_TEXT]] = value[:MAX_TEXT]
        elif is_number(value):
            plain[name[:MAX_TEXT]] = value
    return dict(list(plain.items())[:MAX_FIELDS])


def is_number(value: Any) -> bool:
    """Whether `value` is an integer of JSON."""
    return isinstance(value, int) and not isinstance(value, bool)
