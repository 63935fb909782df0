"""What may be sent to the door, and what it answers."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError


def _not_blank(text: str) -> str:
    # U+001C to U+001F are white space to Python's split() and strip(), by which texts are named and read behind this,
    # and none to pydantic's.
    if text.isspace():
        raise PydanticCustomError("blank", "must hold more than white space")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_not_blank)]


class LearnRequest(BaseModel):
    """Texts to learn."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: Annotated[list[Text], Field(min_length=1)]


class QueryRequest(BaseModel):
    """A question, and how many citations its answer may have."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Text
    limit: Annotated[int, Field(ge=1)] = 5


class QueryReply(BaseModel):
    """An answer with what it stands on; further fields are passed on as they come."""

    model_config = ConfigDict(extra="allow")

    answer: str | None
    citations: list[Any]


class StatsReply(BaseModel):
    """What the storage holds, and what one call may hold in this edition."""

    edition: str
    limits: dict[str, int]
    storage: dict[str, Any]
