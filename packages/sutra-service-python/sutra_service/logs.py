"""Logs to standard output, one JSON object per line, including uvicorn's."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from sutra_service import request_ids

# The arguments of a uvicorn.access record; the path includes the query.
ACCESS_FIELDS = ("client", "method", "path", "http_version", "status")
PLAIN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as `ts`, `level`, `service`, `message`, then `request_id` and the `extra` fields, if any."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Format `record` as one line; a traceback becomes the field `exception`."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
        }
        request = _access_fields(record)
        if request:
            line["message"] = "request"
            line.update(request)
        else:
            line["message"] = record.getMessage()
            line["logger"] = record.name
        request_id = request_ids.current.get()
        if request_id:
            line["request_id"] = request_id
        line.update({name: value for name, value in vars(record).items() if name not in PLAIN_ATTRIBUTES})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _access_fields(record: logging.LogRecord) -> dict[str, Any]:
    arguments = record.args
    if record.name != "uvicorn.access" or not isinstance(arguments, tuple) or len(arguments) != len(ACCESS_FIELDS):
        return {}
    return dict(zip(ACCESS_FIELDS, arguments, strict=True))


def _is_not_successful_health_check(record: logging.LogRecord) -> bool:
    request = _access_fields(record)
    return not (request.get("path") == "/health" and request.get("status") == 200)  # noqa: PLR2004 - HTTP's own number


def configure(service: str, level: str) -> None:
    """Send all logs of this process to standard output as JSON.

    Successful health checks are logged only at level debug, because they come every few seconds.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    access = logging.getLogger("uvicorn.access")
    access.filters.clear()
    if level != "debug":
        access.addFilter(_is_not_successful_health_check)
