"""Typo tolerance: words of a question that no text has become the word that was meant."""

import re
from collections import defaultdict
from collections.abc import Iterable

from sutra_hybrid.libraries import load

# Short words have too many neighbours: `cat`, `car`, `can`. Comparing takes the product of two lengths, and what is
# longer than this is no word that somebody writes.
LEAST_CHARACTERS, MOST_CHARACTERS = 5, 40
# Each is compared with all known words of its letter. More unknown words than this are no slips, but another language.
MOST_WORDS = 20
# One minus Damerau and Levenshtein's distance as a share of the longer word: one slip in five letters.
LEAST_LIKENESS = 0.79
WORD = re.compile(r"\w+")


def correct(question: str, texts: Iterable[str]) -> str | None:
    """The question with its unknown words replaced by the most similar words of `texts`; None if nothing changes.

    The first 20 of them are looked at. A word is unknown if no text has it; its replacement begins with the same
    letter and differs by one slip in five letters at most. Words with a digit, and words of other than 5 to 40 letters
    are left alone: another number is another question. Blocks.
    """
    process, likeness = load("rapidfuzz.process"), load("rapidfuzz.distance.DamerauLevenshtein")
    vocabulary = {word.casefold() for text in texts for word in WORD.findall(text)}
    asked = dict.fromkeys(word.casefold() for word in WORD.findall(question))
    unknown = [word for word in asked if word not in vocabulary and _may_be_meant(word)][:MOST_WORDS]
    by_letter: dict[str, list[str]] = defaultdict(list)
    letters = {word[0] for word in unknown}
    for word in vocabulary:
        if word[0] in letters and _may_be_meant(word):
            by_letter[word[0]].append(word)
    for alike in by_letter.values():
        # Of two that are equally similar the first is taken, and a set has no order.
        alike.sort()

    meant: dict[str, str] = {}
    for word in unknown:
        alike = by_letter[word[0]]
        best = process.extractOne(word, alike, scorer=likeness.normalized_similarity, score_cutoff=LEAST_LIKENESS)
        if best:
            meant[word] = best[0]
    mended = WORD.sub(lambda match: meant.get(match[0].casefold(), match[0]), question)
    return mended if mended != question else None


def _may_be_meant(word: str) -> bool:
    return LEAST_CHARACTERS <= len(word) <= MOST_CHARACTERS and word.isalpha()
