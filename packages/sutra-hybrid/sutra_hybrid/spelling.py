"""Typo tolerance: corrects words of a question that occur in no text."""

import re
from collections import defaultdict
from collections.abc import Iterable

from sutra_hybrid.libraries import load

# Shorter words have too many similar ones: `cat`, `car`, `can`. The upper limit bounds the cost of comparing, which is
# the product of the two lengths.
MIN_CHARACTERS, MAX_CHARACTERS = 5, 40
# Each is compared with all known words that start with the same letter. More unknown words suggest another language.
MAX_WORDS = 20
# Normalized Damerau-Levenshtein similarity; allows one typo in five letters.
MIN_SIMILARITY = 0.79
WORD = re.compile(r"\w+")


def correct(question: str, texts: Iterable[str]) -> str | None:
    """Replace unknown words of the question by the most similar words of `texts`; None if nothing changes.

    A word is unknown if it occurs in no text; at most 20 are considered. Its replacement starts with the same letter
    and differs by at most one typo per five letters. Only words of 5 to 40 letters are replaced, and none with digits,
    because another number would be another question. Blocks.
    """
    process, distance = load("rapidfuzz.process"), load("rapidfuzz.distance.DamerauLevenshtein")
    vocabulary = {word.casefold() for text in texts for word in WORD.findall(text)}
    asked = dict.fromkeys(word.casefold() for word in WORD.findall(question))
    unknown = [word for word in asked if word not in vocabulary and _is_correctable(word)][:MAX_WORDS]
    by_letter: dict[str, list[str]] = defaultdict(list)
    letters = {word[0] for word in unknown}
    for word in vocabulary:
        if word[0] in letters and _is_correctable(word):
            by_letter[word[0]].append(word)
    for alike in by_letter.values():
        # Makes ties deterministic, because a set has no order.
        alike.sort()

    corrections: dict[str, str] = {}
    for word in unknown:
        alike = by_letter[word[0]]
        best = process.extractOne(word, alike, scorer=distance.normalized_similarity, score_cutoff=MIN_SIMILARITY)
        if best:
            corrections[word] = best[0]
    corrected = WORD.sub(lambda match: corrections.get(match[0].casefold(), match[0]), question)
    return corrected if corrected != question else None


def _is_correctable(word: str) -> bool:
    return MIN_CHARACTERS <= len(word) <= MAX_CHARACTERS and word.isalpha()
