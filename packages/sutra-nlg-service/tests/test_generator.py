"""Tests how a model's output is processed: marks, citations and ends. Uses an engine with a fixed output."""

from collections.abc import Iterator, Sequence

import pytest
from sutra_service.errors import ServiceError

from sutra_nlg.limits import LIMITS
from sutra_nlg.model.chat import Part
from sutra_nlg.model.generator import Generator
from sutra_nlg.replies import NO_ANSWER, NO_FACTS
from sutra_nlg.requests import Fact, GenerateReply, GenerateRequest
from sutra_nlg.work import Stop, Stopped

FACTS = [Fact(id=name, text=f"The fact {name}.", score=score) for name, score in (("b", 0.2), ("a", 0.9), ("c", 0.1))]


class Parrot:
    """An engine with one token per byte and a fixed output."""

    name = "parrot"
    architecture = "bird"

    def __init__(self, says: str, context: int = 2_000) -> None:
        self.context = context
        self._says = says.encode()
        self.said = 0

    def tokenize(self, parts: Sequence[Part]) -> list[int]:
        return list("".join(part.text for part in parts).encode())

    def generate(self, tokens: Sequence[int], stop: Stop) -> Iterator[int]:
        for token in self._says:
            stop.check()
            self.said += 1
            yield token

    def text(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode(errors="replace")


def reply(parrot: Parrot, question: str = "Which?", facts: Sequence[Fact] = FACTS) -> GenerateReply:
    generator = Generator(parrot, LIMITS["simple"], "plain")
    return generator.answer(GenerateRequest(question=question, facts=list(facts)), Stop())


@pytest.mark.parametrize(
    ("says", "answer", "cited"),
    [
        (" It is a. [1]", "It is a. [1]", ["a"]),
        (" First c [3], then a [1]; c again [3].", "First c [1], then a [2]; c again [1].", ["c", "a"]),
        (" Both [1, 2].", "Both [1, 2].", ["a", "b"]),
        (" None of them [4] [0] [99].", "None of them   .", []),
        (" No mark at all.", "No mark at all.", []),
        (" It is a. [1]\nQuestion: And now? [2]", "It is a. [1]", ["a"]),
        ("\n\nFacts: [1]", NO_ANSWER, []),
        ("  ", NO_ANSWER, []),
        ("", NO_ANSWER, []),
    ],
)
def test_citations_are_the_facts_whose_marks_were_written(says: str, answer: str, cited: list[str]) -> None:
    got = reply(Parrot(says))
    assert (got.answer, got.mode) == (answer, "model")
    assert [citation.id for citation in got.citations] == cited
    assert [citation.number for citation in got.citations] == list(range(1, len(cited) + 1))
    assert all(citation.text == f"The fact {citation.id}." for citation in got.citations)


def test_the_length_of_an_answer_is_limited() -> None:
    parrot = Parrot("x" * 5_000, context=10_000)
    assert reply(parrot).answer == "x" * LIMITS["simple"].max_answer_tokens


def test_generation_stops_when_the_model_asks_another_question() -> None:
    parrot = Parrot("Yes.\nQuestion: " + "x" * 200)
    assert reply(parrot).answer == "Yes."
    assert parrot.said < 30


def test_without_facts_the_model_is_not_used() -> None:
    parrot = Parrot("I know it all.")
    assert (reply(parrot, facts=[]).answer, parrot.said) == (NO_FACTS, 0)


def test_a_question_that_leaves_no_room_for_facts_is_rejected() -> None:
    with pytest.raises(ServiceError, match="no fact fits") as error:
        reply(Parrot("x"), question="why " * 400)
    assert error.value.status_code == 422


def test_it_stops_on_request() -> None:
    stop = Stop()
    stop.request()
    generator = Generator(Parrot("x"), LIMITS["simple"], "plain")
    with pytest.raises(Stopped):
        generator.answer(GenerateRequest(question="a", facts=FACTS), stop)
