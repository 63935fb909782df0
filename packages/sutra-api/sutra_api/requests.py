"""Request and response bodies, and queries."""

import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

MAX_METADATA_BYTES = 4096
# As in hybrid. Storage keeps whole numbers of 64 bits.
MAX_METADATA_DEPTH = 64
MAX_INTEGER = 2**63
NUMBER_OUT_OF_RANGE = "has a number out of range; send it as a string"


def _not_blank(text: str) -> str:
    # Unlike pydantic, Python's split() and strip(), which the other services use, also treat U+001C to U+001F as
    # whitespace.
    if text.isspace():
        raise PydanticCustomError("blank", "must not be blank")
    return text


def _check_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [metadata]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_METADATA_DEPTH:
            raise PydanticCustomError("too_deep", "must be nested at most {most} levels deep", {"most": depth - 1})
        lists = (part.values() if isinstance(part, dict) else part for part in level)
        parts = [part for inner in lists for part in inner]
        if any(isinstance(part, int) and not -MAX_INTEGER <= part < MAX_INTEGER for part in parts):
            raise PydanticCustomError("too_long", NUMBER_OUT_OF_RANGE)
        level = [part for part in parts if isinstance(part, dict | list)]
    try:
        size = len(json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
    except ValueError:
        # Python also reads NaN, and 1e400 as infinity.
        raise PydanticCustomError("not_finite", NUMBER_OUT_OF_RANGE) from None
    if size > MAX_METADATA_BYTES:
        raise PydanticCustomError(
            "too_large",
            "has {size} bytes as JSON, but at most {most} are allowed",
            {"size": size, "most": MAX_METADATA_BYTES},
        )
    return metadata


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_not_blank)]
Source = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_not_blank)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_not_blank)]
Metadata = Annotated[dict[str, Any], AfterValidator(_check_metadata)]
# A cursor may hold a source.
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=8000)]

TEXT: TypeAdapter[str] = TypeAdapter(Text, config=ConfigDict(strict=True))


class Request(BaseModel):
    """A request body without unknown fields or type conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TextToLearn(Request):
    """A text and what is known about it."""

    text: Text
    source: Source | None = None
    title: Title | None = None
    metadata: Metadata | None = None

    def forwarded(self) -> str | dict[str, Any]:
        """The text as hybrid takes it: a string, or an object if more is known about it."""
        fields = self.model_dump(exclude_none=True)
        return fields if len(fields) > 1 else self.text


def _read_text(value: Any, handler: ValidatorFunctionWrapHandler) -> TextToLearn:
    if isinstance(value, str):
        return TextToLearn.model_construct(text=TEXT.validate_python(value))
    if not isinstance(value, dict):
        raise PydanticCustomError("text_type", "must be a string, or an object with a text")
    return handler(value)


AnyText = Annotated[TextToLearn, WrapValidator(_read_text, json_schema_input_type=str | TextToLearn)]


class LearnRequest(Request):
    """Texts to learn, each a string or an object."""

    texts: Annotated[list[AnyText], Field(min_length=1)]


class QueryRequest(Request):
    """A question and the maximum number of citations."""

    question: Text
    limit: Annotated[int, Field(ge=1)] = 5


class TopicsRequest(Request):
    """A question, the maximum number of texts, and optionally the number of topics."""

    question: Text
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    topics: Annotated[int, Field(ge=1, le=10)] | None = None


class Query(BaseModel):
    """The query of a URL, without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """A page of a list; `cursor` is `next` from the previous page."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor | None = None


class ConceptsQuery(PageQuery):
    """A page of the learned texts, optionally those of one source."""

    source: Source | None = None


class JobsQuery(Query):
    """A page of the jobs, newest first; `cursor` is `next` from the previous page."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Cursor | None = None


class SourceQuery(Query):
    """A source."""

    source: Source


class UploadQuery(Query):
    """How to read a file.

    `format` is for clients that cannot choose the Content-Type, `column` names the CSV column with the texts (default
    `text`), `source` is the source of texts without one.
    """

    format: Literal["jsonl", "csv"] | None = None
    column: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    source: Source | None = None


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
