import pytest

from sutra_nlg.grounded.sentences import MAX_CHARACTERS, is_question, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ("Dr. Smith met J. R. Miller on 3. Oktober at 3.5 km. Then he left.", ["Dr. Smith met J. R. Miller on 3. Oktober at "
         "3.5 km.", "Then he left."]),
        ("It has e.g. wheels, etc. and doors. Yes.", ["It has e.g. wheels, etc. and doors.", "Yes."]),
        ("It was finished in 1889. It is old.", ["It was finished in 1889.", "It is old."]),
        ('He said "No." Then left.', ['He said "No."', "Then left."]),
        ("東京。大阪！「京都。」名古屋", ["東京。", "大阪！", "「京都。」", "名古屋"]),
        ("दिल्ली। मुंबई।", ["दिल्ली।", "मुंबई।"]),
        ("Title\n\nText one\r\nText two", ["Title", "Text one", "Text two"]),
        ("  \n . ", ["."]),
        ("", []),
    ],
)  # fmt: skip
def test_sentence_ends(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize("text", ["word " * 900, "x" * 3_000, "的" * 3_000, "clause, " * 400])
def test_long_sentences_are_cut_without_loss(text: str) -> None:
    parts = sentences(text)
    assert max(map(len, parts)) <= MAX_CHARACTERS
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part in text for part in parts)


@pytest.mark.parametrize(
    ("sentence", "asks"), [("Why?", True), ('"Why?"', True), ("なぜ？", True), ("So.", False), ("", False)]
)
def test_questions(sentence: str, asks: bool) -> None:
    assert is_question(sentence) is asks
