"""Concepts in storage as texts: any client may have stored them, with any id and metadata."""

from typing import Any

import pytest

from sutra_hybrid.passages import About, Place, about, join, passage_id, place_of, stored_metadata

TEXT = "0123456789abcdef0123456789abcdef"


def passage(number: Any = 2, of: Any = 3, start: Any = 10) -> dict[str, Any]:
    return {"passage": {"number": number, "of": of, "start": start}}


def test_a_passage_belongs_to_its_text() -> None:
    assert place_of(TEXT, passage(1, 3, 0)) == Place(TEXT, 1, 3, 0)
    assert place_of(f"{TEXT}-2", passage()) == Place(TEXT, 2, 3, 10)
    assert place_of(f"{TEXT}-12", {**passage(12, 12), "source": "s"}) == Place(TEXT, 12, 12, 10)


@pytest.mark.parametrize(
    ("concept", "metadata"),
    [
        (TEXT, None),
        (TEXT, {}),
        (TEXT, []),
        (TEXT, "passage"),
        (TEXT, {"passage": [1, 2]}),
        (TEXT, {"passage": {}}),
        (TEXT, passage(2)),
        (TEXT, passage(1, 1, 0)),
        (f"{TEXT}-2", None),
        (f"{TEXT}-2", passage(3)),
        (f"{TEXT}-2", passage(1)),
        (f"{TEXT}-4", passage(4)),
        (f"{TEXT}-1", passage(1)),
        (f"{TEXT}-0", passage(0)),
        (f"{TEXT}-02", passage()),
        (f"{TEXT}-\u0662", passage()),
        (f"{TEXT}-2\n", passage()),
        (f"{TEXT}-2-2", passage()),
        (f"{TEXT.upper()}-2", passage()),
        (f"{TEXT[1:]}-2", passage()),
        (f"0{TEXT}-2", passage()),
        (f"{TEXT}-2", passage("2")),
        (f"{TEXT}-2", passage(2.0)),
        (f"{TEXT}-2", passage(of=None)),
        (f"{TEXT}-2", passage(start=-1)),
        (f"{TEXT}-2", passage(start=True)),
        (f"{TEXT}-2", passage(of=10**9)),
        (f"{TEXT}-{'9' * 200}", passage(int("9" * 200), int("9" * 200))),
        ("any/id", passage(1)),
        ("-2", passage()),
    ],
)
def test_anything_else_is_a_text_of_its_own(concept: str, metadata: Any) -> None:
    assert place_of(concept, metadata) == Place(concept)


def test_metadata_there_and_back() -> None:
    said = About("handbook.md", "Handbook", {"page": 3, "passage": None})
    assert stored_metadata(said, Place(TEXT)) == {
        "source": "handbook.md",
        "title": "Handbook",
        "metadata": {"page": 3, "passage": None},
    }
    metadata = stored_metadata(said, Place(TEXT, 2, 3, 10))
    assert about(metadata) == said
    assert place_of(passage_id(TEXT, 2), metadata) == Place(TEXT, 2, 3, 10)
    assert stored_metadata(About(), Place(TEXT)) is None
    assert stored_metadata(About(), Place(TEXT, 1, 2, 0)) == passage(1, 2, 0)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        7,
        [],
        {"of": "smoke"},
        {"source": 1, "title": ["t"], "metadata": "m"},
        {"source": "", "title": "t" * 301, "metadata": None},
        {"source": "s" * 501},
    ],
)
def test_odd_metadata_says_nothing(metadata: Any) -> None:
    assert about(metadata) == About()


def parts(*spans: tuple[int, int, int]) -> list[tuple[Place, str]]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [(Place(TEXT, number, 9, start), letters[start:end]) for number, start, end in spans]


@pytest.mark.parametrize(
    ("passages", "whole"),
    [
        ([], ""),
        (parts((2, 3, 6)), "def"),
        (parts((1, 0, 6), (2, 3, 9)), "abcdefghi"),
        (parts((2, 3, 9), (1, 0, 6)), "abcdefghi"),
        (parts((1, 0, 3), (2, 3, 6)), "abcdef"),
        (parts((1, 0, 3), (3, 7, 9)), "abc \u2026 hi"),
        (parts((1, 0, 3), (2, 4, 6)), "abc ef"),
        (parts((1, 0, 3), (2, 9, 12)), "abc\n\njkl"),
        # Contained, and after an overlap with one before the last.
        (parts((1, 0, 9), (2, 2, 4), (3, 8, 10)), "abcdefghij"),
        # Not adjacent by number, but they overlap.
        (parts((1, 0, 9), (4, 5, 12)), "abcdefghijkl"),
    ],
)
def test_joining_passages(passages: list[tuple[Place, str]], whole: str) -> None:
    assert join(passages) == whole


def test_offsets_are_code_points() -> None:
    text = "\U0001f600\U0001f600 caf\u00e9"
    assert join([(Place(TEXT, 1, 2, 0), text[:4]), (Place(TEXT, 2, 2, 3), text[3:])]) == text
