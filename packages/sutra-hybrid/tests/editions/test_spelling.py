"""Enterprise: a slip of the finger does not hide what was learned."""

from typing import Any

import pytest
from rapidfuzz import process
from world import World

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
def test_an_unknown_word_becomes_the_one_that_was_meant(question: str, corrected: str) -> None:
    assert correct(question, TEXTS) == corrected


@pytest.mark.parametrize(
    "question",
    [
        "Where is the Eiffel tower?",
        "EIFFEL TOWER",
        "Banch",  # shorter words than five letters are nobody's correction
        "Pris",
        "Power",  # another first letter is another word
        "17222 fugues",
        "fugues in 1723",
        "refrigerator",
        "...",
    ],
)
def test_what_is_known_short_far_or_a_number_stays(question: str) -> None:
    assert correct(question, TEXTS) is None


def test_only_the_first_twenty_unknown_words_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, list[str]]] = []
    extract_one = process.extractOne

    def counted(word: str, alike: list[str], **options: Any) -> Any:
        compared.append((word, alike))
        return extract_one(word, alike, **options)

    monkeypatch.setattr(process, "extractOne", counted)
    slips = [f"t{letter}wer" for letter in "abcdefghijklmnpqrstuvwxyz"]
    # Repeated, and between words that are known or short: none of that counts.
    question = " ".join(f"{slip} {slip} power tar" for slip in slips)
    mended = correct(question, ["tower power tree", "tomorrow"])
    assert mended == " ".join(f"{word} {word} power tar" for word in ["tower"] * 20 + slips[20:])
    assert compared == [(slip, ["tomorrow", "tower"]) for slip in slips[:20]]


def test_a_word_that_nobody_writes_is_left_alone() -> None:
    word = "ab" * 21
    assert correct(word[:-2] + "ba", [word]) is None
    assert correct(word[:38] + "ba", [word[:40]]) == word[:40]


def test_nothing_to_learn_from() -> None:
    assert correct("Eifel", []) is None


@pytest.mark.parametrize(("edition", "found"), [("community", False), ("enterprise", True)])
def test_a_misspelt_question_finds_by_text(world: World, edition: str, found: bool) -> None:
    # All other concepts are nearer by vector than the one that the word is in.
    question = "Eifel"
    world.meanings = {question: [1.0, 0.0], TEXTS[0]: [0.1, 1.0], TEXTS[1]: [0.15, 1.0]}
    with world.hybrid(SUTRA_EDITION=edition) as client:
        ids = client.post("/learn", json={"texts": TEXTS}).json()["ids"]
        reply = client.post("/query", json={"question": question, "limit": 1}).json()
    assert reply.get("corrected") == ("eiffel" if found else None)
    assert list(reply["scores"]) == ([ids[0]] if found else [])
    if found:
        assert reply["scores"][ids[0]]["text"] == 1
    # Whoever can answer what was asked never sees what was guessed.
    assert {body["question"] for name, body in world.nlg.requests} == ({question} if found else set())


def test_the_guess_is_answered_only_where_the_question_is_not(world: World) -> None:
    honest = world.nlg.replies["POST /generate"]
    assert callable(honest)
    nothing = (200, {"answer": "No fact says that.", "citations": [], "mode": "grounded"})
    world.nlg.replies["POST /generate"] = lambda body: nothing if "Eifel" in body["question"] else honest(body)
    with world.hybrid(SUTRA_EDITION="enterprise") as client:
        client.post("/learn", json={"texts": TEXTS})
        reply = client.post("/query", json={"question": "The Eifel tower?", "limit": 1}).json()
    asked = [body["question"] for name, body in world.nlg.requests if name == "POST /generate"]
    assert asked == ["The Eifel tower?", "The eiffel tower?"]
    assert (reply["answer"], reply["corrected"]) == ("known [1]", "The eiffel tower?")


def test_a_guess_that_is_too_long_for_a_question_is_not_asked(world: World) -> None:
    nothing = {"answer": "No fact says that.", "citations": [], "mode": "grounded"}
    world.nlg.replies["POST /generate"] = (200, nothing)
    # One letter more by the correction.
    question = "Eifel " + "." * 7_994
    with world.hybrid(SUTRA_EDITION="enterprise") as client:
        client.post("/learn", json={"texts": TEXTS})
        answer = client.post("/query", json={"question": question, "limit": 1})
    assert (answer.status_code, answer.json()["answer"]) == (200, nothing["answer"])
    assert [len(body["question"]) for name, body in world.nlg.requests if name == "POST /generate"] == [8_000]
