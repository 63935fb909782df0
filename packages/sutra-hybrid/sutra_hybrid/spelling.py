"""Typo tolerance: words of a question that no text has become the word that was meant."""

import re
from collections.abc import Iterable

from sutra_hybrid.libraries import load

# Short words have too many neighbours: `cat`, `car`, `can`.
LEAST_CHARACTERS = 5
# One minus Damerau and Levenshtein's distance as a share of the longer word: one slip in five letters.
LEAST_LIKENESS = 0.79
WORD = re.compile(r"\w+")


def correct(question: str, texts: Iterable[str]) -> str | None:
    """The question with each unknown word replaced by the most similar word of `texts`; None if nothing changes.

    A word is unknown if no text has it; its replacement begins with the same letter and differs by one
    slip in five letters at most. Words with a digit are left alone: another number is another question.
    Blocks.
    """
    process, likeness = load("rapidfuzz.process"), load("rapidfuzz.distance.DamerauLevenshtein")
    known = sorted({word.casefold() for text in texts for word in WORD.findall(text)})
    vocabulary = set(known)
    long = [word for word in known if len(word) >= LEAST_CHARACTERS and word.isalpha()]

    def mend(match: re.Match[str]) -> str:
        word = match[0].casefold()
        if len(word) < LEAST_CHARACTERS or not word.isalpha() or word in vocabulary:
            return match[0]
        alike = [candidate for candidate in long if candidate[0] == word[0]]
        best = process.extractOne(word, alike, scorer=likeness.normalized_similarity, score_cutoff=LEAST_LIKENESS)
        return best[0] if best else match[0]

    mended = WORD.sub(mend, question)
    return mended if mended != question else None
