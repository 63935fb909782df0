"""Request and response bodies."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic_core import PydanticCustomError

from sutra_hybrid.passages import MAX_SOURCE, MAX_TITLE

MAX_METADATA_BYTES = 4096
# Storage's JSON parser allows 128 levels, and whole numbers of 64 bits.
MAX_DEPTH = 64
MAX_INTEGER = 2**63


def _not_blank(text: str) -> str:
    # Unlike pydantic, Python's split() and strip(), which the services use, also treat U+001C to U+001F as whitespace.
    if text.isspace():
        raise PydanticCustomError("blank", "must not be blank")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_not_blank)]


class Request(BaseModel):
    """A request body without unknown fields or type conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _storable(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        content = json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise PydanticCustomError("number", "must not contain NaN or infinity") from None
    if len(content.encode()) > MAX_METADATA_BYTES:
        raise PydanticCustomError("size", "must have at most {most} bytes as JSON", {"most": MAX_METADATA_BYTES})
    left: list[tuple[Any, int]] = [(metadata, 1)]
    while left:
        value, depth = left.pop()
        if depth > MAX_DEPTH:
            raise PydanticCustomError("depth", "must be nested at most {most} levels deep", {"most": MAX_DEPTH})
        if isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
            raise PydanticCustomError("number", "must not contain whole numbers of more than 64 bits")
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += [(part, depth + 1) for part in parts]
    return metadata


class LearnText(Request):
    """A text to learn, where it comes from, and what citations call it. `metadata` is kept as it is."""

    text: Text
    source: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE), AfterValidator(_not_blank)] | None = None
    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE), AfterValidator(_not_blank)] | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(_storable)] | None = None


_text = TypeAdapter(Text)


def _as_learn_text(value: Any) -> Any:
    if isinstance(value, str):
        # Validated here, so that an error is at texts[0] and not at texts[0].text.
        return {"text": _text.validate_python(value)}
    if not isinstance(value, dict):
        raise PydanticCustomError("text", 'must be a string, or an object with "text"')
    return value


class LearnRequest(Request):
    """Texts to learn: strings, or objects that also say where a text comes from."""

    texts: Annotated[
        list[Annotated[LearnText, BeforeValidator(_as_learn_text, json_schema_input_type=str | LearnText)]],
        Field(min_length=1),
    ]


class LearnReply(BaseModel):
    """The number of distinct texts, and the id of each text, in order."""

    learned: int
    ids: list[str]


class QueryRequest(Request):
    """A question and the maximum number of texts for its answer."""

    question: Text
    limit: Annotated[int, Field(ge=1)] = 5


class Citation(BaseModel):
    """A text that the answer uses; marks like [1] in the answer refer to `number`.

    Of a long text, `text` is the passages that were found, with ` \u2026 ` for what lies between them.
    """

    number: Annotated[int, Field(ge=1)]
    id: str
    text: str
    score: float
    source: str | None = None
    title: str | None = None


class Scores(BaseModel):
    """Why a text was chosen.

    `fused` is the overall score, up to 1 (first in every ranking). The others are set if that ranking
    found the text or a passage of it: BM25, cosine to the question, activation by spreading.
    """

    fused: float
    text: float | None = None
    vector: float | None = None
    spread: float | None = None


class QueryReply(BaseModel):
    """An answer, its citations, and the scores of every text passed to nlg, by id.

    `corrected` is the spell-checked question, if it differs. The answer is to this question if no fact answered the
    original one.
    """

    answer: str
    citations: list[Citation]
    mode: str
    scores: dict[str, Scores]
    corrected: str | None = None


class TopicsRequest(Request):
    """A question, the maximum number of texts, and optionally the number of topics."""

    question: Text
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    topics: Annotated[int, Field(ge=1, le=10)] | None = None


class TopicConcept(BaseModel):
    """A text of a topic, with its score; of a long text, the passages that were found."""

    id: str
    text: str
    score: float
    source: str | None = None
    title: str | None = None


class Topic(BaseModel):
    """Related texts, best first, and the terms that distinguish them from other topics."""

    terms: list[str]
    concepts: list[TopicConcept]


class TopicsReply(BaseModel):
    """Topics, largest first."""

    topics: list[Topic]


class LearnedText(BaseModel):
    """A text that was learned. In a list, `text` is the first passage if there are several."""

    id: str
    text: str
    source: str | None = None
    title: str | None = None
    metadata: dict[str, Any] | None = None
    passages: int | None = None


class ConceptsReply(BaseModel):
    """Texts, and the cursor of the next page."""

    concepts: list[LearnedText]
    next: str | None = None


class DeletedReply(BaseModel):
    """How many were deleted."""

    deleted: int


class PingReply(BaseModel):
    """The service is listening."""

    pong: bool = True


class CapabilitiesReply(BaseModel):
    """The capabilities of this edition."""

    edition: str
    capabilities: list[str]
