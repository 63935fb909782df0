"""Enterprise: typo tolerance."""

from typing import Any

import pytest
from backends import Backends
from rapidfuzz import process

from sutra_hybrid.spelling import correct

TEXTS = ["The Eiffel tower stands in Paris.", "Johann Sebastian Bach composed fugues in 1722."]


@pytest.mark.parametrize(
    ("question", "corrected"),
    [
        ("Where is the Eifel tower?", "Where is the eiffel tower?"),
        ("eiffle", "eiffel"),
        ("Sebastain composd", "sebastian composed"),
        ("TOWRE", "tower"),
    ],
)
def test_a_typo_is_corrected(question: str, corrected: str) -> None:
    assert correct(question, TEXTS) == corrected


@pytest.mark.parametrize(
    "question",
    [
        "Where is the Eiffel tower?",
        "EIFFEL TOWER",
        "Banch",  # `Bach` is too short to be a correction
        "Pris",
        "Power",  # another first letter
        "17222 fugues",
        "fugues in 1723",
        "refrigerator",
        "...",
    ],
)
def test_known_short_different_words_and_numbers_are_unchanged(question: str) -> None:
    assert correct(question, TEXTS) is None


def test_only_the_first_twenty_unknown_words_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, list[str]]] = []
    extract_one = process.extractOne

    def recorded(word: str, alike: list[str], **options: Any) -> Any:
        compared.append((word, alike))
        return extract_one(word, alike, **options)

    monkeypatch.setattr(process, "extractOne", recorded)
    typos = [f"t{letter}wer" for letter in "abcdefghijklmnpqrstuvwxyz"]
    # Repeated, known and short words do not count.
    question = " ".join(f"{typo} {typo} power tar" for typo in typos)
    corrected = correct(question, ["tower power tree", "tomorrow"])
    assert corrected == " ".join(f"{word} {word} power tar" for word in ["tower"] * 20 + typos[20:])
    assert compared == [(typo, ["tomorrow", "tower"]) for typo in typos[:20]]


def test_a_very_long_word_is_unchanged() -> None:
    word = "ab" * 21
    assert correct(word[:-2] + "ba", [word]) is None
    assert correct(word[:38] + "ba", [word[:40]]) == word[:40]


def test_without_texts_nothing_is_corrected() -> None:
    assert correct("Eifel", []) is None


@pytest.mark.parametrize(("edition", "found"), [("community", False), ("enterprise", True)])
def test_full_text_search_uses_the_corrected_question(backends: Backends, edition: str, found: bool) -> None:
    # By vector, the concept with the word is the farthest.
    question = "Eifel"
    backends.meanings = {question: [1.0, 0.0], TEXTS[0]: [0.1, 1.0], TEXTS[1]: [0.15, 1.0]}
    with backends.hybrid(SUTRA_EDITION=edition) as client:
        ids = client.post("/learn", json={"texts": TEXTS}).json()["ids"]
        reply = client.post("/query", json={"question": question, "limit": 1}).json()
    assert reply.get("corrected") == ("eiffel" if found else None)
    assert list(reply["scores"]) == ([ids[0]] if found else [])
    if found:
        assert reply["scores"][ids[0]]["text"] == 1
    # nlg gets only the original question if it can answer it.
    assert {body["question"] for name, body in backends.nlg.requests} == ({question} if found else set())


def test_the_corrected_question_is_asked_if_the_original_has_no_answer(backends: Backends) -> None:
    honest = backends.nlg.replies["POST /generate"]
    assert callable(honest)
    nothing = (200, {"answer": "No fact says that.", "citations": [], "mode": "grounded"})
    backends.nlg.replies["POST /generate"] = lambda body: nothing if "Eifel" in body["question"] else honest(body)
    with backends.hybrid(SUTRA_EDITION="enterprise") as client:
        client.post("/learn", json={"texts": TEXTS})
        reply = client.post("/query", json={"question": "The Eifel tower?", "limit": 1}).json()
    asked = [body["question"] for name, body in backends.nlg.requests if name == "POST /generate"]
    assert asked == ["The Eifel tower?", "The eiffel tower?"]
    assert (reply["answer"], reply["corrected"]) == ("known [1]", "The eiffel tower?")


def test_a_corrected_question_that_is_too_long_is_not_asked(backends: Backends) -> None:
    nothing = {"answer": "No fact says that.", "citations": [], "mode": "grounded"}
    backends.nlg.replies["POST /generate"] = (200, nothing)
    # The correction adds a letter.
    question = "Eifel " + "." * 7_994
    with backends.hybrid(SUTRA_EDITION="enterprise") as client:
        client.post("/learn", json={"texts": TEXTS})
        answer = client.post("/query", json={"question": question, "limit": 1})
    assert (answer.status_code, answer.json()["answer"]) == (200, nothing["answer"])
    assert [len(body["question"]) for name, body in backends.nlg.requests if name == "POST /generate"] == [8_000]
