"""One look at one service: what its `/health` said, and how long that took."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

# What others answer is shown to people; this much of it.
MAX_TEXT = 300
MAX_ENTRIES = 32
MAX_HEALTH_BYTES = 256 * 1024

OK = "ok"


@dataclass(frozen=True)
class Look:
    """What was seen of a service.

    `state` is ok, starting, stopping, not_ready, failed, unreachable, timeout or mistaken (another
    service answers there). `reason` says for people why it is not ok. `ms` is how long the answer
    took, in milliseconds; none without an answer.
    """

    state: str
    reason: str = ""
    ms: float | None = None
    version: str | None = None
    edition: str | None = None
    dependencies: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """As the status shows it."""
        return asdict(self)


def read_health(name: str, variable: str, status: int, content: bytes, ms: float) -> Look:
    """What the `/health` of service `name` means; `variable` is where its address stands."""
    try:
        health = json.loads(content)
    # Brackets within brackets, some thousands deep, are JSON too.
    except (ValueError, RecursionError):
        health = None
    if not isinstance(health, dict):
        return Look("failed", f"answered {status} with something that is no health report; see {variable}", ms)
    state, reason = _state(name, variable, status, health)
    return Look(
        state,
        reason,
        ms,
        _text(health.get("version")),
        _text(health.get("edition")),
        _entries(health.get("dependencies"), str),
        _entries(health.get("limits"), int),
    )


def _state(name: str, variable: str, status: int, health: dict[str, Any]) -> tuple[str, str]:
    said = health.get("status")
    service = health.get("service")
    if isinstance(service, str) and service != name:
        return "mistaken", f"the service {service[:MAX_TEXT]} answers there; correct {variable}"
    if status == 200 and said == OK:  # noqa: PLR2004 - HTTP's own number
        return OK, ""
    reason = _text(health.get("reason"))
    if said in ("starting", "stopping"):
        return said, reason or f"it is {said}"
    if said == "failed":
        return "failed", reason or "it says that it failed; its log says why"
    return "not_ready", reason or f"answered {status} with status {str(said)[:MAX_TEXT]!r}; its log says why"


def _text(value: Any) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) and value else None


def _entries[T: (str, int)](value: Any, kind: type[T]) -> dict[str, T]:
    if not isinstance(value, dict):
        return {}
    entries = ((key[:MAX_TEXT], entry) for key, entry in value.items() if type(entry) is kind)
    cut = ((key, entry[:MAX_TEXT] if isinstance(entry, str) else entry) for key, entry in entries)
    return dict(list(cut)[:MAX_ENTRIES])
