"""What one call may hold, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The size of one call. No call is too large here that sutra-api lets through in the same edition."""

    max_texts: int
    max_text_characters: int
    # In UTF-8: what sutra-storage-server takes in this edition. Four bytes a character, so that no text within the
    # characters is beyond it, and none is refused after it was embedded.
    max_text_bytes: int
    max_question_characters: int
    max_results: int
    # Above what the texts need: sutra-api writes a body anew, and it may grow by a blank for each text.
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits as `/health` shows them."""
        return asdict(self)


LIMITS = {
    "simple": Limits(32, 10_000, 40_000, 2_000, 10, 2_000_000),
    "community": Limits(64, 20_000, 80_000, 4_000, 25, 8_000_000),
    "enterprise": Limits(128, 50_000, 200_000, 8_000, 50, 20_000_000),
}
