"""The limits of a request, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of one request. Use the bulk ingester for larger amounts."""

    max_texts: int
    max_text_characters: int
    max_question_characters: int
    max_citations: int
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits, as shown by `/health` and `/api/stats`."""
        return asdict(self)


LIMITS = {
    "simple": Limits(32, 10_000, 2_000, 10, 1_000_000),
    "community": Limits(64, 20_000, 4_000, 25, 4_000_000),
    "enterprise": Limits(128, 50_000, 8_000, 50, 16_000_000),
}
