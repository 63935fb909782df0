"""What one call may hold and how long its answer may be, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The size of one call and of its answer; tokens count in `model` mode only."""

    max_facts: int
    max_fact_characters: int
    max_question_characters: int
    max_answer_sentences: int
    max_prompt_tokens: int
    max_answer_tokens: int
    max_waiting: int
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits as `/health` shows them."""
        return asdict(self)


# A fact is a learned text: it may be as long as a text that the API takes, and facts twice as many as its citations.
LIMITS = {
    "simple": Limits(20, 10_000, 2_000, 3, 2_048, 256, 8, 1_000_000),
    "community": Limits(50, 20_000, 4_000, 5, 4_096, 512, 16, 4_000_000),
    "enterprise": Limits(100, 50_000, 8_000, 8, 8_192, 1_024, 32, 16_000_000),
}
