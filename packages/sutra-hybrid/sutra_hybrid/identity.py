"""Derives the id of a concept from its text."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

# 128 of SHA-256's 256 bits: the chance of a collision among a billion texts is 1 in 10^21.
ID_CHARACTERS = 32
# Maximum number of combining marks in a row, as in Unicode's Stream-Safe Text Format (UAX #15). Normalization takes
# quadratic time in their number.
MAX_MARKS = 30
# Characters with combining class 0 that decompose into combining marks only. Complete as of Unicode 15.1.
HIDDEN_MARKS = "\u0f73\u0f75\u0f81"


def identify(text: str) -> str:
    """The id of a text: 32 hexadecimal digits.

    Texts that differ only in whitespace or in Unicode composition have the same id. Case and
    punctuation matter, because they can change the meaning.
    """
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(normal.encode()).hexdigest()[:ID_CHARACTERS]


def find_excess_marks(texts: Sequence[str]) -> int | None:
    """The index of the first text with more than 30 combining marks in a row, or None. Blocks."""
    letters: set[str] = set()
    for text in texts:
        letters.update(text)
    marks = "".join(sorted(letter for letter in letters if unicodedata.combining(letter) or letter in HIDDEN_MARKS))
    if not marks:
        return None
    run = re.compile(f"[{re.escape(marks)}]{{{MAX_MARKS + 1}}}")
    return next((place for place, text in enumerate(texts) if run.search(text)), None)
