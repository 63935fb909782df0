"""Request and response bodies."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError


def _not_blank(text: str) -> str:
    # Unlike pydantic, Python's split() and strip(), which the services use, also treat U+001C to U+001F as whitespace.
    if text.isspace():
        raise PydanticCustomError("blank", "must not be blank")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_not_blank)]


class Request(BaseModel):
    """A request body without unknown fields or type conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LearnRequest(Request):
    """Texts to learn."""

    texts: Annotated[list[Text], Field(min_length=1)]


class LearnReply(BaseModel):
    """The number of distinct concepts, and the concept id of each text, in order."""

    learned: int
    ids: list[str]


class QueryRequest(Request):
    """A question and the maximum number of concepts for its answer."""

    question: Text
    limit: Annotated[int, Field(ge=1)] = 5


class Citation(BaseModel):
    """A concept that the answer uses; marks like [1] in the answer refer to `number`."""

    number: Annotated[int, Field(ge=1)]
    id: str
    text: str
    score: float


class Scores(BaseModel):
    """Why a concept was chosen.

    `fused` is the overall score, up to 1 (first in every ranking). The others are set if that ranking
    found the concept: BM25, cosine to the question, activation by spreading.
    """

    fused: float
    text: float | None = None
    vector: float | None = None
    spread: float | None = None


class QueryReply(BaseModel):
    """An answer, its citations, and the scores of every concept passed to nlg, by id.

    `corrected` is the spell-checked question, if it differs. The answer is to this question if no fact answered the
    original one.
    """

    answer: str
    citations: list[Citation]
    mode: str
    scores: dict[str, Scores]
    corrected: str | None = None


class TopicsRequest(Request):
    """A question, the maximum number of concepts, and optionally the number of topics."""

    question: Text
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    topics: Annotated[int, Field(ge=1, le=10)] | None = None


class TopicConcept(BaseModel):
    """A concept of a topic, with its score."""

    id: str
    text: str
    score: float


class Topic(BaseModel):
    """Related concepts, best first, and the terms that distinguish them from other topics."""

    terms: list[str]
    concepts: list[TopicConcept]


class TopicsReply(BaseModel):
    """Topics, largest first."""

    topics: list[Topic]


class PingReply(BaseModel):
    """The service is listening."""

    pong: bool = True


class CapabilitiesReply(BaseModel):
    """The capabilities of this edition."""

    edition: str
    capabilities: list[str]
