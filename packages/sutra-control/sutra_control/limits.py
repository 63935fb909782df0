"""The limits and capabilities of each edition."""

from dataclasses import asdict, dataclass

STATUS = "status"
TIMELINE = "timeline"
EXPORT = "export"


@dataclass(frozen=True)
class Limits:
    """The maximum number of sessions, of jobs shown, and of health samples per service."""

    max_sessions: int
    max_jobs: int
    history_samples: int

    def fields(self) -> dict[str, int]:
        """The limits, as shown by `/health`."""
        return asdict(self)


LIMITS = {
    "simple": Limits(4, 20, 60),
    "community": Limits(16, 50, 360),
    "enterprise": Limits(64, 100, 1440),
}

# status: the current state and the availability. timeline: response times over all samples. export: all
# of it as CSV or JSON.
CAPABILITIES = {
    "simple": (STATUS,),
    "community": (STATUS, TIMELINE),
    "enterprise": (STATUS, TIMELINE, EXPORT),
}
