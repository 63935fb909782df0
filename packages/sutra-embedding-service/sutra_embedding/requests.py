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


class EmbedReply(BaseModel):
    """One vector per text, in the same order."""

    embeddings: list[list[float]]
    dimension: int
    model: str
