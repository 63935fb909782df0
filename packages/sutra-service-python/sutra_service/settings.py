"""Settings from environment variables, with every fault found before the service starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

EDITIONS = ("simple", "community", "enterprise")
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingError(ValueError):
    """An environment variable has a value that cannot be used; the message says which and what to write."""


class Environment:
    """Typed reading of environment variables. An empty variable counts as one that is not set."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, name: str, default: str = "") -> str:
        """The value of `name` without surrounding blanks."""
        return self._variables.get(name, "").strip() or default

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """The value of `name` in lower case, which has to be one of `choices`."""
        value = self.text(name, default).lower()
        if value not in choices:
            raise SettingError(f"{name}={value!r} is not known; write one of {', '.join(choices)}")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """The value of `name` as a whole number between `low` and `high`, both included."""
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise SettingError(f"{name}={value!r} is not a whole number from {low} to {high}")
        return int(value)

    def url(self, name: str, default: str) -> str:
        """The value of `name` as an http or https address, without a slash at its end."""
        value = self.text(name, default).rstrip("/")
        if not _is_address(value):
            raise SettingError(f"{name}={value!r} is not an address; write it like http://host:port")
        return value


def _is_address(value: str) -> bool:
    # What passes here but cannot be parsed would fail in every call instead.
    try:
        parts = urlsplit(value)
        # Reading the port is what finds it to be none.
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and value.isascii()


@dataclass(frozen=True)
class Settings:
    """What every service is told by its environment."""

    service: str
    version: str
    edition: str
    host: str
    port: int
    log_level: str

    @classmethod
    def read(cls, environment: Environment, service: str, port: int) -> "Settings":
        """Read the shared settings of `service`, which listens on `port` unless PORT says otherwise (0: any free one).

        Raises SettingError for a value that cannot be used.
        """
        return cls(
            service=service,
            version=environment.text("SUTRA_SERVICE_VERSION", "0.0.0"),
            edition=environment.choice("SUTRA_EDITION", EDITIONS, "simple"),
            host=environment.text("HOST", "0.0.0.0"),  # noqa: S104 - a container's door is its port mapping
            port=environment.integer("PORT", port, 0, 65535),
            log_level=environment.choice("LOG_LEVEL", LOG_LEVELS, "info"),
        )
