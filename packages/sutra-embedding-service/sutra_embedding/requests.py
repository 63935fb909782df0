"""What may be asked, and what is answered."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class EmbedRequest(BaseModel):
    """Either several texts or one. A text may be empty: the model has a vector for it too."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: Annotated[list[str], Field(min_length=1)] | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.texts is None) == (self.text is None):
            raise PydanticCustomError("either", 'Give one of "texts", a list of strings, and "text", a string')
        return self


class EmbedReply(BaseModel):
    """One vector for each text, in the order of the texts."""

    embeddings: list[list[float]]
    dimension: int
    model: str
