"""Request and response bodies."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _has_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


class Fact(BaseModel):
    """A text to answer from. A higher score means more relevant."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=256)]
    # Not stripped: a citation shows the text exactly as given.
    text: Annotated[str, AfterValidator(_has_text)]
    score: Annotated[float, Field(allow_inf_nan=False)]


class GenerateRequest(BaseModel):
    """A question and the facts to answer it from."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    facts: list[Fact]


class Citation(BaseModel):
    """A fact that the answer uses; `[number]` in the answer refers to it."""

    number: int
    id: str
    text: str
    score: float


class GenerateReply(BaseModel):
    """An answer and the facts that it cites. If no fact answers the question, the answer says so and cites nothing."""

    answer: str
    citations: list[Citation]
    mode: Literal["grounded", "model"]


def cite(number: int, fact: Fact) -> Citation:
    """Create the citation of `fact` with `number`."""
    return Citation(number=number, id=fact.id, text=fact.text, score=fact.score)
