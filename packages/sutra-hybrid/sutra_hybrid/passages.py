"""Texts and the concepts that storage keeps of them: one, or one for each passage of a long text.

A text of one passage is the concept `ID`, a text of n passages the concepts `ID`, `ID-2`, ..., `ID-n`. Storage also has
concepts of other clients: whatever does not look exactly like a passage is a text of its own.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

TEXT_ID = re.compile(r"[0-9a-f]{32}")
PASSAGE_ID = re.compile(r"([0-9a-f]{32})-([1-9][0-9]*)")
# A text of the maximum length has fewer passages, unless the model reads only a few tokens.
MAX_PASSAGES = 20_000
MAX_SOURCE, MAX_TITLE = 500, 300
# Between two passages with others in between.
GAP = " \u2026 "


class Place(NamedTuple):
    """Where a concept belongs: passage `number` of `of`, which starts at code point `start` of a text."""

    text_id: str
    number: int = 1
    of: int = 1
    start: int = 0


class About(NamedTuple):
    """What a client said about a text."""

    source: str | None = None
    title: str | None = None
    metadata: dict[str, Any] | None = None


def passage_id(text_id: str, number: int) -> str:
    """The id of a text's passage in storage."""
    return text_id if number == 1 else f"{text_id}-{number}"


def place_of(concept_id: str, metadata: Any) -> Place:
    """Where a concept belongs. It is a text of its own unless both its id and its metadata are those of a passage."""
    own = Place(concept_id)
    passage = metadata.get("passage") if isinstance(metadata, dict) else None
    if not isinstance(passage, dict):
        return own
    number, of, start = (passage.get(name) for name in ("number", "of", "start"))
    # type() and not isinstance(), because True is an int.
    if not (type(number) is type(of) is type(start) is int and 1 <= number <= of <= MAX_PASSAGES and start >= 0):
        return own
    match = PASSAGE_ID.fullmatch(concept_id)
    text_id = match[1] if match else concept_id
    if of == 1 or not TEXT_ID.fullmatch(text_id) or concept_id != passage_id(text_id, number):
        return own
    return Place(text_id, number, of, start)


def stored_metadata(about: About, place: Place) -> dict[str, Any] | None:
    """The metadata of a concept in storage; None if there is none."""
    fields = {name: value for name, value in about._asdict().items() if value is not None}
    if place.of > 1:
        fields["passage"] = {"number": place.number, "of": place.of, "start": place.start}
    return fields or None


def about(metadata: Any) -> About:
    """What a concept's metadata in storage says about its text. Ignores what hybrid would not have stored."""
    if not isinstance(metadata, dict):
        return About()
    source, title, own = (metadata.get(name) for name in About._fields)
    return About(
        source if isinstance(source, str) and 1 <= len(source) <= MAX_SOURCE else None,
        title if isinstance(title, str) and 1 <= len(title) <= MAX_TITLE else None,
        own if isinstance(own, dict) else None,
    )


def join(passages: Iterable[tuple[Place, str]]) -> str:
    """The text of some passages, in order, without overlaps; gaps are marked."""
    parts: list[str] = []
    before, end = Place(""), 0
    for place, text in sorted(passages, key=lambda passage: (passage[0].start, passage[0].number)):
        if not parts:
            parts.append(text)
        elif place.start <= end:
            parts.append(text[end - place.start :])
        elif place.number == before.number + 1:
            # Only blanks are missing.
            parts += [" " if place.start == end + 1 else "\n\n", text]
        else:
            parts += [GAP, text]
        before, end = place, max(end, place.start + len(text))
    return "".join(parts)
