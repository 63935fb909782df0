"""Interprets the `/health` responses of services."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

# Limits on what is shown of other services' responses.
MAX_TEXT = 300
MAX_ENTRIES = 32
MAX_HEALTH_BYTES = 256 * 1024

OK = "ok"


@dataclass(frozen=True)
class HealthReport:
    """The result of a health check.

    `state` is ok, starting, stopping, not_ready, failed, unreachable, timeout or mistaken (another
    service answers at the address). `reason` explains any state but ok. `ms` is the response time in
    milliseconds; None without a response.
    """

    state: str
    reason: str = ""
    ms: float | None = None
    version: str | None = None
    edition: str | None = None
    dependencies: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """The JSON for the status."""
        return asdict(self)


def read_health(name: str, variable: str, status: int, content: bytes, ms: float) -> HealthReport:
    """Interpret the `/health` response of service `name`; `variable` holds its URL."""
    try:
        health = json.loads(content)
    # RecursionError: brackets nested thousands of levels deep.
    except (ValueError, RecursionError):
        health = None
    if not isinstance(health, dict):
        return HealthReport("failed", f"answered {status} without a health report; check {variable}", ms)
    state, reason = _state(name, variable, status, health)
    return HealthReport(
        state,
        reason,
        ms,
        _text(health.get("version")),
        _text(health.get("edition")),
        _entries(health.get("dependencies"), str),
        _entries(health.get("limits"), int),
    )


def _state(name: str, variable: str, status: int, health: dict[str, Any]) -> tuple[str, str]:
    own_state = health.get("status")
    service = health.get("service")
    if isinstance(service, str) and service != name:
        return "mistaken", f"the address belongs to another service: {service[:MAX_TEXT]}; correct {variable}"
    if status == 200 and own_state == OK:  # noqa: PLR2004
        return OK, ""
    reason = _text(health.get("reason"))
    if own_state in ("starting", "stopping"):
        return own_state, reason or f"the service is {own_state}"
    if own_state == "failed":
        return "failed", reason or "the service failed; check its log"
    return "not_ready", reason or f"answered {status} with status {str(own_state)[:MAX_TEXT]!r}; check its log"


def _text(value: Any) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) and value else None


def _entries[T: (str, int)](value: Any, kind: type[T]) -> dict[str, T]:
    if not isinstance(value, dict):
        return {}
    entries = ((key[:MAX_TEXT], entry) for key, entry in value.items() if type(entry) is kind)
    cut = ((key, entry[:MAX_TEXT] if isinstance(entry, str) else entry) for key, entry in entries)
    return dict(list(cut)[:MAX_ENTRIES])
