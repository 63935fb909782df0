"""Cuts texts that are too long for the model into overlapping passages."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

# What /embed accepts in every edition, and sutra-storage-server with four bytes for each. Tokens have no maximum
# length: a word of a million letters is one unknown token, and blanks are none.
MAX_CHARACTERS = 10_000
# The first part of a text that is tokenized; the next ones are a quarter longer than what the model read of the one
# before.
FIRST_CHARACTERS = 1_500
# Overlap in tokens; less if it would be more than an eighth of a passage.
OVERLAP, OVERLAP_PART = 32, 8
# How far a cut without any boundary moves back, in order not to separate a letter from its marks.
MAX_MARKS = 32

# Each match ends where a passage may end. They are tried in this order.
PARAGRAPH = re.compile(r"(?=\n[^\S\n]*\n)")
FULL_STOPS = "\u3002\uff01\uff1f"
SENTENCE = re.compile(rf"[.!?\u2026{FULL_STOPS}][\"'\u201d\u2019)\]]*(?=\s)|[{FULL_STOPS}]")
WORD = re.compile(r"(?=\s)")
NOT_BLANK = re.compile(r"\S")
# Combining marks, variation selectors, joiners and skin tones belong to the character before them.
MARK = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u200d\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U0001f3fb-\U0001f3ff]"
)


class Passage(NamedTuple):
    """A part of a text: offsets in code points, the end excluded."""

    start: int
    end: int


@dataclass(frozen=True)
class Measured:
    """Where the tokens that the model reads start, and where the first further one starts; None if it reads all."""

    starts: list[int]
    rest: int | None


type Measure = Callable[[str], Measured]


def cut_all(texts: Iterable[str], measure: Measure) -> Iterator[tuple[int, Passage]]:
    """The passages of texts, in order, each with the index of its text."""
    for index, text in enumerate(texts):
        for passage in cut(text, measure):
            yield index, passage


def cut(text: str, measure: Measure) -> Iterator[Passage]:
    """The passages of a text, in order; none if it is blank.

    The model reads each of them completely, and none has more than MAX_CHARACTERS. They end at a paragraph, else a
    sentence, else a word, and overlap by about OVERLAP tokens. They cover the text except for blanks at their ends.
    Takes linear time: only the part around each passage is tokenized.
    """
    length = len(text.rstrip())
    start = _skip_blanks(text, 0, length)
    width = FIRST_CHARACTERS
    while start < length:
        known, limit = _window(text, start, min(start + width, length), length, measure)
        if known.rest is None and limit == length:
            yield Passage(start, length)
            return
        end = _end(text, start, known, limit, measure)
        yield Passage(start, start + len(text[start:end].rstrip()))
        width = (limit - start) * 5 // 4
        start = _skip_blanks(text, max(_overlap(text, start, end, known), start + 1), length)


def _window(text: str, start: int, limit: int, length: int, measure: Measure) -> tuple[Measured, int]:
    """Tokenize a part that is longer than the passage if possible. Returns its tokens, and the last place for a cut."""
    while True:
        limit = min(limit, start + MAX_CHARACTERS)
        known = measure(text[start:limit])
        if known.rest is not None:
            return known, start + known.rest
        if limit in (length, start + MAX_CHARACTERS):
            return known, limit
        limit = min(start + 2 * (limit - start), length)


def _end(text: str, start: int, known: Measured, limit: int, measure: Measure) -> int:
    """The best place to cut that leaves at least half of the tokens."""
    half = start + known.starts[len(known.starts) // 2] if known.starts else start
    end = _boundary(text, max(min(half, limit), start + 1), max(limit, start + 1))
    halve = False
    # The tokens of a part need not be those of the whole, for example in the middle of a word.
    while end > start + 1 and (rest := measure(text[start:end]).rest) is not None:
        size = end - start
        end = start + max(1, size // 2 if halve else min(rest, size - 1))
        halve = True
    return end


def _boundary(text: str, low: int, high: int) -> int:
    for pattern in (PARAGRAPH, SENTENCE, WORD):
        # One more character, because patterns look ahead.
        places = [match.end() for match in pattern.finditer(text, low, high + 1) if low <= match.end() <= high]
        if places:
            return places[-1]
    for place in range(high, max(low, high - MAX_MARKS), -1):
        if not MARK.match(text, place):
            return place
    return high


def _overlap(text: str, start: int, end: int, known: Measured) -> int:
    """Where the next passage starts: at the first sentence or word in the overlap."""
    inside = [place for place in known.starts if place < end - start]
    overlap = min(OVERLAP, len(inside) // OVERLAP_PART)
    if not overlap:
        return end
    low = start + inside[-overlap]
    for pattern in (SENTENCE, WORD):
        match = pattern.search(text, low - 1, end)
        if match and NOT_BLANK.search(text, match.end(), end):
            return match.end()
    return low


def _skip_blanks(text: str, start: int, length: int) -> int:
    match = NOT_BLANK.search(text, start, length)
    return match.start() if match else length
