"""Community: topics."""

from typing import Any

import pytest
from backends import Backends, code

from sutra_hybrid.topics import find_topics

SHIPS = [
    "The ship sails across the ocean with cargo.",
    "A sailor steers the ship through ocean waves.",
    "Cargo ships cross the ocean every week.",
    "The harbour welcomes each ship from the ocean.",
]
BREAD = [
    "Bread needs flour, water and yeast.",
    "The baker kneads bread dough from flour.",
    "Yeast makes the bread dough rise.",
    "Rye flour gives dark bread.",
]


@pytest.mark.parametrize("count", [None, 2])
def test_two_subjects_form_two_topics(count: int | None) -> None:
    # Interleaved, so that the order does not help.
    texts = [text for pair in zip(SHIPS, BREAD, strict=True) for text in pair]
    first, second = find_topics(texts, count)
    assert sorted([first.members, second.members]) == [[0, 2, 4, 6], [1, 3, 5, 7]]
    by_members = {tuple(cluster.members): set(cluster.terms) for cluster in (first, second)}
    assert {"ship", "ocean"} <= by_members[0, 2, 4, 6]
    assert {"bread", "flour"} <= by_members[1, 3, 5, 7]


def test_equal_texts_give_equal_topics() -> None:
    assert find_topics(SHIPS + BREAD) == find_topics(SHIPS + BREAD)


def test_a_topic_with_most_of_the_texts_keeps_its_terms() -> None:
    ships = [f"Das Schiff {name} und der Ozean, die Fracht {number}." for number, name in enumerate("abcdefghijkl")]
    first, second = find_topics([*ships, "Das Brot und der Teig.", "Die Hefe und das Brot."], 2)
    assert (len(first.members), second.members) == (12, [12, 13])
    assert set(first.terms[:3]) == {"schiff", "ozean", "fracht"}
    assert second.terms[0] == "brot"


@pytest.mark.parametrize(
    ("texts", "count", "sizes"),
    [
        (["one text"], None, [1]),
        (["one text"], 5, [1]),
        (SHIPS[:3], None, [3]),
        (["same words"] * 6, None, [6]),
        (["same words"] * 6, 3, [6]),
        (["the", "of", "and", "or"], None, None),
        (["!", "?", "...", ";"], None, [4]),
        (["!", "?", "...", ";"], 3, [4]),
        (SHIPS + BREAD, 1, [8]),
        (SHIPS + BREAD, 8, [1] * 8),
        (SHIPS + BREAD, 10, [1] * 8),
        ([*SHIPS, "!"], 2, [4, 1]),
    ],
)
def test_unusual_texts(texts: list[str], count: int | None, sizes: list[int] | None) -> None:
    clusters = find_topics(texts, count)
    assert sorted(member for cluster in clusters for member in cluster.members) == list(range(len(texts)))
    if sizes is not None:
        assert [len(cluster.members) for cluster in clusters] == sizes


def test_the_route(backends: Backends) -> None:
    with backends.hybrid(SUTRA_EDITION="community") as client:
        client.post("/learn", json={"texts": SHIPS + BREAD})
        answer = client.post("/topics", json={"question": "the ship and the bread, flour from ocean", "topics": 2})
        topics = answer.json()["topics"]
    assert answer.status_code == 200
    assert sorted(sorted(concept["text"] for concept in topic["concepts"]) for topic in topics) == [
        sorted(SHIPS),
        sorted(BREAD),
    ]
    for topic in topics:
        assert 1 <= len(topic["terms"]) <= 5
        scores = [concept["score"] for concept in topic["concepts"]]
        assert scores == sorted(scores, reverse=True)


def test_the_limit_of_concepts(backends: Backends) -> None:
    with backends.hybrid(SUTRA_EDITION="enterprise") as client:
        assert client.post("/topics", json={"question": "ship"}).json() == {"topics": []}
        client.post("/learn", json={"texts": SHIPS + BREAD})
        topics = client.post("/topics", json={"question": "ship bread", "limit": 5}).json()["topics"]
    assert sum(len(topic["concepts"]) for topic in topics) == 5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "body.question"),
        ({"question": " "}, "body.question"),
        ({"question": "a" * 4_001}, "edition community allows at most 4000"),
        ({"question": "a", "limit": 101}, "body.limit"),
        ({"question": "a", "limit": 0}, "body.limit"),
        ({"question": "a", "topics": 11}, "body.topics"),
        ({"question": "a", "topics": "2"}, "body.topics"),
        ({"question": "a", "k": 2}, "body.k"),
    ],
)
def test_an_invalid_request_is_explained(backends: Backends, body: Any, words: str) -> None:
    with backends.hybrid(SUTRA_EDITION="community") as client:
        answer = client.post("/topics", json=body)
    assert code(answer)[0] == 422
    assert words in answer.json()["error"]["message"]
    assert backends.storage.requests == []
