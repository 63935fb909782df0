"""The limits of a request, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of one request, and of a key. Upload a file to `/api/jobs` for larger amounts."""

    max_texts: int
    max_text_characters: int
    max_question_characters: int
    max_citations: int
    # Does not apply to files.
    max_body_bytes: int
    # Files that arrive at once with the same key. A quarter of the ingester's places.
    max_uploads: int

    def fields(self) -> dict[str, int]:
        """The limits, as shown by `/health` and `/api/stats`."""
        return asdict(self)


LIMITS = {
    "simple": Limits(100, 100_000, 2_000, 10, 1_000_000, 4),
    "community": Limits(250, 200_000, 4_000, 25, 4_000_000, 16),
    "enterprise": Limits(1000, 500_000, 8_000, 50, 16_000_000, 64),
}
