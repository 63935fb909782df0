"""What a question asks about, and how little is compared to find it."""

import itertools

import pytest

from sutra_nlg.grounded import words
from sutra_nlg.grounded.question import MOST_TERMS, Question

WORDS = ["".join(letters) + "ward" for letters in itertools.product("bcdfg", "aeiou", "klmnp")]


def test_only_words_that_begin_alike_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    likeness = words.likeness

    def noted(one: str, other: str) -> float:
        compared.append((one, other))
        return likeness(one, other)

    monkeypatch.setattr(words, "likeness", noted)
    question = Question(" ".join(WORDS))
    found = question.found_in(" ".join(f"{word}s" for word in WORDS))
    assert found == dict.fromkeys(range(MOST_TERMS), words.SAME_STEM)
    assert sorted(compared) == sorted((word, f"{word}s") for word in WORDS[:MOST_TERMS])


def test_of_a_long_question_the_most_telling_words_count() -> None:
    terms = Question(f"{' '.join(WORDS)} Eiffel an 1889").terms
    assert [term.word for term in terms] == [*WORDS[: MOST_TERMS - 2], "eiffel", "1889"]
