"""The limits of a request and its answer, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of one request and its answer; token limits apply only in `model` mode."""

    max_facts: int
    max_fact_characters: int
    max_question_characters: int
    max_answer_sentences: int
    max_prompt_tokens: int
    max_answer_tokens: int
    max_waiting: int
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits, as shown by `/health`."""
        return asdict(self)


# Facts are learned texts, so they can be as long as the texts that sutra-api accepts. There can be twice as many as its
# citations.
LIMITS = {
    "simple": Limits(20, 10_000, 2_000, 3, 2_048, 256, 8, 1_000_000),
    "community": Limits(50, 20_000, 4_000, 5, 4_096, 512, 16, 4_000_000),
    "enterprise": Limits(100, 50_000, 8_000, 8, 8_192, 1_024, 32, 16_000_000),
}
