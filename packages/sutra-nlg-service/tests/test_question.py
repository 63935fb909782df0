"""Tests of the question's terms and the number of comparisons."""

import itertools

import pytest

from sutra_nlg.grounded import words
from sutra_nlg.grounded.question import MAX_TERMS, Question

WORDS = ["".join(letters) + "ward" for letters in itertools.product("bcdfg", "aeiou", "klmnp")]


def test_only_words_with_the_same_prefix_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    similarity = words.similarity

    def noted(one: str, other: str) -> float:
        compared.append((one, other))
        return similarity(one, other)

    monkeypatch.setattr(words, "similarity", noted)
    question = Question(" ".join(WORDS))
    found = question.found_in(" ".join(f"{word}s" for word in WORDS))
    assert found == dict.fromkeys(range(MAX_TERMS), words.SAME_STEM)
    assert sorted(compared) == sorted((word, f"{word}s") for word in WORDS[:MAX_TERMS])


def test_a_long_question_keeps_its_heaviest_words() -> None:
    terms = Question(f"{' '.join(WORDS)} Eiffel an 1889").terms
    assert [term.word for term in terms] == [*WORDS[: MAX_TERMS - 2], "eiffel", "1889"]
