"""Settings from environment variables, validated before the service starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

EDITIONS = ("simple", "community", "enterprise")
# `warn` and `warning` are the same in every service.
LOG_LEVELS = ("debug", "info", "warn", "warning", "error")


class SettingError(ValueError):
    """An environment variable is invalid; the message names it and says what is valid."""


class Environment:
    """Typed access to environment variables. Empty counts as unset."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, name: str, default: str = "") -> str:
        """The value of `name` without surrounding whitespace."""
        return self._variables.get(name, "").strip() or default

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """The value of `name` in lower case; must be one of `choices`."""
        value = self.text(name, default).lower()
        if value not in choices:
            raise SettingError(f"invalid value: {name}={value!r}; use one of {', '.join(choices)}")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """The value of `name` as an integer from `low` to `high`."""
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise SettingError(f"invalid value: {name}={value!r}; use a whole number from {low} to {high}")
        return int(value)

    def url(self, name: str, default: str) -> str:
        """The value of `name` as an http URL, without a trailing slash."""
        value = self.text(name, default).rstrip("/")
        if value.lower().startswith("https:"):
            raise SettingError(
                f"unsupported URL: {name}={value!r}; services have no TLS: use http:// in a private network"
            )
        if not _is_url(value):
            raise SettingError(f"invalid URL: {name}={value!r}; write it like http://host:port")
        return value


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        # Accessing the port validates it.
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme == "http" and bool(parts.hostname) and value.isascii()


@dataclass(frozen=True)
class Settings:
    """The settings that every service has."""

    service: str
    version: str
    edition: str
    host: str
    port: int
    log_level: str
    allowed_hosts: str = ""
    metrics_port: int | None = None

    @classmethod
    def read(cls, environment: Environment, service: str, port: int) -> "Settings":
        """Read the settings of `service`; `port` is the default of PORT (0: any free port).

        Raises SettingError for an invalid value.
        """
        port = environment.integer("PORT", port, 0, 65535)
        return cls(
            service=service,
            version=environment.text("SUTRA_SERVICE_VERSION", "0.0.0"),
            edition=environment.choice("SUTRA_EDITION", EDITIONS, "simple"),
            host=environment.text("HOST", "0.0.0.0"),  # noqa: S104 - Docker's port mapping decides who can connect
            port=port,
            log_level=environment.choice("LOG_LEVEL", LOG_LEVELS, "info"),
            allowed_hosts=environment.text("ALLOWED_HOSTS"),
            metrics_port=_metrics_port(environment, port),
        )


def _metrics_port(environment: Environment, port: int) -> int | None:
    if not environment.text("METRICS_PORT"):
        return None
    metrics_port = environment.integer("METRICS_PORT", 0, 0, 65535)
    if metrics_port == port != 0:
        raise SettingError(f"invalid value: METRICS_PORT={metrics_port} is the port of the service; use another")
    return metrics_port
