"""Builds a grounded answer: quotes the sentences of the facts that match the question best."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sutra_nlg import marks
from sutra_nlg.grounded import words
from sutra_nlg.grounded.question import Question
from sutra_nlg.grounded.sentences import is_question, sentences
from sutra_nlg.replies import NO_ANSWER, NO_FACTS
from sutra_nlg.requests import Fact, GenerateReply, cite
from sutra_nlg.work import Stop

# The minimum relevance of a sentence; below it, the facts are about something else. One word of a two-word question
# does not reach it.
ENOUGH = 0.45
# The weight of terms that occur nowhere, relative to the rarest term that occurs.
ABSENT = 1.3
# The minimum relevance of further sentences, relative to the best one.
CLOSE = 0.65
# The weight of terms in neighbouring sentences: `It was built in 1889.` after `The tower stands in Paris.`
NEIGHBOURS = 0.5
BEFORE, AFTER = 2, 1
# The bonus for the kind of thing that the question asks for, such as a date.
HINT = 0.2
# The factor for questions, which are rarely answers.
ASKING = 0.5
# The bonus for facts with high scores, to break ties.
PRIOR = 0.05
# The share of common words that makes two sentences duplicates.
SAME = 0.8


@dataclass
class Candidate:
    """A sentence, its place, and the question's terms that it contains (term index: similarity)."""

    text: str
    fact: int
    position: int
    found: dict[int, float]
    relevance: float = 0.0
    words: frozenset[str] = field(default=frozenset())


def answer(question_text: str, facts: Sequence[Fact], most: int, stop: Stop) -> GenerateReply:
    """Answer with at most `most` sentences of `facts`, each with its mark, or say that none answers the question.

    Raises work.Stopped if `stop` requests it.
    """
    if not facts:
        return GenerateReply(answer=NO_FACTS, citations=[], mode="grounded")
    question = Question(question_text)
    candidates = _candidates(question, facts, stop)
    _rate(question, facts, candidates, stop)
    chosen = _choose(candidates, most, stop)
    if not chosen:
        return GenerateReply(answer=NO_ANSWER, citations=[], mode="grounded")
    numbers = _numbers(chosen)
    return GenerateReply(
        answer=" ".join(f"{sentence.text} [{numbers[sentence.fact]}]" for sentence in chosen),
        citations=[cite(number, facts[fact]) for fact, number in numbers.items()],
        mode="grounded",
    )


def _candidates(question: Question, facts: Sequence[Fact], stop: Stop) -> list[Candidate]:
    found = []
    for fact, content in enumerate(facts):
        for position, text in enumerate(stop.each(sentences(content.text))):
            found.append(Candidate(text, fact, position, question.found_in(text)))
    return found


def _rate(question: Question, facts: Sequence[Fact], candidates: list[Candidate], stop: Stop) -> None:
    weights = _weights(question, candidates, stop)
    whole = sum(weights) or 1.0

    def share(found: dict[int, float]) -> float:
        return sum(weights[index] * similarity for index, similarity in found.items()) / whole

    ranks = {fact: rank for rank, fact in enumerate(_by_score(facts))}
    for index, candidate in enumerate(stop.each(candidates)):
        around = _around(candidates, index)
        with_neighbours = share(around)
        if not with_neighbours:
            continue
        fits = question.has_expected_kind(candidate.text)
        # A sentence without any term must contain the kind of thing that the question asks for.
        if not candidate.found and not fits:
            continue
        alone = share(candidate.found)
        candidate.relevance = alone + NEIGHBOURS * (with_neighbours - alone) + (HINT if fits else 0.0)
        if is_question(candidate.text):
            candidate.relevance *= ASKING
        if candidate.relevance >= ENOUGH:
            candidate.relevance += PRIOR * (1 - ranks[candidate.fact] / len(facts))


def _weights(question: Question, candidates: list[Candidate], stop: Stop) -> list[float]:
    """The weights of the terms: higher for terms that are rare in the sentences.

    Terms that occur nowhere weigh slightly more than the rarest one that occurs. So one of two words is not enough, but
    facts that are all about the subject can still answer a question that uses another verb.
    """
    counts: Counter[int] = Counter()
    for candidate in stop.each(candidates):
        counts.update(candidate.found.keys())
    rarity = {index: math.log(1 + (len(candidates) + 1) / (count + 0.5)) for index, count in counts.items()}
    absent = ABSENT * max(rarity.values(), default=1.0)
    return [term.weight * rarity.get(index, absent) for index, term in enumerate(question.terms)]


def _around(candidates: list[Candidate], index: int) -> dict[int, float]:
    """The terms of a sentence and its neighbours in the same fact."""
    together: dict[int, float] = {}
    for near in candidates[max(0, index - BEFORE) : index + AFTER + 1]:
        if near.fact == candidates[index].fact:
            for term, similarity in near.found.items():
                together[term] = max(similarity, together.get(term, 0.0))
    return together


def _by_score(facts: Sequence[Fact]) -> Iterator[int]:
    return iter(sorted(range(len(facts)), key=lambda fact: -facts[fact].score))


def _choose(candidates: list[Candidate], most: int, stop: Stop) -> list[Candidate]:
    """The best sentences without duplicates, ordered by fact (best first) and by position in the fact."""
    ranked = sorted((one for one in candidates if one.relevance >= ENOUGH), key=lambda one: -one.relevance)
    chosen: list[Candidate] = []
    for candidate in stop.each(ranked):
        if len(chosen) == most or candidate.relevance < CLOSE * ranked[0].relevance:
            break
        candidate.words = frozenset(words.words(candidate.text))
        if not any(_is_duplicate(candidate, other) for other in chosen):
            chosen.append(candidate)
    order = list(dict.fromkeys(candidate.fact for candidate in chosen))
    return sorted(chosen, key=lambda one: (order.index(one.fact), one.position))


def _is_duplicate(one: Candidate, other: Candidate) -> bool:
    """Whether two sentences share most of their words and all numbers."""
    different = one.words ^ other.words
    if any(word.isdigit() for word in different):
        return False
    return len(one.words & other.words) >= SAME * len(one.words | other.words)


def _numbers(chosen: list[Candidate]) -> dict[int, int]:
    """The citation numbers of the facts, in the order of the answer.

    Skips numbers that occur as marks in the quoted sentences, so that those marks do not refer to a citation.
    """
    taken = {number for sentence in chosen for number in marks.numbers(sentence.text)}
    numbers: dict[int, int] = {}
    number = 0
    for sentence in chosen:
        if sentence.fact not in numbers:
            number += 1
            while number in taken:
                number += 1
            numbers[sentence.fact] = number
    return numbers
