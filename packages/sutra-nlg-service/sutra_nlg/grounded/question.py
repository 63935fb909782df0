"""Splits a question into weighted terms."""

from dataclasses import dataclass
from itertools import pairwise

from sutra_nlg.grounded import words
from sutra_nlg.grounded.function_words import FUNCTION_WORDS, SPACELESS
from sutra_nlg.grounded.hints import hint_of

# Names and numbers weigh more than other words; short words, mostly function words, weigh less.
NAME = 1.5
SHORT = 0.5
SHORT_LENGTH = 3
# Hiragana, mostly endings.
SYLLABLES = 0.5
# The word after a question word: the answer to `What colour is the kite?` need not contain `colour`.
ASKED_FOR = 0.5
ASKING = """what which welche welcher welches welchen quel quelle quels quelles qué que cuál cuáles quale quali qual
    quais welk welke vilken vilket vilka hvilken hvilket jaki jaka jakie какой какая какое какие"""
ASKING_WORDS = frozenset(map(words.fold, ASKING.split()))
# Longer questions are reduced to their heaviest terms; a sentence could not match half of more.
MAX_TERMS = 64


@dataclass(frozen=True)
class Term:
    """A folded word of the question and its weight, not yet adjusted for rarity."""

    word: str
    weight: float


class Question:
    """A parsed question. `has_expected_kind` tests whether a sentence contains the kind of thing asked for."""

    def __init__(self, text: str) -> None:
        self.has_expected_kind = hint_of(text)
        self.terms = _terms(text)
        self._beginnings: dict[str, list[int]] = {}
        for index, term in enumerate(self.terms):
            self._beginnings.setdefault(words.beginning(term.word), []).append(index)
        self._known: dict[str, tuple[tuple[int, float], ...]] = {}

    def found_in(self, text: str) -> dict[int, float]:
        """The indexes of the terms that `text` contains, with the similarity of its best word to each."""
        found: dict[int, float] = {}
        for word in set(words.words(text)):
            for index, similarity in self._fits(word):
                found[index] = max(similarity, found.get(index, 0.0))
        return found

    def _fits(self, word: str) -> tuple[tuple[int, float], ...]:
        if word not in self._known:
            near = self._beginnings.get(words.beginning(word), ())
            similarities = ((index, words.similarity(self.terms[index].word, word)) for index in near)
            self._known[word] = tuple((index, similarity) for index, similarity in similarities if similarity)
        return self._known[word]


def _terms(text: str) -> tuple[Term, ...]:
    for phrase in SPACELESS:
        text = text.replace(phrase, " ")
    written = words.words_as_written(text)
    telling = [pair for pair in written if pair[1] not in FUNCTION_WORDS]
    folds = [folded for _, folded in written]
    asked_for = {after for asking, after in pairwise(folds) if asking in ASKING_WORDS}
    terms: dict[str, Term] = {}
    # If there are only function words, all of them count.
    for position, (word, folded) in enumerate(telling or written):
        named = any(letter.isdigit() for letter in word) or (
            word[0].isupper() and (position > 0 or written[0][0] != word)
        )
        weight = NAME if named else SHORT if len(folded) <= SHORT_LENGTH and not words.is_spaceless(folded) else 1.0
        if all("\u3040" <= letter <= "\u309f" for letter in folded):
            weight = SYLLABLES
        if folded in asked_for:
            weight *= ASKED_FOR
        known = terms.get(folded)
        terms[folded] = Term(folded, max(weight, known.weight if known else 0.0))
    # The heaviest terms (the first of equals), in the order of the question.
    most = set(sorted(terms, key=lambda word: -terms[word].weight)[:MAX_TERMS])
    return tuple(term for word, term in terms.items() if word in most)
