"""What may be sent to `/generate`, and what it answers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _has_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


class Fact(BaseModel):
    """A text that an answer may be made of. A higher score means that it was found more relevant."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=256)]
    # Kept as it is, blanks too: a citation shows what was given.
    text: Annotated[str, AfterValidator(_has_text)]
    score: Annotated[float, Field(allow_inf_nan=False)]


class GenerateRequest(BaseModel):
    """A question, and the facts to answer it from."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    facts: list[Fact]


class Citation(BaseModel):
    """A fact that the answer stands on; `[number]` in the answer points to it."""

    number: int
    id: str
    text: str
    score: float


class GenerateReply(BaseModel):
    """An answer, and every fact that it cites. Without a fact that answers, it says so and cites nothing."""

    answer: str
    citations: list[Citation]
    mode: Literal["grounded", "model"]


def cite(number: int, fact: Fact) -> Citation:
    """`fact` under `number`."""
    return Citation(number=number, id=fact.id, text=fact.text, score=fact.score)
