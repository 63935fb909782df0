"""Community and enterprise: passages of a text are one in diverse ranking, topics, spreading and typo tolerance."""

import math
from typing import Any

import pytest
from backends import Backends
from starlette.testclient import TestClient

# Ten words fit, and neighbours share one.
TOKENS = 12
FILLER = "one two three four five six seven eight"


def chapter(*words: str) -> str:
    """A text with a passage for each word."""
    return " ".join(f"{word} {FILLER}" for word in words)


def teach(backends: Backends, client: TestClient, texts: list[Any]) -> list[str]:
    backends.encoder.max_tokens = TOKENS
    ids: list[str] = client.post("/learn", json={"texts": texts}).json()["ids"]
    backends.storage.requests.clear()
    return ids


def passages(*words: str) -> list[str]:
    """The passages of a chapter."""
    return [f"{word} {FILLER} {after}".rstrip() for word, after in zip(words, [*words[1:], ""], strict=True)]


def turned(degrees: float, plane: int = 1) -> list[float]:
    """A vector at an angle from the first axis."""
    vector = [0.0] * 4
    vector[0], vector[plane] = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return vector


def test_diverse_ranking_compares_texts(backends: Backends) -> None:
    first, second = passages("alpha", "beta")
    # The passages of the first text are alike, and so is the second text; the third is not.
    backends.meanings = {
        "question": turned(0),
        first: turned(25),
        second: turned(26),
        "alike": turned(27),
        "other": turned(28, plane=2),
    }
    with backends.hybrid(SUTRA_EDITION="community") as client:
        ids = teach(backends, client, [chapter("alpha", "beta"), "alike", "other"])
        reply = client.post("/query", json={"question": "question", "limit": 2}).json()
    assert [citation["id"] for citation in reply["citations"]] == [ids[0], ids[2]]
    fetched = [name for name, _ in backends.storage.requests if name.startswith("GET /v1/concepts/")]
    # One vector stands for each text.
    assert len(fetched) == 3


def test_spreading_goes_from_text_to_text(backends: Backends) -> None:
    near, far = passages("alpha", "beta")
    backends.meanings = {
        "question": turned(0),
        near: turned(40),
        # Not found by the question, nor by the passage before.
        far: turned(95, plane=2),
        "hop": turned(80),
        "end": turned(120),
    }
    with backends.hybrid(SUTRA_EDITION="enterprise", SUTRA_HYBRID_MIN_COSINE_PERCENT="40") as client:
        [text, hop, end] = teach(backends, client, [chapter("alpha", "beta"), "hop", "end"])
        scores = client.post("/query", json={"question": "question"}).json()["scores"]
    assert sorted(scores[text]) == ["fused", "spread", "vector"]
    assert sorted(scores[hop]) == sorted(scores[end]) == ["fused", "spread"]
    assert scores[text]["spread"] > scores[hop]["spread"] > scores[end]["spread"]


def test_spreading_finds_a_text_by_any_of_its_passages(backends: Backends) -> None:
    other, near = passages("alpha", "beta")
    backends.meanings = {"question": turned(0), "seed": turned(40), near: turned(80), other: turned(100, plane=2)}
    with backends.hybrid(SUTRA_EDITION="enterprise", SUTRA_HYBRID_MIN_COSINE_PERCENT="40") as client:
        ids = teach(backends, client, ["seed", {"text": chapter("alpha", "beta"), "title": "Two"}])
        reply = client.post("/query", json={"question": "question"}).json()
    assert [citation["id"] for citation in reply["citations"]] == ids
    assert (reply["citations"][1]["text"], reply["citations"][1]["title"]) == (near, "Two")


def test_passages_of_a_text_do_not_fill_its_neighbourhood(backends: Backends) -> None:
    words = [f"word{number}" for number in range(12)]
    backends.meanings = {"question": turned(0), "neighbour": turned(100)}
    backends.meanings |= {passage: turned(50 + number / 10) for number, passage in enumerate(passages(*words))}
    with backends.hybrid(SUTRA_EDITION="enterprise", SUTRA_HYBRID_MIN_COSINE_PERCENT="40") as client:
        ids = teach(backends, client, [chapter(*words), "neighbour"])
        scores = client.post("/query", json={"question": "question"}).json()["scores"]
    assert sorted(scores) == sorted(ids)


def test_the_number_of_calls_is_bounded(backends: Backends) -> None:
    texts = [chapter(*[f"sea{number} wave{number % 7}"] * 6) for number in range(20)]
    with backends.hybrid(SUTRA_EDITION="enterprise") as client:
        teach(backends, client, texts)
        reply = client.post("/query", json={"question": "wave3 wave1", "limit": 5}).json()
    assert len(reply["scores"]) == 5
    names = [name for name, _ in backends.storage.requests]
    assert names.count("POST /v1/search") <= 4 + 14
    assert len(names) - names.count("POST /v1/search") <= 14 + 15


@pytest.mark.parametrize("edition", ["community", "enterprise"])
def test_topics_list_a_text_once(backends: Backends, edition: str) -> None:
    ships = [
        {"text": chapter("ship", "ocean", "ship", "cargo"), "source": "ships.md"},
        "ship ocean cargo",
        "ship cargo",
    ]
    bread = ["bread flour yeast", "bread yeast", "flour bread"]
    with backends.hybrid(SUTRA_EDITION=edition) as client:
        ids = teach(backends, client, [*ships, *bread])
        body = {"question": "ship bread flour ocean", "topics": 2, "limit": 6}
        topics = client.post("/topics", json=body).json()["topics"]
    concepts = [concept for topic in topics for concept in topic["concepts"]]
    assert sorted(concept["id"] for concept in concepts) == sorted(ids)
    assert [concept.get("source") for concept in concepts if concept["id"] == ids[0]] == ["ships.md"]
    assert sorted(sorted(concept["id"] for concept in topic["concepts"]) for topic in topics) == sorted(
        [sorted(ids[:3]), sorted(ids[3:])]
    )


def test_words_of_passages_correct_a_question(backends: Backends) -> None:
    with backends.hybrid(SUTRA_EDITION="enterprise") as client:
        [name] = teach(backends, client, [chapter("harbour", "lighthouse")])
        reply = client.post("/query", json={"question": "lighthuose"}).json()
    assert reply["corrected"] == "lighthouse"
    assert reply["scores"][name]["text"] == 1.0
