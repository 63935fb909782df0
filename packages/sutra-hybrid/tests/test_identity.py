import pytest

from sutra_hybrid.identity import identify


def test_an_id_is_the_beginning_of_the_texts_sha256() -> None:
    # printf 'A b' | sha256sum | cut -c -32
    assert identify("A b") == "a760b0e1e5180903bce545f6444f0b98"


@pytest.mark.parametrize("same", ["  a b ", "a\t b", "a\nb", "a\u00a0b"])
def test_white_space_makes_no_other_concept(same: str) -> None:
    assert identify(same) == identify("a b")


def test_composed_and_decomposed_letters_are_one() -> None:
    assert identify("caf\u00e9") == identify("cafe\u0301")


@pytest.mark.parametrize("other", ["A b", "a b.", "ab", "b a", ""])
def test_another_text_is_another_concept(other: str) -> None:
    assert identify(other) != identify("a b")
