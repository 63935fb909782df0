import sys
import unicodedata

import pytest

from sutra_hybrid.identity import HIDDEN_MARKS, find_excess_marks, identify


def test_an_id_is_a_prefix_of_the_sha256() -> None:
    # printf 'A b' | sha256sum | cut -c -32
    assert identify("A b") == "a760b0e1e5180903bce545f6444f0b98"


@pytest.mark.parametrize("same", ["  a b ", "a\t b", "a\nb", "a\u00a0b"])
def test_whitespace_does_not_matter(same: str) -> None:
    assert identify(same) == identify("a b")


def test_unicode_composition_does_not_matter() -> None:
    assert identify("caf\u00e9") == identify("cafe\u0301")


@pytest.mark.parametrize("other", ["A b", "a b.", "ab", "b a", ""])
def test_different_texts_have_different_ids(other: str) -> None:
    assert identify(other) != identify("a b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "e" + "\u0301" * 30,
        ("e" + "\u0301" * 30) * 3,
        "\u0301" * 30,
        "[" * 99 + "\u0301",
        "\u0327\u0301" * 15,
    ],
)
def test_thirty_marks_in_a_row_are_allowed(text: str) -> None:
    assert find_excess_marks([text]) is None


@pytest.mark.parametrize("marks", ["\u0301" * 31, "\u0315" * 16 + "\u0300" * 15, "\u0f73" * 31, "\u0344" * 31])
def test_more_than_thirty_marks_in_a_row_are_found(marks: str) -> None:
    assert find_excess_marks(["e\u0301", f"a{marks}", f"b{marks}"]) == 1
    # Runs do not continue across texts.
    assert find_excess_marks([f"a{marks[:20]}", f"{marks[20:]}"]) is None


def test_the_list_of_hidden_marks_is_complete() -> None:
    characters = [chr(number) for number in range(sys.maxunicode + 1) if not 0xD800 <= number < 0xE000]
    beginnings = ((letter, unicodedata.normalize("NFD", letter)[0]) for letter in characters)
    hidden = [
        letter for letter, first in beginnings if unicodedata.combining(first) > unicodedata.combining(letter) == 0
    ]
    assert "".join(hidden) == HIDDEN_MARKS
