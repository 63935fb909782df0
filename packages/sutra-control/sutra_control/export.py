"""Exports the status as CSV, one line per service."""

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
    "requests",
    "errors",
    "measured_s",
    "p50_ms",
    "p95_ms",
    "memory_bytes",
    "checked_at",
)
# Spreadsheets treat a cell that starts with one of these as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(status: dict[str, Any]) -> str:
    """Format the status as CSV with a header line and CRLF line ends, as in RFC 4180."""
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
                *_figures(service["metrics"]),
                status["checked_at"],
            )
        )
    return text.getvalue()


def _figures(metrics: dict[str, Any]) -> tuple[Any, ...]:
    p50, p95, gauges = metrics["p50"] or {}, metrics["p95"] or {}, metrics["gauges"] or {}
    measured = metrics["requests"], metrics["errors"], metrics["seconds"]
    return (*measured, p50.get("ms"), p95.get("ms"), gauges.get("memory_bytes"))


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value
