"""The limits of a request, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of one request. They accept every request that sutra-api accepts in the same edition."""

    max_texts: int
    max_text_characters: int
    max_question_characters: int
    max_results: int
    # Larger than sutra-api's: it serializes bodies again, which may add a space per text.
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits, as shown by `/health`."""
        return asdict(self)


LIMITS = {
    "simple": Limits(1_000, 100_000, 2_000, 10, 2_000_000),
    "community": Limits(1_000, 200_000, 4_000, 25, 8_000_000),
    "enterprise": Limits(1_000, 500_000, 8_000, 50, 20_000_000),
}

# The maximum length of a fact, from sutra-nlg-service.
FACT_CHARACTERS = {"simple": 10_000, "community": 20_000, "enterprise": 50_000}
