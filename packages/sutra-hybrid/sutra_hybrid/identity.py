"""The name of a concept, which follows from its text alone."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

# 128 of SHA-256's 256 bits: two of a billion texts share an id with a chance of 1 in 10^21.
ID_CHARACTERS = 32
# Combining marks in a row, as in Unicode's stream-safe text (UAX 15): no writing needs more. Normalising puts the marks
# of a run in order, which takes the square of their number.
MOST_MARKS = 30
# No marks by their class, but made of marks only: as of Unicode 15.1 these three.
HIDDEN_MARKS = "\u0f73\u0f75\u0f81"


def identify(text: str) -> str:
    """The id of a text: 32 hexadecimal digits.

    Texts that differ only in white space or in how Unicode composes a letter are one concept.
    Case and punctuation count: they can change what a text says.
    """
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(normal.encode()).hexdigest()[:ID_CHARACTERS]


def overloaded(texts: Sequence[str]) -> int | None:
    """The place of the first text that has more than 30 combining marks in a row; None if there is none. Blocks."""
    letters: set[str] = set()
    for text in texts:
        letters.update(text)
    marks = "".join(sorted(letter for letter in letters if unicodedata.combining(letter) or letter in HIDDEN_MARKS))
    if not marks:
        return None
    run = re.compile(f"[{re.escape(marks)}]{{{MOST_MARKS + 1}}}")
    return next((place for place, text in enumerate(texts) if run.search(text)), None)
