"""What may be sent to the door, and what it answers."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


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
