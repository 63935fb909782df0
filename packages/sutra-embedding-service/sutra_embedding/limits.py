"""The limits of a request, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of one request. The last two equal sutra-api's, so that whatever it accepts is accepted here."""

    max_texts: int
    max_text_characters: int
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits, as shown by `/health`."""
        return asdict(self)


LIMITS = {
    "simple": Limits(32, 10_000, 1_000_000),
    "community": Limits(64, 20_000, 4_000_000),
    "enterprise": Limits(128, 50_000, 16_000_000),
}
