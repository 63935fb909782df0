"""A question as what it asks about: its terms, and how much each one tells."""

from dataclasses import dataclass
from itertools import pairwise

from sutra_nlg.grounded import words
from sutra_nlg.grounded.function_words import FUNCTION_WORDS, SPACELESS
from sutra_nlg.grounded.hints import hint_of

# A name or a number tells more than another word, a short one less: languages keep those for joining.
NAME = 1.5
SHORT = 0.5
SHORT_LENGTH = 3
# Two letters of a syllabary are mostly an ending.
SYLLABLES = 0.5
# `What colour is the kite?` asks for a colour: its answer names one and need not hold the word.
ASKED_FOR = 0.5
ASKING = """what which welche welcher welches welchen quel quelle quels quelles qué que cuál cuáles quale quali qual
    quais welk welke vilken vilket vilka hvilken hvilket jaki jaka jakie какой какая какое какие"""
ASKING_WORDS = frozenset(map(words.fold, ASKING.split()))
# Of a longer question the most telling words count. A sentence is too short to hold nearly half of more.
MOST_TERMS = 64


@dataclass(frozen=True)
class Term:
    """A word of the question, folded, and its weight before rarity counts."""

    word: str
    weight: float


class Question:
    """What a question asks about. `holds_what_is_asked` tells whether a sentence has the kind of thing asked for."""

    def __init__(self, text: str) -> None:
        self.holds_what_is_asked = hint_of(text)
        self.terms = _terms(text)
        self._beginnings: dict[str, list[int]] = {}
        for index, term in enumerate(self.terms):
            self._beginnings.setdefault(words.beginning(term.word), []).append(index)
        self._known: dict[str, tuple[tuple[int, float], ...]] = {}

    def found_in(self, text: str) -> dict[int, float]:
        """The terms that `text` has, by index, and how well its best word fits each."""
        found: dict[int, float] = {}
        for word in set(words.words(text)):
            for index, likeness in self._fits(word):
                found[index] = max(likeness, found.get(index, 0.0))
        return found

    def _fits(self, word: str) -> tuple[tuple[int, float], ...]:
        if word not in self._known:
            near = self._beginnings.get(words.beginning(word), ())
            likenesses = ((index, words.likeness(self.terms[index].word, word)) for index in near)
            self._known[word] = tuple((index, likeness) for index, likeness in likenesses if likeness)
        return self._known[word]


def _terms(text: str) -> tuple[Term, ...]:
    for phrase in SPACELESS:
        text = text.replace(phrase, " ")
    written = words.words_as_written(text)
    telling = [pair for pair in written if pair[1] not in FUNCTION_WORDS]
    folds = [folded for _, folded in written]
    asked_for = {after for asking, after in pairwise(folds) if asking in ASKING_WORDS}
    terms: dict[str, Term] = {}
    # A question of nothing but function words is taken at its word.
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
    # Of words that weigh alike the first; all in the order of the question.
    most = set(sorted(terms, key=lambda word: -terms[word].weight)[:MOST_TERMS])
    return tuple(term for word, term in terms.items() if word in most)
