"""Splits texts into words and compares them without case, accents and endings, in any script."""

import re
import unicodedata
from typing import Literal

# Scripts without spaces between words, and Hangul, with its attached endings: pairs of letters are used as words.
SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
)
# Vowel signs and accents are parts of words, although `\w` does not match them.
SIGNS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
)
INDIC = "\u0900-\u0963\u0966-\u0dff"
WORD = re.compile(f"([{SPACELESS}]+)|((?:(?![{SPACELESS}])[^\\W_]|[{SIGNS}{INDIC}])+)")
DROPPED = re.compile(f"[{SIGNS}]+")

# Combining marks kept per letter. Normalization takes quadratic time in their number; Unicode's Stream-Safe Text Format
# has the same limit.
MAX_MARKS = 30

SHORTEST_STEM = 4
# The share of the longer word that must be common: `control` is not `contract`.
SHARED = 0.65
SAME = 1.0
SAME_STEM = 0.8


def words(text: str) -> list[str]:
    """The folded words of `text`, in order."""
    return [word for _, word in words_as_written(text)]


def words_as_written(text: str) -> list[tuple[str, str]]:
    """Every word of `text` as written, with its folded form."""
    found = []
    for match in WORD.finditer(text):
        if match[1]:
            run = _normalized("NFC", match[1])
            pairs = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
            found.extend((pair, pair) for pair in pairs)
        else:
            folded = fold(match[2])
            if folded:
                found.append((match[2], folded))
    return found


def fold(word: str) -> str:
    """A word without case and accents; a final `y` becomes `i`, as in `studies`."""
    if not word.isascii():
        word = DROPPED.sub("", _normalized("NFKD", word.casefold()))
    word = word.casefold()
    return f"{word[:-1]}i" if len(word) >= SHORTEST_STEM and word.endswith("y") else word


def similarity(one: str, other: str) -> float:
    """The similarity of two folded words: 1 if equal, 0.8 if only their endings differ, else 0.

    An ending is whatever follows a common beginning. This works for most languages without lists of
    endings.
    """
    if one == other:
        return SAME
    shorter, longer = sorted((one, other), key=len)
    if not (shorter.isalpha() and longer.isalpha()) or is_spaceless(shorter):
        return 0.0
    ending = len(longer) - len(shorter)
    if longer.startswith(shorter) and len(shorter) >= SHORTEST_STEM - 1:
        return SAME_STEM if ending <= max(1, len(shorter) - 2) and ending <= SHORTEST_STEM else 0.0
    common = 0
    while common < len(shorter) and shorter[common] == longer[common]:
        common += 1
    if common >= SHORTEST_STEM and len(longer) - common <= SHORTEST_STEM and common >= SHARED * len(longer):
        return SAME_STEM
    return 0.0


def beginning(word: str) -> str:
    """The prefix that all similar words share: three letters, or the whole word if it has no ending."""
    return word[: SHORTEST_STEM - 1] if word.isalpha() and not is_spaceless(word) else word


def is_spaceless(word: str) -> bool:
    """Whether a folded word is in a script without spaces."""
    return re.match(f"[{SPACELESS}]", word) is not None


def _normalized(form: Literal["NFC", "NFKD"], text: str) -> str:
    """Normalize `text`, with at most MAX_MARKS combining marks per letter."""
    if len(text) > MAX_MARKS:
        kept = []
        marks = 0
        for letter in text:
            # Check the decomposition: a half-width Japanese voicing mark becomes a combining mark.
            marks = marks + 1 if unicodedata.combining(unicodedata.normalize("NFKD", letter)[0]) else 0
            if marks <= MAX_MARKS:
                kept.append(letter)
        text = "".join(kept)
    return unicodedata.normalize(form, text)
