import pytest

from sutra_nlg.grounded.words import likeness, words


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
def test_words_of_any_script(text: str, expected: list[str]) -> None:
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
def test_endings_do_not_make_another_word(one: str, other: str, alike: bool) -> None:
    first, second = words(one)[0], words(other)[-1]
    assert (likeness(first, second) > 0) is alike
    assert likeness(first, second) == likeness(second, first)
    assert likeness(first, first) == 1
