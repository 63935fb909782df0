"""The grounded answer: the sentences of the facts that bear on the question, word for word."""

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

# How much of what a question asks about the best sentence has to hold, alone or with its neighbours: below that
# the facts are about something else. Half of a two-word question is below it.
ENOUGH = 0.45
ABSENT = 1.3
# Further sentences have to come this close to the best one.
CLOSE = 0.65
# What neighbours hold counts, but less: `It was built in 1889.` after `The tower stands in Paris.`
NEIGHBOURS = 0.5
BEFORE, AFTER = 2, 1
HINT = 0.2
# A sentence that asks is no answer, unless there is nothing else.
ASKING = 0.5
# Of two sentences that fit alike, the one of the fact with the higher score.
PRIOR = 0.05
# From how many words in common on a sentence says the same as another.
SAME = 0.8


@dataclass
class Candidate:
    """A sentence, where it stands, and what of the question it holds (term index: likeness)."""

    text: str
    fact: int
    position: int
    found: dict[int, float]
    relevance: float = 0.0
    words: frozenset[str] = field(default=frozenset())


def answer(question_text: str, facts: Sequence[Fact], most: int, stop: Stop) -> GenerateReply:
    """At most `most` sentences of `facts` that answer the question, each with its mark, or that there are none.

    Raises work.Stopped when `stop` asks for it.
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
        return sum(weights[index] * likeness for index, likeness in found.items()) / whole

    ranks = {fact: rank for rank, fact in enumerate(_by_score(facts))}
    for index, candidate in enumerate(stop.each(candidates)):
        around = _around(candidates, index)
        with_neighbours = share(around)
        if not with_neighbours:
            continue
        fits = question.holds_what_is_asked(candidate.text)
        # Without a word of the question, only what it asks for makes a neighbour's sentence an answer.
        if not candidate.found and not fits:
            continue
        alone = share(candidate.found)
        candidate.relevance = alone + NEIGHBOURS * (with_neighbours - alone) + (HINT if fits else 0.0)
        if is_question(candidate.text):
            candidate.relevance *= ASKING
        if candidate.relevance >= ENOUGH:
            candidate.relevance += PRIOR * (1 - ranks[candidate.fact] / len(facts))


def _weights(question: Question, candidates: list[Candidate], stop: Stop) -> list[float]:
    """The terms' weights: the rarer among the sentences, the more.

    One that no sentence has weighs somewhat more than the rarest that one has: so half of two words is not enough, yet
    facts that are all about a thing still answer a question that calls what happened to it by another word.
    """
    counts: Counter[int] = Counter()
    for candidate in stop.each(candidates):
        counts.update(candidate.found.keys())
    rarity = {index: math.log(1 + (len(candidates) + 1) / (count + 0.5)) for index, count in counts.items()}
    absent = ABSENT * max(rarity.values(), default=1.0)
    return [term.weight * rarity.get(index, absent) for index, term in enumerate(question.terms)]


def _around(candidates: list[Candidate], index: int) -> dict[int, float]:
    """What a sentence and its neighbours of the same fact hold together."""
    together: dict[int, float] = {}
    for near in candidates[max(0, index - BEFORE) : index + AFTER + 1]:
        if near.fact == candidates[index].fact:
            for term, likeness in near.found.items():
                together[term] = max(likeness, together.get(term, 0.0))
    return together


def _by_score(facts: Sequence[Fact]) -> Iterator[int]:
    return iter(sorted(range(len(facts)), key=lambda fact: -facts[fact].score))


def _choose(candidates: list[Candidate], most: int, stop: Stop) -> list[Candidate]:
    """The best sentences without repetition: the best fact's first, and each fact's in its own order."""
    ranked = sorted((one for one in candidates if one.relevance >= ENOUGH), key=lambda one: -one.relevance)
    chosen: list[Candidate] = []
    for candidate in stop.each(ranked):
        if len(chosen) == most or candidate.relevance < CLOSE * ranked[0].relevance:
            break
        candidate.words = frozenset(words.words(candidate.text))
        if not any(_says_the_same(candidate, other) for other in chosen):
            chosen.append(candidate)
    order = list(dict.fromkeys(candidate.fact for candidate in chosen))
    return sorted(chosen, key=lambda one: (order.index(one.fact), one.position))


def _says_the_same(one: Candidate, other: Candidate) -> bool:
    """Whether two sentences have nearly all their words in common, numbers among them."""
    different = one.words ^ other.words
    if any(word.isdigit() for word in different):
        return False
    return len(one.words & other.words) >= SAME * len(one.words | other.words)


def _numbers(chosen: list[Candidate]) -> dict[int, int]:
    """The citation numbers of the facts, in the order of the answer.

    A number that stands as a mark in a quoted sentence is left out, so that it points to nothing.
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
