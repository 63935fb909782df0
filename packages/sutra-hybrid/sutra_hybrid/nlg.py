"""Client of sutra-nlg-service."""

from collections.abc import Sequence

from pydantic import BaseModel
from sutra_service.dependency import Dependency

from sutra_hybrid.replies import failed, parse
from sutra_hybrid.requests import Citation


class Fact(BaseModel):
    """A text that an answer may cite."""

    id: str
    text: str
    score: float
    source: str | None = None
    title: str | None = None


class Answer(BaseModel):
    """The answer of nlg, with its citations."""

    answer: str
    citations: list[Citation]
    mode: str


class Nlg:
    """Client of sutra-nlg-service, which accepts facts of up to `fact_characters` characters."""

    def __init__(self, dependency: Dependency, fact_characters: int) -> None:
        self._dependency = dependency
        self.fact_characters = fact_characters

    async def answer(self, question: str, facts: Sequence[Fact]) -> Answer:
        """Answer a question, citing only `facts`. Raises ServiceError as Dependency does.

        Facts are truncated to nlg's limit, because the store may contain longer texts of other clients. Citations have
        the whole text, with its source and title.
        """
        given = [
            {"id": fact.id, "text": fact.text.strip()[: self.fact_characters], "score": fact.score} for fact in facts
        ]
        reply = await self._dependency.call("POST", "/generate", {"question": question, "facts": given})
        answer = parse(self._dependency, Answer, reply)
        known = {fact.id: fact for fact in facts}
        for citation in answer.citations:
            fact = known.get(citation.id)
            if fact is None:
                raise failed(self._dependency, f"cited an unknown fact: {citation.id!r}")
            citation.text, citation.source, citation.title = fact.text, fact.source, fact.title
        return answer
