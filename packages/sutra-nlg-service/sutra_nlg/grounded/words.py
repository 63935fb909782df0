"""Texts as words that can be compared: without case, accents and endings, in any script."""

import re
import unicodedata
from typing import Literal

# Scripts that put no space between words, and Hangul, whose endings are glued to them: pairs of letters serve as words.
SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
)
# Vowel signs and accents belong to a word, though `\w` leaves them out.
SIGNS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
)
INDIC = "\u0900-\u0963\u0966-\u0dff"
WORD = re.compile(f"([{SPACELESS}]+)|((?:(?![{SPACELESS}])[^\\W_]|[{SIGNS}{INDIC}])+)")
DROPPED = re.compile(f"[{SIGNS}]+")

# Putting marks in order takes the square of their number, so no letter keeps more: Unicode's own limit for streams.
MOST_MARKS = 30

SHORTEST_STEM = 4
# How much of the longer word two words with different endings share: `control` is not `contract`.
SHARED = 0.65
SAME = 1.0
SAME_STEM = 0.8


def words(text: str) -> list[str]:
    """The words of `text`, folded, in their order."""
    return [word for _, word in words_as_written(text)]


def words_as_written(text: str) -> list[tuple[str, str]]:
    """Every word of `text` as it is written there, and folded."""
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
    """A word without case and accents; `y` at its end is `i`, as it becomes in `studies`."""
    if not word.isascii():
        word = DROPPED.sub("", _normalized("NFKD", word.casefold()))
    word = word.casefold()
    return f"{word[:-1]}i" if len(word) >= SHORTEST_STEM and word.endswith("y") else word


def likeness(one: str, other: str) -> float:
    """How far two folded words are the same: 1 equal, 0.8 with another ending, else 0.

    Endings are what differs after a common beginning, which holds for most languages with endings
    and needs no list of them.
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
    """What every folded word like `word` has in common with it: three letters, or all where no ending is told."""
    return word[: SHORTEST_STEM - 1] if word.isalpha() and not is_spaceless(word) else word


def is_spaceless(word: str) -> bool:
    """Whether a folded word is of a script without spaces."""
    return re.match(f"[{SPACELESS}]", word) is not None


def _normalized(form: Literal["NFC", "NFKD"], text: str) -> str:
    """A normal form of `text` without the marks that a letter has beyond MOST_MARKS."""
    if len(text) > MOST_MARKS:
        kept = []
        marks = 0
        for letter in text:
            # What it is taken apart to counts: a half-wide Japanese sign is a letter that becomes a mark.
            marks = marks + 1 if unicodedata.combining(unicodedata.normalize("NFKD", letter)[0]) else 0
            if marks <= MOST_MARKS:
                kept.append(letter)
        text = "".join(kept)
    return unicodedata.normalize(form, text)
