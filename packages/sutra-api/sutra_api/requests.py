"""Request and response bodies."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError


def _not_blank(text: str) -> str:
    # Unlike pydantic, Python's split() and strip(), which the other services use, also treat U+001C to U+001F as
    # whitespace.
    if text.isspace():
        raise PydanticCustomError("blank", "must not be blank")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_not_blank)]


class LearnRequest(BaseModel):
    """Texts to learn."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: Annotated[list[Text], Field(min_length=1)]


class QueryRequest(BaseModel):
    """A question and the maximum number of citations."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Text
    limit: Annotated[int, Field(ge=1)] = 5


class QueryReply(BaseModel):
    """An answer with its citations; other fields are passed on unchanged."""

    model_config = ConfigDict(extra="allow")

    answer: str | None
    citations: list[Any]


class StatsReply(BaseModel):
    """Storage statistics and the limits of this edition."""

    edition: str
    limits: dict[str, int]
    storage: dict[str, Any]
