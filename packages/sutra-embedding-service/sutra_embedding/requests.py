"""Request and response bodies."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class EmbedRequest(BaseModel):
    """Either several texts or one. A text may be empty."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: Annotated[list[str], Field(min_length=1)] | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.texts is None) == (self.text is None):
            raise PydanticCustomError("either", 'Give either "texts" (a list of strings) or "text" (a string)')
        return self


class PassagesRequest(BaseModel):
    """Texts to cut into passages. A text may be empty."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: Annotated[list[str], Field(min_length=1)]


class PassageReply(BaseModel):
    """A part of a text: offsets in code points, the end excluded."""

    start: int
    end: int


class PassagesReply(BaseModel):
    """The passages of each text, in the same order; none if a text is blank. `max_tokens` is what the model reads."""

    passages: list[list[PassageReply]]
    max_tokens: int


class EmbedReply(BaseModel):
    """One vector per text, in the same order."""

    embeddings: list[list[float]]
    dimension: int
    model: str
