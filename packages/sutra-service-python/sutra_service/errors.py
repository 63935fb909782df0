"""The one shape of every error: `{"error": {"code": ..., "message": ...}}`."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    429: "too_many_requests",
    500: "internal_error",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
}
SHOWN_FAULTS = 5


class ErrorDetail(BaseModel):
    """What went wrong: a code for programs, and what, where and remedy for people."""

    code: str
    message: str


class ErrorReply(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class ServiceError(HTTPException):
    """An error to answer with. `message` says what is wrong, where, and what to do about it.

    `neighbour_status` is what another service answered, where that is why; else none.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        neighbour_status: int | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers) if headers else None)
        self.code = code
        self.neighbour_status = neighbour_status


def reply(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer for one error."""
    return JSONResponse({"error": {"code": code, "message": message}}, status, dict(headers) if headers else None)


def not_in_edition(what: str, edition: str, editions_that_have_it: Sequence[str]) -> ServiceError:
    """The error of what `edition` leaves out: 403 not_in_edition; it names the editions to use instead."""
    having = " or ".join(editions_that_have_it)
    return ServiceError(403, "not_in_edition", f"edition {edition} has no {what}; use an image of edition {having}")


def install(app: FastAPI) -> None:
    """Make `app` answer every error in the one shape."""
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    # Starlette raises the exception again once this answer is out, and uvicorn logs its traceback.
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    if isinstance(error, ServiceError):
        return reply(error.status_code, error.code, error.detail, error.headers)
    message = str(error.detail)
    headers = error.headers
    if error.status_code == 404:  # noqa: PLR2004
        message = f"there is no {request.url.path} here; /openapi.json lists what there is"
    elif error.status_code == 405:  # noqa: PLR2004
        allowed = (headers or {}).get("Allow", "another method")
        message = f"{request.method} is not possible on {request.url.path}; use {allowed}"
    return reply(error.status_code, CODES.get(error.status_code, "error"), message, headers)


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    faults = error.errors()
    if faults and faults[0]["type"] == "json_invalid":
        offset = faults[0]["loc"][-1]
        problem = (faults[0].get("ctx") or {}).get("error", "it cannot be read")
        return reply(400, "invalid_json", f"the body is not JSON: {problem} (at character {offset})")
    return reply(422, CODES[422], describe(faults))


async def _on_unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return reply(500, CODES[500], "the service failed on this request; its log says why at this time")


def describe(faults: Sequence[Mapping[str, Any]]) -> str:
    """Validation faults as one sentence that names each field, such as `texts[2]: must not be empty`."""
    lines = [f"{field(fault['loc'])}: {fault['msg']}" for fault in faults[:SHOWN_FAULTS]]
    more = len(faults) - SHOWN_FAULTS
    if more > 0:
        lines.append(f"and {more} more")
    return "; ".join(lines)


def field(location: Sequence[str | int]) -> str:
    """A place in the request as people write it: `body.texts[2]`, `query.limit`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
