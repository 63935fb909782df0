"""The limits of a request, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of one request. They accept every request that sutra-api accepts in the same edition."""

    max_texts: int
    max_text_characters: int
    # The limit of sutra-storage-server in this edition, in UTF-8. Four bytes per character, so that storage never
    # rejects a text that was accepted and embedded.
    max_text_bytes: int
    max_question_characters: int
    max_results: int
    # Larger than sutra-api's: it serializes bodies again, which may add a space per text.
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits, as shown by `/health`."""
        return asdict(self)


LIMITS = {
    "simple": Limits(32, 10_000, 40_000, 2_000, 10, 2_000_000),
    "community": Limits(64, 20_000, 80_000, 4_000, 25, 8_000_000),
    "enterprise": Limits(128, 50_000, 200_000, 8_000, 50, 20_000_000),
}
