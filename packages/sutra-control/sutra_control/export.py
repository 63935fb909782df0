"""The status as a file to take away: JSON with every sample, or CSV with one line a service."""

import csv
import io
from typing import Any

COLUMNS = (
    "service",
    "state",
    "reason",
    "version",
    "edition",
    "response_ms",
    "samples_up",
    "samples",
    "image",
    "image_bytes",
    "checked_at",
)
# A spreadsheet takes a cell that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(status: dict[str, Any]) -> str:
    """One line a service, under a line of names; CRLF, as RFC 4180 has it."""
    images = {image["service"]: image for image in status["images"]["images"]}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for service in status["services"]:
        image = images.get(service["name"], {})
        writer.writerow(
            _cell(value)
            for value in (
                service["name"],
                service["state"],
                service["reason"],
                service["version"],
                service["edition"],
                service["ms"],
                service["availability"]["up"],
                service["availability"]["of"],
                image.get("image"),
                image.get("bytes"),
                status["checked_at"],
            )
        )
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value
