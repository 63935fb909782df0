"""What may be sent to this service, and what it answers."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError


def _not_blank(text: str) -> str:
    # U+001C to U+001F are white space to Python's split() and strip(), by which texts are named and read behind this,
    # and none to pydantic's.
    if text.isspace():
        raise PydanticCustomError("blank", "must hold more than white space")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_not_blank)]


class Request(BaseModel):
    """A body without unknown fields, and without values that would have to be converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LearnRequest(Request):
    """Texts to learn."""

    texts: Annotated[list[Text], Field(min_length=1)]


class LearnReply(BaseModel):
    """How many concepts are kept, and for each text in its place the id of its concept."""

    learned: int
    ids: list[str]


class QueryRequest(Request):
    """A question, and on how many concepts its answer may stand."""

    question: Text
    limit: Annotated[int, Field(ge=1)] = 5


class Citation(BaseModel):
    """A concept that the answer stands on; marks like [1] in the answer point to `number`."""

    number: Annotated[int, Field(ge=1)]
    id: str
    text: str
    score: float


class Scores(BaseModel):
    """Why a concept was chosen.

    `fused` is the order's score, from 0 to 1 (first in every ranking). The others are there where
    that ranking found the concept: BM25, the cosine to the question, the activation that reached it.
    """

    fused: float
    text: float | None = None
    vector: float | None = None
    spread: float | None = None


class QueryReply(BaseModel):
    """An answer, what it stands on, and the scores of every concept that nlg was given, by id.

    `corrected` is the question as it was searched, where words of it were misspelt. Where no fact answered the
    question as it was asked, the answer is to this one.
    """

    answer: str
    citations: list[Citation]
    mode: str
    scores: dict[str, Scores]
    corrected: str | None = None


class TopicsRequest(Request):
    """What the topics are to be about, of how many concepts at most, and how many topics, if that is to be fixed."""

    question: Text
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    topics: Annotated[int, Field(ge=1, le=10)] | None = None


class TopicConcept(BaseModel):
    """A concept of a topic, with its score for the question."""

    id: str
    text: str
    score: float


class Topic(BaseModel):
    """Concepts that speak of the same, best first, and the words that mark them off from the others."""

    terms: list[str]
    concepts: list[TopicConcept]


class TopicsReply(BaseModel):
    """Topics, the largest first."""

    topics: list[Topic]


class PingReply(BaseModel):
    """The service listens."""

    pong: bool = True


class CapabilitiesReply(BaseModel):
    """What this edition can do."""

    edition: str
    capabilities: list[str]
