"""What the dashboard keeps, shows and can do, by edition."""

from dataclasses import asdict, dataclass

STATUS = "status"
TIMELINE = "timeline"
EXPORT = "export"


@dataclass(frozen=True)
class Limits:
    """How many operators are signed in at once, jobs are shown and health samples are kept for each service."""

    max_sessions: int
    max_jobs: int
    history_samples: int

    def fields(self) -> dict[str, int]:
        """The limits as `/health` shows them."""
        return asdict(self)


LIMITS = {
    "simple": Limits(4, 20, 60),
    "community": Limits(16, 50, 360),
    "enterprise": Limits(64, 100, 1440),
}

# status: what is up now, and for how much of the samples kept. timeline: response times over the
# samples. export: all of it as CSV or JSON.
CAPABILITIES = {
    "simple": (STATUS,),
    "community": (STATUS, TIMELINE),
    "enterprise": (STATUS, TIMELINE, EXPORT),
}
