"""Every error has the same shape: `{"error": {"code": ..., "message": ...}}`."""

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
MAX_SHOWN_FAULTS = 5


class ErrorDetail(BaseModel):
    """An error: `code` for programs, `message` for people."""

    code: str
    message: str


class ErrorReply(BaseModel):
    """The body of every error response."""

    error: ErrorDetail


class ServiceError(HTTPException):
    """An error to send to the client. `message` says what is wrong, where, and how to fix it.

    `upstream_status` is the status of another service, if its answer is the cause.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        upstream_status: int | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers) if headers else None)
        self.code = code
        self.upstream_status = upstream_status


def reply(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for an error."""
    return JSONResponse({"error": {"code": code, "message": message}}, status, dict(headers) if headers else None)


def not_in_edition(what: str, edition: str, editions_that_have_it: Sequence[str]) -> ServiceError:
    """403 not_in_edition: `edition` lacks `what`; names the editions that have it."""
    having = " or ".join(editions_that_have_it)
    return ServiceError(403, "not_in_edition", f"not available in edition {edition}: {what}; use edition {having}")


def install(app: FastAPI) -> None:
    """Make `app` send every error in the common shape."""
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    # Starlette re-raises the exception after this response is sent, and uvicorn logs the traceback.
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered only for this
    if isinstance(error, ServiceError):
        return reply(error.status_code, error.code, error.detail, error.headers)
    message = str(error.detail)
    headers = error.headers
    if error.status_code == 404:  # noqa: PLR2004
        message = f"not found: {request.url.path}; see /openapi.json for the available paths"
    elif error.status_code == 405:  # noqa: PLR2004
        allowed = (headers or {}).get("Allow", "another method")
        message = f"method not allowed: {request.method} {request.url.path}; use {allowed}"
    return reply(error.status_code, CODES.get(error.status_code, "error"), message, headers)


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered only for this
    faults = error.errors()
    if faults and faults[0]["type"] == "json_invalid":
        offset = faults[0]["loc"][-1]
        problem = (faults[0].get("ctx") or {}).get("error", "syntax error")
        return reply(400, "invalid_json", f"the body is not valid JSON: {problem} (at character {offset})")
    return reply(422, CODES[422], describe(faults))


async def _on_unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return reply(500, CODES[500], "internal error; check the service's log")


def describe(faults: Sequence[Mapping[str, Any]]) -> str:
    """Validation faults as one line that names each field, such as `texts[2]: must not be empty`."""
    lines = [f"{field(fault['loc'])}: {fault['msg']}" for fault in faults[:MAX_SHOWN_FAULTS]]
    more = len(faults) - MAX_SHOWN_FAULTS
    if more > 0:
        lines.append(f"and {more} more")
    return "; ".join(lines)


def field(location: Sequence[str | int]) -> str:
    """The path of a request field: `body.texts[2]`, `query.limit`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
