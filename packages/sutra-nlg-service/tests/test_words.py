import pytest

from sutra_nlg.grounded.words import MAX_MARKS, beginning, similarity, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Café's 2 doors", ["the", "cafe", "s", "2", "doors"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("東京都 is", ["東京", "京都", "is"]),
        ("人", ["人"]),
        ("दिल्ली", ["दिल्ली"]),
        ("القاهِرة", ["القاهرة"]),
        ("snake_case-word", ["snake", "case", "word"]),
        ("Ⅷ ﬁne", ["viii", "fine"]),
        ("… — \u0301", []),
    ],
)
def test_words_in_any_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("tower", "towers", True),
        ("study", "studies", True),
        ("hauptstadt", "hauptstadten", True),
        ("construit", "construite", True),
        ("строить", "строил", True),
        ("cat", "cats", True),
        ("cat", "catalogue", False),
        ("station", "state", False),
        ("in", "inn", False),
        ("1889", "18890", False),
        ("東京", "東京都", False),
        ("contract", "control", False),
    ],
)
def test_words_that_differ_in_their_ending_are_similar(one: str, other: str, alike: bool) -> None:
    first, second = words(one)[0], words(other)[-1]
    assert (similarity(first, second) > 0) is alike
    assert similarity(first, second) == similarity(second, first)
    assert not alike or beginning(first) == beginning(second)
    assert similarity(first, first) == 1


@pytest.mark.parametrize(
    ("letter", "mark", "folded"),
    [
        ("a", "\u0951", "\u0951"),
        ("क", "\u093c", "\u093c"),
        ("\uff76", "\uff9e", "\u3099"),
        ("я", "\u0d4d\u093c", "\u093c"),
    ],
)
def test_a_letter_keeps_thirty_marks(letter: str, mark: str, folded: str) -> None:
    for count in (MAX_MARKS - 1, MAX_MARKS, 8_000):
        (word,) = words(letter + mark * (count // len(mark)))
        assert len(word) == 1 + min(count // len(mark) * len(mark), MAX_MARKS)
        assert word[1] == folded


def test_a_letter_without_spaces_keeps_thirty_marks() -> None:
    assert words("ก" + "\u0e48\u0e38" * 4_000 + "ข")[0::30] == ["ก\u0e38", "\u0e48ข"]


def test_marks_are_limited_per_letter() -> None:
    assert words("क\u093c" * 100) == ["क\u093c" * 100]
