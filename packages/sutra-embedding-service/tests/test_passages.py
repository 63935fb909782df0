"""Cuts long texts into passages, with the tiny tokenizer (12 tokens, of which 2 are special) and the real one (256)."""

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import tiny
from starlette.testclient import TestClient
from test_application import code, service, wait

from sutra_embedding.folder import inspect_folder
from sutra_embedding.limits import LIMITS
from sutra_embedding.passages import MAX_CHARACTERS, Measured, Passage, cut
from sutra_embedding.tokens import Tokens

MILLION = 1_000_000
FOX = "The quick brown fox jumps over the lazy dog, and nobody minds. "


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return Tokens(inspect_folder(tiny.write(tmp_path_factory.mktemp("tiny") / "m")))


@pytest.fixture(scope="module")
def real(original_folder: Path) -> Tokens:
    return Tokens(inspect_folder(original_folder))


def check(text: str, tokens: Tokens, passages: list[Passage] | None = None) -> list[Passage]:
    """The passages of a text, after checking what every text's passages have in common."""
    passages = list(cut(text, tokens.measure)) if passages is None else passages
    covered = 0
    for before, passage in zip([None, *passages], passages, strict=False):
        part = text[passage.start : passage.end]
        assert part == part.strip()
        assert 0 < len(part) <= MAX_CHARACTERS
        # Another tokenization, with the special tokens and without truncation.
        assert tokens.measure(part).rest is None
        assert not text[covered : passage.start].strip()
        if before is not None:
            assert before.start < passage.start
            assert before.end < passage.end
            overlap = text[passage.start : before.end]
            assert len(tokens.measure(overlap).starts) <= 32
        covered = passage.end
    assert not text[covered:].strip()
    return passages


def parts(text: str, tokens: Tokens) -> list[str]:
    return [text[start:end] for start, end in check(text, tokens)]


@pytest.mark.parametrize("text", ["", " ", "\n\t\u2003\r\n", " " * 50_000])
def test_a_blank_text_has_no_passages(small: Tokens, text: str) -> None:
    assert check(text, small) == []


def test_a_text_of_exactly_the_maximum_is_one_passage(small: Tokens, real: Tokens) -> None:
    assert parts("red " * 10, small) == [("red " * 10).strip()]
    assert len(parts("red " * 11, small)) == 2
    assert len(parts("red " * 254, real)) == 1
    assert len(parts("red " * 255, real)) == 2


def test_blanks_around_a_text_are_not_part_of_a_passage(small: Tokens) -> None:
    assert check("  red\n", small) == [Passage(2, 5)]


def test_a_paragraph_is_preferred_to_a_sentence_and_a_sentence_to_a_word(small: Tokens) -> None:
    # Ten tokens fit; each stop is one.
    text = "red red red red red red\n\ngreen. blue. red and blue"
    assert parts(text, small)[0] == "red red red red red red"
    assert parts(text.replace("\n\n", "\r\n\r\n"), small)[0] == "red red red red red red"
    assert parts(text.replace("\n\n", " "), small)[0] == "red red red red red red green. blue."
    assert parts("red " * 6 + "green blue and and blue", small)[0] == "red " * 6 + "green blue and and"


def test_a_boundary_in_the_first_half_is_not_used(small: Tokens) -> None:
    assert parts("red.\n\n" + "green " * 20, small)[0] == "red.\n\n" + "green " * 7 + "green"


def test_windows_line_endings_are_not_cut_in_two(small: Tokens) -> None:
    for part in parts("red green blue\r\n" * 20 + "\r\n" + "red.\r\n\r\n" * 30, small):
        assert not part.startswith(("\n", "\r"))
        assert not part.endswith(("\n", "\r"))


def test_the_overlap_starts_at_a_sentence_or_a_word(real: Tokens) -> None:
    passages = check(FOX * 100, real)
    for before, passage in pairwise(passages):
        assert 0 < before.end - passage.start <= 160
        assert (FOX * 100)[passage.start :].startswith("The quick")
    words = "word " * 1_000
    assert all(part.startswith("word") for part in parts(words, real))
    first, second, *_ = check(words, real)
    assert first.end - second.start == 31 * 5 - 1


def test_offsets_count_code_points(real: Tokens) -> None:
    text = "\U0001f600 caf\u00e9 na\u00efve \u6f22\u5b57. " * 400
    assert "".join(parts(text, real)).count("\U0001f600") >= 400
    assert parts(text, real)[0].startswith("\U0001f600 caf\u00e9")


@pytest.mark.parametrize(
    "character", ["e\u0301", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U0001f468\u200d\U0001f469"], ids=ascii
)
def test_marks_stay_with_their_letter(real: Tokens, character: str) -> None:
    for part in parts(character * 20_000, real):
        assert part.startswith(character[0])
        assert not part.endswith("\u200d")


@pytest.mark.parametrize(
    ("text", "most"),
    [
        pytest.param("a" * MILLION, 100, id="one word"),
        pytest.param("\u0301" * MILLION, 100, id="combining marks"),
        pytest.param("\U0001f600" * MILLION, 100, id="emoji"),
        pytest.param("a" + " " * MILLION + "b", 2, id="blanks"),
        pytest.param("\0" * MILLION, 100, id="no tokens"),
        pytest.param((FOX * 30 + "\r\n\r\n") * 500, 1_100, id="prose"),
        # A hundred thousand, because each character is a token.
        pytest.param("!" * 100_000, 450, id="punctuation"),
        pytest.param("\u6f22" * 100_000, 450, id="Chinese"),
        pytest.param("\ud55c" * 100_000, 10, id="Korean without spaces"),
        pytest.param(("!" * 253 + "a" * 9_990 + " ") * 10, 40, id="short and long tokens"),
    ],
)
def test_a_million_characters(real: Tokens, text: str, most: int) -> None:
    tokenized = 0

    def measure(part: str) -> Measured:
        nonlocal tokenized
        tokenized += len(part)
        return real.measure(part)

    passages = list(cut(text, measure))
    check(text, real, passages)
    assert 1 < len(passages) <= most
    # Linear: a small multiple of the text, whatever it is made of.
    assert tokenized <= 7 * len(text)


def random_text(seed: int) -> str:
    choose = random.Random(seed)  # noqa: S311 - repeatable
    pieces: list[Callable[[], str]] = [
        lambda: choose.choice(
            ["red", "green", "blueish", "and", "unknown", "e\u0301", "\ud55c\uad6d", "\ufdfa", "[SEP]"]
        ),
        lambda: choose.choice([".", "!", "...", "\u3002", '."', ")"]),
        lambda: choose.choice([" ", "  ", "\n", "\n\n", "\r\n\r\n", "\t", "\u00a0", " " * 300]),
        lambda: choose.choice("ab\u0301\U0001f600\u6f22\0\x1c") * choose.randint(1, 400),
    ]
    return "".join(choose.choice(pieces)() for _ in range(choose.randint(1, 400)))


@pytest.mark.parametrize("seed", range(60))
def test_any_text(small: Tokens, real: Tokens, seed: int) -> None:
    text = random_text(seed)
    for tokens in (small, real):
        check(text, tokens)


def test_the_smallest_model(tmp_path: Path) -> None:
    # One token and two special ones: no room for an overlap.
    folder = tiny.write(tmp_path / "m", sentence_bert_config={"max_seq_length": 3})
    assert parts("red green blueish.", Tokens(inspect_folder(folder))) == ["red", "green", "blue", "ish", "."]


def test_the_route(tmp_path: Path) -> None:
    with service(tiny.write(tmp_path / "m")) as client:
        health = wait(client, "ok")
        answer = client.post("/passages", json={"texts": ["red " * 11, " ", "\U0001f600 red"]})
        checks_of_the_route(client)
    assert health["max_tokens"] == 12
    assert answer.status_code == 200
    assert answer.json() == {
        "passages": [[{"start": 0, "end": 39}, {"start": 36, "end": 43}], [], [{"start": 0, "end": 5}]],
        "max_tokens": 12,
    }


def checks_of_the_route(client: TestClient) -> None:
    for body, words in (({}, "body.texts"), ({"texts": []}, "body.texts"), ({"text": "a"}, "body.text")):
        answer = client.post("/passages", json=body)
        assert code(answer) == (422, "invalid_request")
        assert words in answer.json()["error"]["message"]
    most = LIMITS["simple"].max_texts
    assert client.post("/passages", json={"texts": ["red"] * most}).status_code == 200
    beyond = client.post("/passages", json={"texts": ["red"] * (most + 1)})
    assert code(beyond) == (422, "beyond_limit")
    # A text may be as long as the body.
    long = client.post("/passages", json={"texts": ["a" * (LIMITS["simple"].max_body_bytes - 100)]})
    assert len(long.json()["passages"][0]) == 100
    assert code(client.post("/passages", json={"texts": ["a" * MILLION]})) == (413, "body_too_large")


def test_every_passage_can_be_embedded_untruncated(tmp_path: Path) -> None:
    text = "red green blue. " * 20
    with service(tiny.write(tmp_path / "m")) as client:
        wait(client, "ok")
        (places,) = client.post("/passages", json={"texts": [text]}).json()["passages"]
        for place in places:
            part = text[place["start"] : place["end"]]
            whole, longer = client.post("/embed", json={"texts": [part, part + " red"]}).json()["embeddings"]
            assert whole != longer or len(part.split()) >= 7


def test_before_the_model_is_loaded(tmp_path: Path) -> None:
    with service(tmp_path / "nowhere") as client:
        assert "max_tokens" not in wait(client, "failed")
        assert code(client.post("/passages", json={"texts": ["red"]})) == (503, "not_ready")
