"""What one call may hold, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The size of one call. What sutra-api lets through in an edition passes here in the same edition."""

    max_texts: int
    max_text_characters: int
    # In UTF-8. What sutra-storage-server takes by default, so that no text is refused after it was embedded.
    max_text_bytes: int
    max_question_characters: int
    max_results: int
    # Above what the texts need: sutra-api writes a body anew, and it may grow by a blank for each text.
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits as `/health` shows them."""
        return asdict(self)


LIMITS = {
    "simple": Limits(32, 10_000, 65_536, 2_000, 10, 2_000_000),
    "community": Limits(64, 20_000, 65_536, 4_000, 25, 8_000_000),
    "enterprise": Limits(128, 50_000, 65_536, 8_000, 50, 20_000_000),
}
